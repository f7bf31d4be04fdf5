"""Networks of parameters of dynamics on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from potentia.cli.families.base import Family, FamilySettings, Job, Look, Trained, require_free
from potentia.cli.families.files import anchored, expanded, write_table
from potentia.config import from_dict
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.logs.reading import LOG_SUFFIXES, MAP_NAME, read_logs
from potentia.dynamics.models import MODEL_SPECS
from potentia.dynamics.provenance import told
from potentia.dynamics.run_analysis import baselines_of, evaluated
from potentia.dynamics.run_config import FREE, RunConfig
from potentia.dynamics.run_inputs import RunInputs, read_inputs, read_windows, spec_of
from potentia.dynamics.training_run import network_of
from potentia.errors import ConfigError, DataError
from potentia.evaluate import wide
from potentia.runs import RunDirectory
from potentia.train import Forecast

__all__ = ["FAMILY"]


@dataclass(frozen=True, kw_only=True)
class LogFiles:
    """Where the logs are."""

    train: tuple[str, ...]
    """Folders or files of logs to train on."""
    validation: tuple[str, ...] = ()
    """Folders or files of other logs, to choose the best weights by."""


@dataclass(frozen=True, kw_only=True)
class DynamicsSettings(FamilySettings):
    """The training of a network of parameters, through the simulation of a model."""

    data: LogFiles
    """Logs."""
    training: RunConfig
    """Model, windows, network and training."""

    def __post_init__(self) -> None:
        if self.training.dataset or self.training.val_dataset:
            raise ConfigError("training: the logs stand under `data`, as train and validation")
        require_free(self.training, {"root": ".", "run_dir": None, "output": None, "dataset_cache": None})

    @property
    def config(self) -> RunConfig:
        """Settings as a run of dynamics has them, with its logs."""
        return replace(self.training, dataset=self.data.train, val_dataset=self.data.validation)

    def at(self, root: Path) -> Self:
        """Return them with relative paths of data taken from a directory."""
        parts = (tuple(anchored(path, root) for path in part) for part in (self.data.train, self.data.validation))
        train, validation = parts
        return replace(self, data=LogFiles(train=train, validation=validation))

    def seeded(self, seed: int | None) -> Self:
        """Return them as they are: there always is a seed."""
        return self

    @property
    def seed(self) -> int | None:
        """Seed of the training."""
        return self.training.seed

    @property
    def files(self) -> Sequence[Path]:
        """All files of logs."""
        return expanded((*self.data.train, *self.data.validation))


@dataclass(frozen=True)
class DynamicsJob:
    """Windows of logs and a network that is to learn them."""

    settings: DynamicsSettings

    @cached_property
    def inputs(self) -> RunInputs:
        """Model and windows."""
        return read_inputs(self.settings.config)

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes of the windows."""
        return told(self.inputs.parts)

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        config, inputs = self.settings.config, self.inputs
        return network_of(config, inputs).forecast(inputs.training, config.training(None), inputs.validation)

    def train(self, checkpoints: Path, resume_from: Path | None, *, show_progress: bool) -> Trained:
        """Train, or go on."""
        config, inputs = self.settings.config, self.inputs
        net = network_of(config, inputs)
        training = replace(config.training(checkpoints), show_progress=config.progress and show_progress)
        out = net.train(inputs.training, training, inputs.validation, resume_from, allow_changes=("epochs",))
        held_out = inputs.training if inputs.validation is None else inputs.validation
        return Trained(net, out, None if out.resumable else _errors(net, held_out, inputs.training, config))


