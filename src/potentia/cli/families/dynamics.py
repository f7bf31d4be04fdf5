"""Networks of parameters of dynamics on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from potentia.cli.families.base import Family, Look
from potentia.cli.families.committees import FREE_OF_MEMBERS, Members, calibrated, committee_in, several, spread_tables
from potentia.cli.families.dynamics_jobs import TogetherJob, error_table
from potentia.cli.families.dynamics_settings import DynamicsSettings, LogFiles
from potentia.cli.families.files import write_table
from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.job import DynamicsJob
from potentia.dynamics.logs.reading import LOG_SUFFIXES, MAP_NAME, read_logs
from potentia.dynamics.models import MODEL_SPECS
from potentia.dynamics.opened_run import OpenedRun
from potentia.dynamics.run_config import FREE, RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.run_inputs import read_held_out
from potentia.ensemble import CommitteeConfig, require_enough
from potentia.errors import ConfigError, DataError
from potentia.runs import Job, Trained

__all__ = ["FAMILY"]


class DynamicsFamily(Family):
    """Parameters of a model of dynamics."""

    name = "dynamics"
    settings_class = DynamicsSettings
    kinds = frozenset({DynamicsParameterNet.kind, DynamicsCommittee.kind})
    free = FREE
    free_besides = FREE_OF_MEMBERS
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
            "data": ("train", "validation"),
            "training": (
                "model", "epochs", "batch_size", "lr", "scheduler", "early_stopping", "seed", "dt", "horizon", "stride",
                "feature_mode", "model_hidden", "fix", "bounds", "polish", "progress",
            )
        }  # fmt: skip
        why = {"data.validation": "Other logs, to choose the best weights by: move some of those above here"}
        return Look(saw, settings, shown, why)

    def as_committee(self, look: Look, members: int) -> Look:
        """Return settings of a committee."""
        assert isinstance(look.settings, DynamicsSettings)
        settings = replace(look.settings, committee=CommitteeConfig(num_members=members))
        told = (
            "Again others, that no training sees: error bars are learned from half of their windows, measured on half"
        )
        return several(look, settings, (*look.shown["data"], "calibrate"), told)

    def job(self, settings: DynamicsSettings) -> Job[Trained]:
        """Read nothing yet but what error bars are learned from: windows are cut when they are asked for."""
        alone, held_out = DynamicsJob(settings.config), None
        if settings.committee is None:
            return alone
        if settings.data.calibrate:
            held_out = read_held_out(settings.config, settings.data.calibrate)
            require_enough(np.arange(len(held_out)), DynamicsCommittee.words)
        return TogetherJob(settings.config, alone, Members(settings.committee, held_out))

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Predict the parameters of each window of logs; of a committee, mean and spread, and intervals of states."""
        run = _run_of(model)
        windows = run.windows([str(path) for path in _given_logs(data)])
        columns: dict[str, Any] = {"window": np.arange(len(windows))}
        columns["log"] = np.array(windows.group_names, dtype=object)[windows.group]
        if run.committee is None:
            for name, values in run.net.predict_params(windows).items():
                flat = values.reshape(len(values), -1)
                columns |= {name if flat.shape[1] == 1 else f"{name}[{k}]": flat[:, k] for k in range(flat.shape[1])}
        else:
            frame = run.committee.predict(windows).frame()
            columns |= {str(name): frame[name].to_numpy() for name in frame.columns}
        table = pd.DataFrame(columns)
        if out is not None:
            write_table(out, table)
        return table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare predicted states with logs; constants are fitted to the windows of the training."""
        return self.tables(model, data)["errors"]

    def tables(self, model: Path, data: Sequence[Path]) -> Mapping[str, pd.DataFrame]:
        """Compare predicted states with logs; of a committee, also tell what its error bars hold."""
        run, logs = _run_of(model), [str(path) for path in _given_logs(data)]
        errors = {"errors": error_table(run.evaluate(run.windows(logs)))}
        if run.committee is None:
            return errors
        return errors | spread_tables(run.committee, run.windows_apart(logs))

    def calibrate(self, model: Path, data: Sequence[Path], level: float) -> Mapping[str, pd.DataFrame]:
        """Learn the error bars of a committee from half of the windows of logs, and write them into its file."""
        run, logs = _run_of(model), [str(path) for path in _given_logs(data)]
        committee = committee_in(model, DynamicsCommittee, "network")
        return calibrated(committee, model, run.windows_apart(logs), level)


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
