"""Searching settings of surrogates by Optuna: trials in processes, one database, a file with the best."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from potentia.checks import did_you_mean
from potentia.config import differences
from potentia.errors import ConfigError, TrainingError
from potentia.storage import write_text
from potentia.study import SpawnedProcesses, Task, fan_out, read_yaml, settle, write_yaml
from potentia.study.claims import claimed
from potentia.study.snapshot import SNAPSHOT
from potentia.trajectories.study import Study
from potentia.trajectories.study_config import DatasetConfig
from potentia.trajectories.study_data import DEFAULTS, defaults_beside, find_data
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.training_config import TrajectoryTrainingConfig
from potentia.trajectories.tuning.config import FREE, TunedSurrogate, TuningConfig
from potentia.trajectories.tuning.expected import expected_trials, searched
from potentia.trajectories.tuning.figures import front_figure, fronts_figure, growth_figure, growths_figure
from potentia.trajectories.tuning.fine import fine_space, fine_summary, fine_trials, numbers_of
from potentia.trajectories.tuning.storage import database_url, without_password
from potentia.trajectories.tuning.tables import front_growth, on_front
from potentia.trajectories.tuning.work import COUNTED, FINISHED, do_trials, settings_of, study_mapping

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
        self.root = root
        self._given = config
        self.directory = root / "tuned" / config.tuning_id
        """Directory of the files."""
        self.url = database_url(config.storage, config.postgres_config, root, self.directory / "optuna.db")
        """Of the database, with its password."""
        self._storage: BaseStorage | None = None  # while it runs, when nobody may put another in its place
        snapshot = self.directory / SNAPSHOT
        begun_with = read_yaml(snapshot).get("defaults") if snapshot.is_file() else None
        self.config, self.study = self._resolved(begun_with)

    @classmethod
    def from_config(
        cls, config: str | os.PathLike[str] | Mapping[str, Any], *, root: str | os.PathLike[str] = "."
    ) -> Tuning:
        """Return the search of a YAML file or of its content."""
        mapping = config if isinstance(config, Mapping) else read_yaml(config)
        return cls(TuningConfig.from_mapping(mapping), Path(root))

    def run(self, *, on_mismatch: str = "error") -> dict[str, Any]:
        """Do the trials that are left, and return what `best` does; it is in ``best.yaml`` too.

        Args:
            on_mismatch: When the directory holds a search with other settings, see `potentia.study.settle`; more
                trials, other devices or another database are no other settings.

        Raises:
            ConfigError: the directory holds another search, or a search is at work there.
            TrainingError: trials have failed for another reason than their numbers or memory; the message has it.
        """
        if on_mismatch == "restart" and (self._given.storage or self._given.postgres_config):
            raise ConfigError("a search in a database of its own is not begun anew: give it another tuning_id")
        if on_mismatch == "restart" and self.differs:
            self.config, self.study = self._resolved(None)
        holds = settle(self.directory, self.config.to_mapping(), on_mismatch, FREE)
        config = TuningConfig.from_mapping({**holds, "surrogates": list(holds["surrogates"].values())})
        with claimed(self.directory, "search", wait=False) as ours:
            if not ours:
                raise ConfigError(f"a search is at work in {self.directory}")
            self.config = config
            self._storage = self._reached()
            try:
                return self._search_all(config)
            finally:
                self._storage = None

    def best(self) -> dict[str, Any]:
        """Return what was found, by surrogate: the settings with the lowest error.

        With two objectives it is a list of the trials that no other is better than in both, the lowest error first:
        ``trial``, ``error``, ``seconds`` and ``settings`` of each.
        """
        front = {one.name: self.front(one.name) for one in self.config.surrogates}
        if self.config.multi_objective:
            return {name: rows for name, rows in front.items() if rows}
        return {name: rows[0]["settings"] for name, rows in front.items() if rows}

    def front(self, surrogate: str) -> list[dict[str, Any]]:
        """Return the best trials of a surrogate as rows: the first one is that with the lowest error.

        With one objective there is one, with two there are all that no other is better than in both.
        """
        one, table = self._named(surrogate), self.scores(surrogate)
        kept = table[table["on_front"]].sort_values("error")
        rows = kept if self.config.multi_objective else kept.head(1)
        drawn = {trial.number: trial.params for trial in self._opened(one).get_trials(deepcopy=False)}
        return [
            {str(name): value for name, value in row.items() if name != "on_front"}
            | {"settings": settings_of(self.config, one, drawn[row["trial"]])}
            for row in rows.to_dict("records")
        ]

    def scores(self, surrogate: str) -> pd.DataFrame:
        """Return one row for each trial of a surrogate that came to its end.

        Columns: ``trial``, ``error``, with two objectives ``seconds``, and ``on_front``: whether it is among the best.
        """
        done = self._opened(self._named(surrogate)).get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        done = [trial for trial in done if "exception" not in trial.user_attrs] or done
        names = ["error", "seconds"] if self.config.multi_objective else ["error"]
        points = np.array([trial.values for trial in done]).reshape(-1, len(names))
        table = pd.DataFrame(points, columns=names)
        table.insert(0, "trial", [trial.number for trial in done])
        return table.assign(on_front=on_front(points))

    def trials(self, surrogate: str) -> pd.DataFrame:
        """Return one row for each trial of a surrogate, as Optuna has them."""
        return self._opened(self._named(surrogate)).trials_dataframe()

    @property
    def space(self) -> pd.DataFrame:
        """What is searched: a row for each setting of each surrogate, see `searched`."""
        return searched(self.config)

    @property
    def differs(self) -> bool:
        """Whether the directory holds a search with other settings, which this one would not go on with."""
        snapshot = self.directory / SNAPSHOT
        return snapshot.is_file() and bool(differences(read_yaml(snapshot), self.config.to_mapping(), FREE))

    def forecast(self) -> pd.DataFrame:
        """Return a row for each surrogate with the trials that are left, and the time and memory that they need.

        Some trials with settings drawn at random are measured for some batches; nothing is written. The columns are
        those of `expected_trials`.
        """
        done: dict[str, int] = {}
        if (self.directory / SNAPSHOT).is_file() and not self.differs:
            found = optuna.get_all_study_summaries(self._reached())
            names = {one.study_name for one in found}
            mine = [one for one in self.config.surrogates if self._name(one) in names]
            done = {one.name: len(self._opened(one).get_trials(deepcopy=False, states=FINISHED)) for one in mine}
        return expected_trials(self.config, self.study, done)

    def promote(self, trials: Mapping[str, int] | None = None) -> Path:
        """Write the best settings beside the data, where studies take them for defaults, and return the file.

        Settings of other surrogates that are there stay.

        Args:
            trials: Surrogate → number of the trial whose settings are taken. With two objectives each surrogate needs
                one; with one objective it is else the best.

        Raises:
            ConfigError: nothing was found yet, or a trial must be chosen, or is not there.
        """
        file = self.directory / BEST
        if not file.is_file():
            raise ConfigError(f"there is no {file}: search first")
        chosen = dict(trials or {})
        for name in chosen:
            self._named(name)
        target = self.study.path.with_name(DEFAULTS)
        before = read_yaml(target) if target.is_file() else {}
        found = {name: self._chosen(name, chosen.get(name)) for name in self.best()}
        write_yaml(target, {**before, **found})
        return target

    def _chosen(self, surrogate: str, trial: int | None) -> dict[str, Any]:
        front, one = self.front(surrogate), self._named(surrogate)
        if trial is None and self.config.multi_objective:
            rows = "\n".join("  {trial}: error {error:.4g}, {seconds:.3g} s".format(**row) for row in front)
            raise ConfigError(f"choose a trial of {surrogate}; none is better than these in error and time:\n{rows}")
        if trial is None:
            return dict(front[0]["settings"])
        done = self._opened(one).get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        for known in done:
            if known.number == trial:
                return settings_of(self.config, one, known.params)
        raise ConfigError(
            f"{surrogate} has no completed trial {trial}; completed are {', '.join(str(one.number) for one in done)}"
        )

    def _resolved(self, defaults: Mapping[str, Any] | None) -> tuple[TuningConfig, Study]:
        """Return all settings, and a study by which their trials go; None for the defaults beside the data now."""
        config, dataset = self._given, DatasetConfig.of(self._given.dataset)
        if defaults is None:
            beside = defaults_beside(find_data(self.root, dataset.name)) if dataset.use_optimal_params else {}
            defaults = {one.name: beside[one.name] for one in config.surrogates if one.name in beside}
        config = replace(config, defaults=defaults)
        study = Study.from_config(study_mapping(config, {}), root=self.root)
        if config.fine:
            spaces = [fine_space(plan) for plan in study.config.surrogates]
            pairs = zip(config.surrogates, spaces, strict=True)
            fine = [replace(one, optuna_params=space, trials=fine_trials(space)) for one, space in pairs]
            config = replace(config, surrogates=tuple(fine))
        whole = {**study.config.dataset.to_mapping(), "use_optimal_params": dataset.use_optimal_params}
        return replace(config, dataset=whole), study

    def _report(self, one: TunedSurrogate) -> None:
        """Write tables of the trials of a surrogate, and with two objectives figures of them."""
        name = one.name.lower()
        self._write(f"{name}_trials.csv", self.trials(one.name))
        if self.config.fine:
            self._write_fine_summary()
        table = self.scores(one.name)
        if not self.config.multi_objective or table.empty:
            return
        growth = front_growth(table)
        self._write(f"pareto_{name}.csv", table[table["on_front"]].drop(columns="on_front"))
        self._write(f"hypervolume_{name}.csv", growth)
        front_figure(table, one.name, self._error, self.directory / f"pareto_front_{name}.png")
        growth_figure(growth, one.name, self.directory / f"hypervolume_{name}.png")

    def _report_together(self) -> None:
        """With two objectives and several surrogates, write figures that have all of them."""
        tables = {one.name: self.scores(one.name) for one in self.config.surrogates}
        tables = {name: table for name, table in tables.items() if not table.empty}
        if self.config.multi_objective and len(tables) > 1:
            fronts_figure(tables, self._error, self.directory / "pareto_front_grid.png")
            growths = {name: front_growth(table) for name, table in tables.items()}
            growths_figure(growths, self.directory / "hypervolume_normalized_combined.png")

    @property
    def goal(self) -> str:
        """What is made small, in words."""
        return f"{self._error}{', and the time of a prediction' if self.config.multi_objective else ''}"

    @property
    def _error(self) -> str:
        """What the error is."""
        return f"{100 * self.config.target_percentile:g} % quantile of the errors on the test part"

    def _write(self, file: str, frame: pd.DataFrame) -> None:
        write_text(self.directory / file, frame.to_csv(index=False, lineterminator="\n"))

    def _write_fine_summary(self) -> None:
        pairs = zip(self.config.surrogates, self.study.config.surrogates, strict=True)
        found = {
            one.name: fine_summary(one.optuna_params, self.front(one.name), numbers_of(plan))
            for one, plan in pairs
            if not self.scores(one.name).empty
        }
        write_yaml(self.directory / "fine_summary.yaml", found)

    def _named(self, surrogate: str) -> TunedSurrogate:
        known = {one.name: one for one in self.config.surrogates}
        if surrogate not in known:
            raise ConfigError(f"the search has no surrogate {surrogate!r}{did_you_mean(surrogate, known)}")
        return known[surrogate]

    def _search_all(self, config: TuningConfig) -> dict[str, Any]:
        for one in config.surrogates:
            self._search(config, one)
            write_yaml(self.directory / BEST, self.best())
            self._report(one)
        self._report_together()
        return self.best()

    def _search(self, config: TuningConfig, one: TunedSurrogate) -> None:
        search = self._opened(one)
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

    def _opened(self, one: TunedSurrogate) -> optuna.Study:
        goals = [optuna.study.StudyDirection.MINIMIZE] * (2 if self.config.multi_objective else 1)
        storage = self._storage or self._reached()
        return optuna.create_study(storage=storage, study_name=self._name(one), directions=goals, load_if_exists=True)

    def _name(self, one: TunedSurrogate) -> str:
        """Return what the search of a surrogate is called in the database."""
        return f"{self.config.tuning_id}_{one.name.lower()}"

    def _reached(self) -> BaseStorage:
        """Return the database; Optuna reads all its migrations for that, which takes a tenth of a second."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            return optuna.storages.get_storage(self.url)
        except ImportError as error:
            raise ConfigError(f"{without_password(self.url)} needs a driver: {error}") from None
        except OperationalError as error:
            said = " ".join(str(error.orig).split())
            raise ConfigError(f"{without_password(self.url)} cannot be reached: {said}") from None


def _check_names(one: TunedSurrogate) -> None:
    if one.name not in SURROGATES:
        raise ConfigError(f"there is no surrogate {one.name!r}{did_you_mean(one.name, SURROGATES)}")
    known = {
        field.name for kind in (SURROGATES[one.name].config_class, TrajectoryTrainingConfig) for field in fields(kind)
    }
    for name in one.optuna_params:
        if name not in known:
            raise ConfigError(f"{one.name} has no setting {name!r} to search{did_you_mean(name, sorted(known))}")