class DynamicsFamily(Family):
    """Parameters of a model of dynamics."""

    name = "dynamics"
    settings_class = DynamicsSettings
    kinds = frozenset({DynamicsParameterNet.kind})
    free = FREE

    def recognises(self, paths: Sequence[Path]) -> bool:
        """Whether these are logs by their endings."""
        logs = _logs(paths)
        return bool(logs) and all(path in logs or path.suffix in {".yaml", ".yml", ".md", ".txt"} for path in paths)

    def look(self, paths: Sequence[Path], named: Sequence[str]) -> Look:
        """Look at logs: the model is one whose states and controls they have."""
        logs = [log for path in _logs(paths) for log in read_logs(path)]
        columns = set.intersection(*(set(log.columns) for log in logs))
        fitting = [spec for spec in MODEL_SPECS.values() if {*spec.state_names, *spec.control_names} <= columns]
        if not fitting:
            raise DataError(
                f"{logs[0].where}: no model has its states and controls among {', '.join(sorted(columns))}; "
                f"`potentia dynamics models` tells what is needed, {MAP_NAME} beside the logs gives columns other names"
            )
        best = max(
            fitting, key=lambda spec: (len(spec.state_names) + len(spec.control_names), spec.name == "singletrack")
        )
        rows, seconds = sum(map(len, logs)), sum(float(log.time[-1] - log.time[0]) for log in logs)
        settings = DynamicsSettings(
            data=LogFiles(train=tuple(named)),
            training=RunConfig(
                model=best.name, epochs=100 if rows < 20_000 else 40, batch_size=64, seed=1, progress=True
            ),
        )
        saw = (
            f"{len(logs)} logs, {rows} rows, {seconds:g} s; columns: {', '.join(sorted(columns))}",
            f"models whose states and controls are there: {', '.join(spec.name for spec in fitting)}",
        )
        shown = {
            "training": (
                "model", "epochs", "batch_size", "lr", "scheduler", "early_stopping", "seed", "dt", "horizon", "stride",
                "feature_mode", "model_hidden", "fix", "bounds", "polish", "progress",
            )
        }  # fmt: skip
        why = {"data.validation": "Other logs, to choose the best weights by: move some of those above here"}
        return Look(saw, settings, shown, why)

    def job(self, settings: DynamicsSettings) -> Job:
        """Read nothing yet: the windows are cut when they are asked for."""
        return DynamicsJob(settings)

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Predict the parameters of each window of logs."""
        config = _config_of(model)
        net = DynamicsParameterNet.load(model)
        windows = _windows(config, data)
        columns: dict[str, Any] = {"window": np.arange(len(windows))}
        if windows.group is not None:
            columns["log"] = np.array(windows.group_names, dtype=object)[windows.group]
        for name, values in net.predict_params(windows).items():
            flat = values.reshape(len(values), -1)
            columns |= {name if flat.shape[1] == 1 else f"{name}[{k}]": flat[:, k] for k in range(flat.shape[1])}
        table = pd.DataFrame(columns)
        if out is not None:
            write_table(out, table)
        return table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare predicted states with logs; constants are fitted to the windows of the training."""
        config = _config_of(model)
        training = read_inputs(replace(config, val_dataset=())).training
        return _errors(DynamicsParameterNet.load(model), _windows(config, data), training, config)


def _errors(
    net: DynamicsParameterNet, windows: FeatureDataset, training: FeatureDataset, config: RunConfig
) -> pd.DataFrame:
    found = evaluated(net, windows, baselines_of(net, training, config))
    return wide(found.metrics).reset_index().rename_axis(columns=None)


def _config_of(model: Path) -> RunConfig:
    """Return how logs were cut for a model: the directory of its run says it.

    Raises:
        ConfigError: it is in no directory of a run.
    """
    run = RunDirectory(model.parent.absolute())
    if run.model.name != model.name or not run.settings.is_file():
        raise ConfigError(f"{model} does not say how its logs were cut: give the directory of its run instead")
    blocks = run.read_settings()
    blocks.pop("family")
    return from_dict(DynamicsSettings, blocks).config


def _windows(config: RunConfig, data: Sequence[Path]) -> FeatureDataset:
    """Return windows of logs, cut as those of the training."""
    whole = replace(
        config, dataset_cache=None, val_dataset_cache=None, samples=None, val_samples=None, root=str(Path.cwd())
    )
    return read_windows(whole, spec_of(config), [str(path) for path in _logs(data)], validation=True).dataset


def _logs(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are logs: beside them may stand what their columns mean."""
    return [path for path in paths if path.suffix in LOG_SUFFIXES]


FAMILY = DynamicsFamily()
