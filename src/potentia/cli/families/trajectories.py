"""Surrogates of trajectories on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from potentia.cli.families.base import Family, Look
from potentia.cli.families.committees import (
    FREE_OF_MEMBERS,
    Members,
    as_committee,
    calibrated,
    committee_in,
    spread_tables,
)
from potentia.cli.families.files import family_of_hdf5, own_file, write_table
from potentia.cli.families.one_file import OneFile
from potentia.cli.families.trajectories_jobs import AloneJob, TogetherJob, errors_alone, errors_of_mean
from potentia.cli.families.trajectories_settings import TrajectorySettings
from potentia.runs import Job, Trained
from potentia.runs.models import kind_of
from potentia.train.loop_settings import FREE
from potentia.trajectories.committee import TrajectoryCommittee
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.hdf5 import read_trajectories
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.scaling import Preprocessing
from potentia.trajectories.state_table import state_table
from potentia.trajectories.surrogates import SURROGATES, surrogate_in
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["FAMILY"]


class TrajectoryFamily(Family):
    """From an initial state, times and parameters to states."""

    name = "trajectories"
    settings_class = TrajectorySettings
    kinds = frozenset({TrajectoryCommittee.kind, *(cls.kind for cls in SURROGATES.values())})
    free = FREE
    free_besides = FREE_OF_MEMBERS

    def recognises(self, paths: Sequence[Path]) -> bool:
        """Whether there are the three arrays."""
        return family_of_hdf5(paths[0]) == self.name

    def look(self, paths: Sequence[Path], named: Sequence[str]) -> Look:
        """Look at trajectories."""
        data = read_trajectories(own_file(paths, self.name))
        positive = all(bool((part.states > 0).all()) for part in (data.train, data.test, data.val))
        parameters = data.train.parameters
        log_parameters = parameters is not None and bool((parameters > 0).all())
        points = data.train.states.shape[0] * len(data.train.times)
        nodes = 64 if points < 20_000 else 128 if points < 500_000 else 256
        settings = TrajectorySettings(
            data=OneFile(file=named[0]),
            network=FullyConnectedConfig(
                hidden_size=nodes, num_hidden_layers=3, activation="tanh", hard_initial_condition=True
            ),
            preprocessing=Preprocessing(log10_transform=positive, log10_transform_params=log_parameters),
            training=TrajectoryTrainingConfig(
                epochs=200,
                batch_size=int(np.clip(points // 50, 64, 4096)),
                learning_rate=2e-3,
                optimizer="soap",
                seed=1,
                show_progress=True,
            ),
        )
        counts = " + ".join(str(len(part)) for part in (data.train, data.test, data.val))
        saw = (
            f"{data.name}: {counts} trajectories to train on, to choose by and held out",
            f"{len(data.train.times)} times from {data.horizon[0]:g} to {data.horizon[1]:g}; "
            f"{data.train.n_quantities} quantities, {data.train.n_parameters} parameters",
            "all states are positive: log10 of them is learned"
            if positive
            else "some states are not positive: no log10",
        )
        shown = {
            "data": ("file",),
            "network": ("hard_initial_condition", "hidden_size", "num_hidden_layers", "activation"),
            "preprocessing": ("log10_transform", "log10_transform_params", "normalise", "tolerance", "log_timesteps"),
            "training": (
                "epochs", "batch_size", "learning_rate", "optimizer", "scheduler", "seed", "early_stopping", "device",
                "show_progress",
            ),
        }  # fmt: skip
        why = {
            "network": f"One of {', '.join(cls.config_class.__name__ for cls in SURROGATES.values())}",
            "training.batch_size": f"Points of a batch, of {points}",
        }
        return Look(saw, settings, shown, why)

    def as_committee(self, look: Look, members: int) -> Look:
        """Return settings of a committee, whose error bars are learned from the held-out part."""
        return as_committee(look, members)

    def job(self, settings: TrajectorySettings) -> Job[Trained]:
        """Read the trajectories."""
        data = self._read(settings.files)
        if settings.committee is None:
            return AloneJob(settings, data)
        together = Members.of(settings, TrajectoryCommittee, lambda path: self._read([path]).val)
        return TogetherJob(settings, data, together)

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Predict the held-out trajectories at their times; of a committee, mean, spread and intervals."""
        part = read_trajectories(own_file(data, self.name), allow_shared=True).val
        asked = (part.initial_states, part.times, part.parameters)
        if kind_of(model) == TrajectoryCommittee.kind:
            table = TrajectoryCommittee.load(model).predict(*asked).frame()
        else:
            table = state_table(surrogate_in(model).predict(*asked), part.times, part.labels)
        if out is not None:
            write_table(out, table)
        return table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare with the held-out part; baselines are fitted to the training part."""
        return self.tables(model, data)["errors"]

    def tables(self, model: Path, data: Sequence[Path]) -> Mapping[str, pd.DataFrame]:
        """Compare with the held-out part; of a committee, also tell what its error bars hold."""
        found = self._read(data)
        if kind_of(model) != TrajectoryCommittee.kind:
            return {"errors": errors_alone(surrogate_in(model), found)}
        committee = TrajectoryCommittee.load(model)
        return {"errors": errors_of_mean(committee, found), **spread_tables(committee, found.val)}

    def calibrate(self, model: Path, data: Sequence[Path], level: float) -> Mapping[str, pd.DataFrame]:
        """Learn the error bars of a committee from half of the held-out part, and write them into its file."""
        return calibrated(committee_in(model, TrajectoryCommittee, "surrogate"), model, self._read(data).val, level)

    def _read(self, data: Sequence[Path]) -> TrajectoryData:
        return read_trajectories(own_file(data, self.name))


FAMILY = TrajectoryFamily()
