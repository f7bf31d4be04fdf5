"""What a training run begins with: its model, and the windows of its logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.load import load_feature_dataset_group
from potentia.dynamics.logs import log_files
from potentia.dynamics.models import get_model_spec
from potentia.dynamics.models.mlp_dynamics import MLP_DYNAMICS, mlp_dynamics
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.windows import Windows
from potentia.errors import ConfigError, DataError

__all__ = ["RunInputs", "read_apart", "read_held_out", "read_inputs", "read_windows", "spec_of"]


@dataclass(frozen=True, eq=False)
class RunInputs:
    """A model and windows."""

    spec: ModelSpec
    """The model as it is registered, or with the size that was asked for."""
    training: FeatureDataset
    """What is fitted."""
    validation: FeatureDataset | None = None
    """What the weights are chosen by."""
    counts: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    """Part → windows by log and fate."""

    @property
    def parts(self) -> dict[str, FeatureDataset]:
        """Windows by the name of their part."""
        held_out = {} if self.validation is None else {"validation": self.validation}
        return {"training": self.training, **held_out}


def read_inputs(config: RunConfig) -> RunInputs:
    """Read and cut all logs of a run.

    Raises:
        ConfigError: the model is not known, or a setting does not fit it.
        DataError: folders or files are not there (the message names all of them), or logs cannot be used.
    """
    spec = spec_of(config)
    _require_there(config, [*config.dataset, *config.val_dataset])
    if not config.dataset:
        raise ConfigError(
            "there is nothing to train on: give --dataset, in settings train under `data`, a folder or file of logs"
        )
    _require_apart(config, "val_dataset", config.val_dataset, "the weights would be chosen by what they were fitted to")
    found = {"training": read_windows(config, spec, config.dataset, validation=False)}
    if config.val_dataset:
        found["validation"] = read_windows(config, spec, config.val_dataset, validation=True)
    held_out = found["validation"].dataset if "validation" in found else None
    return RunInputs(spec, found["training"].dataset, held_out, {part: one.counts for part, one in found.items()})


def read_windows(config: RunConfig, spec: ModelSpec, paths: Sequence[str], *, validation: bool) -> Windows:
    """Read and cut the logs of a part, or take them from its cache."""
    cache = config.val_dataset_cache if validation else config.dataset_cache
    return load_feature_dataset_group(
        paths,
        spec,
        config.windows(),
        cache=None if cache is None else Path(config.root) / cache,
        refresh=config.refresh_cache,
        samples=config.val_samples if validation else config.samples,
        rule=config.sample_rule,
        seed=config.seed,
        root=config.root,
    )


def read_apart(config: RunConfig, paths: Sequence[str]) -> FeatureDataset:
    """Read logs and cut them as those of the training, but into windows that share no row, past included."""
    apart = replace(config, stride=max(config.stride, config.horizon + config.history))
    whole = replace(apart, val_dataset_cache=None, val_samples=None)
    return read_windows(whole, spec_of(config), paths, validation=True).dataset


def read_held_out(config: RunConfig, paths: Sequence[str]) -> FeatureDataset:
    """Read logs that no training sees, as `read_apart` does.

    Raises:
        ConfigError: a training sees one of them.
        DataError: folders or files are not there, or logs cannot be used.
    """
    _require_there(config, paths)
    _require_apart(config, "calibrate", paths, "error bars would be learned from what the networks have seen")
    return read_apart(config, paths)


def spec_of(config: RunConfig) -> ModelSpec:
    """Return the model of a run."""
    if config.dynamics_hidden_size is None:
        return get_model_spec(config.model)
    if config.model != MLP_DYNAMICS.name:
        raise ConfigError(f"dynamics_hidden_size is for {MLP_DYNAMICS.name!r}: {config.model!r} has no hidden layer")
    return mlp_dynamics(config.dynamics_hidden_size)


def _require_there(config: RunConfig, paths: Sequence[str]) -> None:
    missing = [path for path in paths if not (Path(config.root) / path).exists()]
    if missing:
        raise DataError(
            f"these data are not there: {', '.join(missing)} (relative paths begin at {Path(config.root).absolute()})"
        )


def _require_apart(config: RunConfig, name: str, held_out: Sequence[str], wrong: str) -> None:
    """Raise `ConfigError` if a log that is to be held out is in another part too."""
    files = _files(config, held_out)
    for part in ("dataset", "val_dataset"):
        seen = {} if part == name else _files(config, config.__dict__[part])
        for file in seen:
            if file in files:
                raise ConfigError(
                    f"{file} is in {part} ({seen[file]}) and in {name} ({files[file]}): {wrong}; hold logs out"
                )


def _files(config: RunConfig, paths: Sequence[str]) -> dict[Path, str]:
    """Return each log with the path it was named by."""
    return {file.resolve(): path for path in paths for file in log_files(Path(config.root) / path)}
