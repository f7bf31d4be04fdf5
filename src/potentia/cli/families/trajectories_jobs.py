"""Trainings of one surrogate of trajectories and of a committee, their data read, and errors of what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import torch

from potentia.cli.families.committees import Members
from potentia.cli.families.trajectories_settings import TrajectorySettings
from potentia.runs import Job, RunDirectory, Trained
from potentia.train import Forecast
from potentia.trajectories.baselines import fit_baselines
from potentia.trajectories.committee import TrajectoryCommittee
from potentia.trajectories.dataset import PARTS, Trajectories, TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.evaluation.accuracy import relative_errors
from potentia.trajectories.predictor import Predictor
from potentia.trajectories.results import TrainOut

__all__ = ["AloneJob", "TogetherJob", "errors_alone", "errors_of_mean"]


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
        return Trained(surrogate, out, None if out.resumable else errors_alone(surrogate, self.data))


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
        return found if found.out.resumable else replace(found, errors=errors_of_mean(committee, self.data))


def errors_alone(surrogate: TrajectorySurrogate, data: TrajectoryData) -> pd.DataFrame:
    """Return a row for a surrogate and each baseline."""
    return _errors({"surrogate": surrogate}, surrogate, data)


def errors_of_mean(committee: TrajectoryCommittee, data: TrajectoryData) -> pd.DataFrame:
    """Return a row for the mean of a committee and each baseline."""
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
            "median_relative_error": float(np.nanmedian(relative)),
            "mean_relative_error": float(np.nanmean(relative)),
        })  # fmt: skip
    return pd.DataFrame(rows)
