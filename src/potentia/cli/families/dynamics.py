"""Networks of parameters of dynamics on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from potentia.cli.families.base import Family, FamilySettings, Look, require_free
from potentia.cli.families.files import anchored, expanded, write_table
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.job import DynamicsJob
from potentia.dynamics.logs.reading import LOG_SUFFIXES, MAP_NAME, read_logs
from potentia.dynamics.models import MODEL_SPECS
from potentia.dynamics.opened_run import OpenedRun
from potentia.dynamics.run_config import FREE, RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.errors import ConfigError, DataError
from potentia.evaluate import wide
from potentia.runs import Job, Trained

__all__ = ["FAMILY"]


@dataclass(frozen=True, kw_only=True)
class LogFiles:
    """Where the logs are."""

    train: tuple[str, ...]
    """Folders, files or patterns of logs to train on."""
    validation: tuple[str, ...] = ()
    """Those of other logs, to choose the best weights by."""


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
        require_free(self.training, {"run_dir": None})
        if self.training.root != ".":
            raise ConfigError("training: paths begin at the folder of the file of settings: leave root out")

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return what a run of dynamics has as the blocks of a file; all paths are absolute."""
        whole = replace(config.rooted(), run_dir=None)
        data = LogFiles(train=whole.dataset, validation=whole.val_dataset)
        return cls(data=data, training=replace(whole, dataset=(), val_dataset=()))

    @property
    def config(self) -> RunConfig:
        """Settings as a run of dynamics has them, with its logs."""
        return replace(self.training, dataset=self.data.train, val_dataset=self.data.validation)

    def at(self, root: Path) -> Self:
        """Return them with relative paths taken from a directory."""
        train, validation = (_matching(part, root) for part in (self.data.train, self.data.validation))
        return self.of(replace(self.config, dataset=train, val_dataset=validation, root=str(root)))

    def plain(self) -> dict[str, Any]:
        """Return all of them as plain values, block by block."""
        blocks = self.config.blocks()
        del blocks["family"]
        return blocks

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


class DynamicsFamily(Family):
    """Parameters of a model of dynamics."""

    name = "dynamics"
    settings_class = DynamicsSettings
    kinds = frozenset({DynamicsParameterNet.kind})
    free = FREE
    directory = RunDirectory

    def recognises(self, paths: Sequence[Path]) -> bool:
        """Whether these are logs by their endings."""
        logs = _logs(paths)
        return bool(logs) and all(path in logs or path.suffix in {".yaml", ".yml", ".md", ".txt"} for path in paths)

    def look(self, paths: Sequence[Path], named: Sequence[str]) -> Look:
        """Look at logs: the model is one whose states and controls they have."""
        logs = [log for path in _given_logs(paths) for log in read_logs(path)]
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

    def job(self, settings: DynamicsSettings) -> Job[Trained]:
        """Read nothing yet: the windows are cut when they are asked for."""
        return DynamicsJob(settings.config)

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Predict the parameters of each window of logs."""
        run = _run_of(model)
        windows = run.windows([str(path) for path in _given_logs(data)])
        columns: dict[str, Any] = {"window": np.arange(len(windows))}
        if windows.group is not None:
            columns["log"] = np.array(windows.group_names, dtype=object)[windows.group]
        for name, values in run.net.predict_params(windows).items():
            flat = values.reshape(len(values), -1)
            columns |= {name if flat.shape[1] == 1 else f"{name}[{k}]": flat[:, k] for k in range(flat.shape[1])}
        table = pd.DataFrame(columns)
        if out is not None:
            write_table(out, table)
        return table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare predicted states with logs; constants are fitted to the windows of the training."""
        run = _run_of(model)
        found = run.evaluate(run.windows([str(path) for path in _given_logs(data)]))
        return wide(found.metrics).reset_index().rename_axis(columns=None)


def _matching(paths: Sequence[str], root: Path) -> tuple[str, ...]:
    """Return paths from a directory on, and in place of a pattern the files that it fits."""
    found: list[str] = []
    for path in (anchored(one, root) for one in paths):
        pattern = not Path(path).exists() and any(sign in path for sign in "*?[")
        found += [str(file) for file in expanded([path])] if pattern else [path]
    return tuple(found)


def _run_of(model: Path) -> OpenedRun:
    """Return the run of a model: its directory says how logs were cut for it.

    Raises:
        ConfigError: it is in no directory of a run.
    """
    directory = RunDirectory(model.parent.absolute())
    if directory.model.name != model.name or not directory.settings.is_file():
        raise ConfigError(f"{model} does not say how its logs were cut: give the directory of its run instead")
    return OpenedRun.of(directory.path)


def _given_logs(paths: Sequence[Path]) -> list[Path]:
    """Return the logs among given files.

    Raises:
        DataError: none is a log.
    """
    logs = _logs(paths)
    if not logs:
        raise DataError(f"{paths[0]} is no log: data of dynamics are files {', '.join(LOG_SUFFIXES)}")
    return logs


def _logs(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are logs: beside them may stand what their columns mean."""
    return [path for path in paths if path.suffix in LOG_SUFFIXES]


FAMILY = DynamicsFamily()
