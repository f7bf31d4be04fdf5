"""Surrogates of trajectories on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import pandas as pd
import torch

from potentia.cli.families.base import Family, Look
from potentia.cli.families.committees import (
    FREE_OF_MEMBERS,
    Members,
    as_committee,
    bar_tables,
    calibrated,
    committee_in,
)
from potentia.cli.families.files import family_of_hdf5, own_file, write_table
from potentia.cli.families.one_file import OneFile, OneFileSettings
from potentia.errors import ConfigError
from potentia.runs import Job, RunDirectory, Trained
from potentia.runs.models import kind_of
from potentia.train import Forecast
from potentia.train.loop_settings import FREE
from potentia.trajectories.baselines import fit_baselines
from potentia.trajectories.committee import TrajectoryCommittee
from potentia.trajectories.committee.committee import require_fit
from potentia.trajectories.dataset import PARTS, Trajectories, TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.evaluation.accuracy import relative_errors
from potentia.trajectories.evaluation.predictor import Predictor
from potentia.trajectories.hdf5 import read_trajectories
from potentia.trajectories.networks.base import NetworkConfig
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.results import TrainOut
from potentia.trajectories.scaling import Preprocessing
from potentia.trajectories.state_table import state_table
from potentia.trajectories.surrogates import SURROGATES, surrogate_in
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["FAMILY"]


@dataclass(frozen=True, kw_only=True)
class TrajectorySettings(OneFileSettings):
    """The training of a surrogate of trajectories."""

    network: NetworkConfig
    """Settings of the network; their class says which surrogate it is."""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    """What states, parameters and times go through."""
    training: TrajectoryTrainingConfig
    """How to train."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.untrained()
        if self.committee is not None:
            require_fit(self.committee)

    @property
    def config(self) -> TrajectoryTrainingConfig:
        """Settings of the training."""
        return self.training

    def trained_by(self, config: TrajectoryTrainingConfig) -> Self:
        """Return them with other settings of the training."""
        return replace(self, training=config)

    def untrained(self) -> TrajectorySurrogate:
        """Return the surrogate.

        Raises:
            ConfigError: no surrogate has such a network.
        """
        for cls in SURROGATES.values():
            if cls.config_class is type(self.network):
                return cls(self.network, preprocessing=self.preprocessing)
        raise ConfigError(f"network: no surrogate is made of {type(self.network).__name__}")

    def untrained_committee(self) -> TrajectoryCommittee:
        """Return the committee."""
        return TrajectoryCommittee(self.untrained())


@dataclass(frozen=True)
class TrajectoryJob(Job[Trained]):
    """Trajectories and what is to learn them."""

    settings: TrajectorySettings
    data: TrajectoryData

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes."""
        parts = zip(PARTS, (self.data.train, self.data.test, self.data.val), strict=True)
        return {"sha256": self.data.mark(), "trajectories": {name: len(part) for name, part in parts}}


@final
@dataclass(frozen=True)
class AloneJob(TrajectoryJob):
    """One surrogate is to learn them."""

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        return self.settings.untrained().forecast(self.data, self.settings.training)

    def train(self, directory: RunDirectory, resume_from: Path | None) -> Trained:
        """Train, or go on."""
        surrogate = self.settings.untrained()
        config = replace(self.settings.training, checkpoint_dir=str(directory.checkpoints))
        out = surrogate.train(self.data, config, resume_from)
        return Trained(surrogate, out, None if out.resumable else _alone(surrogate, self.data))


@final
@dataclass(frozen=True)
class TogetherJob(TrajectoryJob):
    """A committee is to learn them."""

    together: Members[Trajectories]
    """What is asked of the committee."""

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes, also of what error bars are learned from."""
        return self.together.mark(super().mark(), "trajectories")

    def forecast(self) -> Forecast:
        """Measure how long the training of all members would take."""
        return self.settings.untrained_committee().forecast(self.data, self.settings.training, self.together.wanted)

    def train(self, directory: RunDirectory, resume_from: Path | None) -> Trained:
        """Train the members, or those of them that are missing, each to its end; then learn the error bars."""
        committee = self.settings.untrained_committee()
        curves = partial(TrainOut, dex=self.settings.preprocessing.log10_transform)
        train = partial(committee.train, self.data)
        found = self.together.train(committee, directory, self.settings.training, train, curves)
        return found if found.out.resumable else replace(found, errors=_of_mean(committee, self.data))


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
            return {"errors": _alone(surrogate_in(model), found)}
        committee = TrajectoryCommittee.load(model)
        return {"errors": _of_mean(committee, found), **bar_tables(committee, found.val)}

    def calibrate(self, model: Path, data: Sequence[Path], level: float) -> Mapping[str, pd.DataFrame]:
        """Learn the error bars of a committee from half of the held-out part, and write them into its file."""
        return calibrated(committee_in(model, TrajectoryCommittee, "surrogate"), model, self._read(data).val, level)

    def _read(self, data: Sequence[Path]) -> TrajectoryData:
        return read_trajectories(own_file(data, self.name))


def _alone(surrogate: TrajectorySurrogate, data: TrajectoryData) -> pd.DataFrame:
    return _errors({"surrogate": surrogate}, surrogate, data)


def _of_mean(committee: TrajectoryCommittee, data: TrajectoryData) -> pd.DataFrame:
    return _errors({"committee": committee.mean()}, committee.load_members()[0], data)


def _errors(asked: Mapping[str, Predictor], like: TrajectorySurrogate, data: TrajectoryData) -> pd.DataFrame:
    """Return a row for what is asked and each baseline: errors of states scaled ``like`` it does, and relative ones."""
    predictors = {**asked, **fit_baselines(data, like.preprocessing)}
    part: Trajectories = data.val
    truth = like.scaling_.states(torch.from_numpy(part.states))
    rows = []
    for name, one in predictors.items():
        found = one.predict(part.initial_states, part.times, part.parameters)
        scaled = like.scaling_.states(torch.from_numpy(found)) - truth
        relative = relative_errors(found, part.states)
        rows.append({
            "predictor": name,
            "RMSE_scaled": float(scaled.square().mean().sqrt()),
            "MAE": float(np.abs(found - part.states).mean()),
            "median_relative": float(np.nanmedian(relative)),
            "mean_relative": float(np.nanmean(relative)),
        })  # fmt: skip
    return pd.DataFrame(rows)


FAMILY = TrajectoryFamily()
