"""Surrogates of trajectories on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from potentia.cli.families.base import Family, Look
from potentia.cli.families.files import family_of_hdf5, own_file, write_table
from potentia.cli.families.one_file import OneFile, OneFileSettings
from potentia.errors import ConfigError
from potentia.runs import Job, RunDirectory, Trained
from potentia.runs.models import kind_of
from potentia.train import Forecast
from potentia.train.loop_settings import FREE
from potentia.trajectories.baselines import Baseline, fit_baselines
from potentia.trajectories.dataset import PARTS, Trajectories, TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.evaluation.accuracy import relative_errors
from potentia.trajectories.hdf5 import read_trajectories
from potentia.trajectories.networks.base import NetworkConfig
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.scaling import Preprocessing
from potentia.trajectories.surrogates import SURROGATES
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


@dataclass(frozen=True)
class TrajectoryJob(Job[Trained]):
    """Trajectories and a surrogate that is to learn them."""

    settings: TrajectorySettings
    data: TrajectoryData

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes."""
        parts = zip(PARTS, (self.data.train, self.data.test, self.data.val), strict=True)
        return {"sha256": self.data.mark(), "trajectories": {name: len(part) for name, part in parts}}

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        return self.settings.untrained().forecast(self.data, self.settings.training)

    def train(self, directory: RunDirectory, resume_from: Path | None) -> Trained:
        """Train, or go on."""
        surrogate = self.settings.untrained()
        config = replace(self.settings.training, checkpoint_dir=str(directory.checkpoints))
        out = surrogate.train(self.data, config, resume_from)
        return Trained(surrogate, out, None if out.resumable else _errors(surrogate, self.data))


class TrajectoryFamily(Family):
    """From an initial state, times and parameters to states."""

    name = "trajectories"
    settings_class = TrajectorySettings
    kinds = frozenset(cls.kind for cls in SURROGATES.values())
    free = FREE

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

    def job(self, settings: TrajectorySettings) -> Job[Trained]:
        """Read the trajectories."""
        return TrajectoryJob(settings, read_trajectories(own_file(settings.files, self.name)))

    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Predict the held-out trajectories at their times."""
        part = read_trajectories(own_file(data, self.name), allow_shared=True).val
        states = _load(model).predict(part.initial_states, part.times, part.parameters)
        rows = {
            "trajectory": np.repeat(np.arange(len(part)), len(part.times)),
            "time": np.tile(part.times, len(part)),
            **{name: states[:, :, k].ravel() for k, name in enumerate(part.labels)},
        }
        table = pd.DataFrame(rows)
        if out is not None:
            write_table(out, table)
        return table

    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Compare with the held-out part; baselines are fitted to the training part."""
        return _errors(_load(model), read_trajectories(own_file(data, self.name)))


def _load(model: Path) -> TrajectorySurrogate:
    kind = kind_of(model)
    return next(cls for cls in SURROGATES.values() if cls.kind == kind).load(model)


def _errors(surrogate: TrajectorySurrogate, data: TrajectoryData) -> pd.DataFrame:
    """Return a row for the surrogate and each baseline: errors of scaled states, and relative ones."""
    predictors: dict[str, TrajectorySurrogate | Baseline] = {
        "surrogate": surrogate,
        **fit_baselines(data, surrogate.preprocessing),
    }
    part: Trajectories = data.val
    truth = surrogate.scaling_.states(torch.from_numpy(part.states))
    rows = []
    for name, one in predictors.items():
        found = one.predict(part.initial_states, part.times, part.parameters)
        scaled = surrogate.scaling_.states(torch.from_numpy(found)) - truth
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
