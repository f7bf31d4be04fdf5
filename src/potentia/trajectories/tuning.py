"""Searching settings of surrogates by Optuna: trials in processes, one database, a file with the best."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState

from potentia.checks import did_you_mean
from potentia.errors import ConfigError, TrainingError
from potentia.storage import write_text
from potentia.study import SpawnedProcesses, Task, fan_out, read_yaml, settle, write_yaml
from potentia.study.claims import claimed
from potentia.trajectories.study import Study
from potentia.trajectories.study_data import DEFAULTS
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.training_config import TrajectoryTrainingConfig
from potentia.trajectories.tuning_config import FREE, TunedSurrogate, TuningConfig
from potentia.trajectories.tuning_work import COUNTED, do_trials, study_mapping

__all__ = ["BEST", "Tuning"]

BEST = "best.yaml"
"""Name of the file with the best settings, in the form of ``surrogate_configs``."""


class Tuning:
    """A search for settings; its files are in ``tuned/<tuning_id>/`` below a root.

    Args:
        config: All settings.
        root: Directory with ``datasets/`` and ``tuned/``.

    Raises:
        ConfigError: a surrogate or a setting of its space is unknown, or the data cannot be found.
    """

    def __init__(self, config: TuningConfig, root: Path) -> None:
        for one in config.surrogates:
            _check_names(one)
        self.study = Study.from_config(study_mapping(config, {}), root=root)
        dataset = self.study.config.dataset.to_mapping()
        self.config = TuningConfig(**{**vars(config), "dataset": dataset})
        self.root = root

    @classmethod
    def from_config(
        cls, config: str | os.PathLike[str] | Mapping[str, Any], *, root: str | os.PathLike[str] = "."
    ) -> Tuning:
        """Return the search of a YAML file or of its content."""
        mapping = config if isinstance(config, Mapping) else read_yaml(config)
        return cls(TuningConfig.from_mapping(mapping), Path(root))

    @property
    def directory(self) -> Path:
        """Directory of the files."""
        return self.root / "tuned" / self.config.tuning_id

    @property
    def url(self) -> str:
        """Of the database."""
        return self.config.storage or f"sqlite:///{self.directory.absolute() / 'optuna.db'}"

    def run(self, *, on_mismatch: str = "error") -> dict[str, dict[str, Any]]:
        """Do the trials that are left, and return the best settings by surrogate; they are in ``best.yaml`` too.

        Args:
            on_mismatch: When the directory holds a search with other settings, see `potentia.study.settle`; more
                trials, other devices or another database are no other settings.

        Raises:
            ConfigError: the directory holds another search, or a search is at work there.
            TrainingError: trials have failed for another reason than their numbers or memory; the message has it.
        """
        if on_mismatch == "restart" and self.config.storage:
            raise ConfigError("a search in a database of its own is not begun anew: give it another tuning_id")
        holds = settle(self.directory, self.config.to_mapping(), on_mismatch, FREE)
        config = TuningConfig.from_mapping({**holds, "surrogates": list(holds["surrogates"].values())})
        with claimed(self.directory, "search", wait=False) as ours:
            if not ours:
                raise ConfigError(f"a search is at work in {self.directory}")
            for one in config.surrogates:
                self._search(config, one)
                write_yaml(self.directory / BEST, self.best())
                frame = self.trials(one.name).to_csv(index=False, lineterminator="\n")
                write_text(self.directory / f"{one.name.lower()}_trials.csv", frame)
        return self.best()

    def best(self) -> dict[str, dict[str, Any]]:
        """Return the settings with the lowest error that were found, by surrogate."""
        found = {}
        for one in self.config.surrogates:
            done = self._opened(self.config, one).get_trials(states=(TrialState.COMPLETE,))
            if done:
                best = min(done, key=lambda trial: trial.values[0])
                found[one.name] = {**one.settings, **best.params}
        return found

    def trials(self, surrogate: str) -> pd.DataFrame:
        """Return one row for each trial of a surrogate, as Optuna has them."""
        (one,) = (one for one in self.config.surrogates if one.name == surrogate)
        return self._opened(self.config, one).trials_dataframe()

    def promote(self) -> Path:
        """Write the best settings beside the data, where studies take them for defaults, and return the file.

        Settings of other surrogates that are there stay.

        Raises:
            ConfigError: nothing was found yet.
        """
        file = self.directory / BEST
        if not file.is_file():
            raise ConfigError(f"there is no {file}: search first")
        target = self.study.path.with_name(DEFAULTS)
        before = read_yaml(target) if target.is_file() else {}
        write_yaml(target, {**before, **read_yaml(file)})
        return target

    def _search(self, config: TuningConfig, one: TunedSurrogate) -> None:
        search = self._opened(config, one)
        for trial in search.get_trials(states=(TrialState.RUNNING,)):  # of processes that are no more
            search.tell(trial.number, state=TrialState.FAIL)
        left = one.trials - len(search.get_trials(states=COUNTED))
        if left <= 0:
            return
        slots = config.devices[:left]
        tasks = [
            Task(f"slot {k}", partial(do_trials, config, str(self.root), one.name, self.url, device, k), config.threads)
            for k, device in enumerate(slots)
        ]
        own = SpawnedProcesses(len(slots)) if len(slots) > 1 else None
        try:
            failed = [end for end in fan_out(tasks, own) if end.error is not None]
        finally:
            if own is not None:
                own.shutdown(cancel_futures=True)
        if failed:
            raise TrainingError(
                f"trials of {one.name} failed: {failed[0].error}; what is done stays\n{failed[0].traceback}"
            )

    def _opened(self, config: TuningConfig, one: TunedSurrogate) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        goals = [optuna.study.StudyDirection.MINIMIZE] * (2 if config.multi_objective else 1)
        name = f"{config.tuning_id}_{one.name.lower()}"
        self.directory.mkdir(parents=True, exist_ok=True)
        return optuna.create_study(storage=self.url, study_name=name, directions=goals, load_if_exists=True)


def _check_names(one: TunedSurrogate) -> None:
    if one.name not in SURROGATES:
        raise ConfigError(f"there is no surrogate {one.name!r}{did_you_mean(one.name, SURROGATES)}")
    known = {
        field.name for kind in (SURROGATES[one.name].config_class, TrajectoryTrainingConfig) for field in fields(kind)
    }
    for name in one.optuna_params:
        if name not in known:
            raise ConfigError(f"{one.name} has no setting {name!r} to search{did_you_mean(name, sorted(known))}")
