"""Several surrogates of trajectories, trained side by side and asked together: their mean, and how far they differ."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.ensemble import (
    CalibratedCommittee,
    CommitteeConfig,
    CommitteeTrainResult,
    HeldOut,
    MemberResult,
    SpreadCalibration,
    Words,
    bars_of_members,
    forecast_of_all,
    require_several,
)
from potentia.train import Forecast
from potentia.train.stopping import deadline_of
from potentia.trajectories.committee.measured import held_out
from potentia.trajectories.committee.member import MemberTraining
from potentia.trajectories.committee.prediction import CommitteePrediction
from potentia.trajectories.committee.windows import TimeWindows
from potentia.trajectories.dataset import Trajectories, TrajectoryData
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.surrogates import SURROGATES, surrogate_in
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["CommitteeMean", "TrajectoryCommittee", "require_fit"]


@final
class TrajectoryCommittee(CalibratedCommittee[TrajectorySurrogate, Trajectories]):
    """Surrogates of one recipe whose states are put together, with their spread.

    The members differ in the seed of their weights and batches, and, if asked for, in the trajectories they see. Where
    they learn log10 of the states, mean, spread and intervals are of log10 too: an error of 0.01 dex is one of 2 %,
    whatever the size of the state.

    Args:
        surrogate: The surrogate that all members are like; what it has learned itself is not used.

    Example:
        >>> from potentia.trajectories import FullyConnected
        >>> TrajectoryCommittee(FullyConnected()).is_trained()
        False
    """

    kind = "committee of trajectory surrogates"
    words = Words(
        pieces="trajectories", quantity="quantity", of="state", by_step="time_windows", steps="window of time"
    )

    def __init__(self, surrogate: TrajectorySurrogate) -> None:
        super().__init__()
        self.surrogate = surrogate

    def train(
        self,
        data: TrajectoryData,
        config: TrajectoryTrainingConfig,
        committee_config: CommitteeConfig | None = None,
        *,
        executor: Executor | None = None,
    ) -> CommitteeTrainResult[MemberResult]:
        """Train the members, and write model, history and summary of each into a directory.

        Members that the directory has already are kept if data and settings are the same: after a failure or an
        interrupt, the same call trains what is missing, from the checkpoints where there are any (``checkpoint_dir``
        is not None). ``config.max_time`` is for all members together. A member equals a single surrogate trained with
        its seed, unless ``resample`` gives it a part of the training part: whole trajectories, for the times of one are
        not independent.

        Args:
            data: Trajectories; ``data.val`` is not looked at.
            config: Settings of each training.
            committee_config: How many members, from which seeds, where; five members if None.
            executor: Who trains the members: any executor of `concurrent.futures` whose workers see the same files.

        Raises:
            ConfigError: settings do not fit, or the directory holds a committee of other data or settings.
            DataError: a state or parameter cannot be used.
            TrainingError: members have failed; the others are trained.
        """
        begun = time.time()
        wanted = CommitteeConfig(num_members=5) if committee_config is None else committee_config
        require_fit(wanted)
        surrogate = self.surrogate
        surrogate.preprocessing.fit(data.train, data.horizon)  # what is refused, is refused before there are files
        deadline = deadline_of(config.max_time, begun)
        each = bars_of_members(config, wanted, executor)
        work = MemberTraining(type(surrogate), surrogate.recipe(), each, wanted, data, deadline)
        identity = {"recipe": self.recipe(), "config": config.fingerprint(), "data": data.mark()}
        return self._carry_out(work, wanted, config, executor, recipe=self.recipe(), identity=identity)

    def forecast(
        self, data: TrajectoryData, config: TrajectoryTrainingConfig, committee_config: CommitteeConfig | None = None
    ) -> Forecast:
        """Say how long the same call of `train` would take: the first batches of one member are measured.

        An epoch is one of all members: as many at a time as ``max_parallel`` says, with the threads that each has then;
        memory is that of as many processes.
        """
        wanted = CommitteeConfig(num_members=5) if committee_config is None else committee_config
        require_fit(wanted)
        alone = replace(config, seed=wanted.seeds(config.seed)[0], device=wanted.device_of(0, config.device))
        return forecast_of_all(wanted, lambda: self.surrogate.forecast(data, alone))

    def predict(
        self,
        initial_states: ArrayLike,
        times: ArrayLike,
        parameters: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
    ) -> CommitteePrediction:
        """Return the states of all members at any times, and how far they differ; intervals where it is calibrated.

        Arguments, errors and warnings are those of `TrajectorySurrogate.predict`.

        Raises:
            NotFittedError: there are no trained members.
        """
        members = self.load_members()
        found = [one.predict(initial_states, times, parameters, batch_size=batch_size) for one in members]
        return CommitteePrediction(
            member_states=np.stack(found),
            times=np.asarray(times, dtype=np.float64),
            labels=members[0].scaling_.labels,
            scale=self._scale,
            calibration=self.calibration,
        )

    def mean(self) -> CommitteeMean:
        """Return what the members say in the mean as a predictor, such as `evaluate` takes."""
        self.load_members()
        return CommitteeMean(self)

    def recipe(self) -> dict[str, Any]:
        """Return class, network and preprocessing of the members as plain values."""
        return {"surrogate": type(self.surrogate).__name__, **self.surrogate.recipe()}

    @classmethod
    def member_in(cls, path: Path) -> TrajectorySurrogate:
        """Read a member, of any class, from its file."""
        return surrogate_in(path)

    def __repr__(self) -> str:
        return f"TrajectoryCommittee({self.surrogate!r}, members={self._n_members})"

    @property
    def _scale(self) -> ErrorScale:
        known = self.surrogate.preprocessing
        return ErrorScale.learned(log10=known.log10_transform, tolerance=known.tolerance)

    def _asked(self, pieces: Trajectories, calibration: SpreadCalibration | None) -> HeldOut:
        windows = TimeWindows.of(pieces.times) if calibration is None else TimeWindows(calibration.edges)
        found = self.predict(pieces.initial_states, pieces.times, pieces.parameters)
        require_several(len(found.member_states))
        return held_out(found, pieces, windows)

    @classmethod
    def _restored(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> TrajectorySurrogate:
        return SURROGATES[recipe["surrogate"]].from_parts(recipe, learned)

    @classmethod
    def _like(cls, member: TrajectorySurrogate) -> Self:
        return cls(type(member).from_recipe(member.recipe()))

    @staticmethod
    def _apart(one: TrajectorySurrogate, other: TrajectorySurrogate) -> str:
        mine, theirs = one.scaling_, other.scaling_
        pairs = {
            "another class": (type(one), type(other)),
            "another network": (one.network, other.network),
            "another preprocessing": (one.preprocessing, other.preprocessing),
            "other quantities": (mine.labels, theirs.labels),
            "other parameters": (mine.parameter_labels, theirs.parameter_labels),
            "another horizon": (mine.time_map, theirs.time_map),
        }
        return next((what for what, (a, b) in pairs.items() if a != b), "")


@final
@dataclass(frozen=True, eq=False)
class CommitteeMean:
    """The mean of a committee wherever a predictor is wanted."""

    committee: TrajectoryCommittee
    """Who is asked."""

    def predict(
        self,
        initial_states: NDArray[np.float64],
        times: NDArray[np.float64],
        parameters: NDArray[np.float64] | None = None,
        /,
    ) -> NDArray[np.float64]:
        """Return the mean of the members' states.  [trajectories, times, quantities]"""
        return self.committee.predict(initial_states, times, parameters).states


def require_fit(wanted: CommitteeConfig) -> None:
    """Raise `ConfigError` where a committee of surrogates cannot be trained so."""
    wanted.require_separate("surrogates of trajectories")
