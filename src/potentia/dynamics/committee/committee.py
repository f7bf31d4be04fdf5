"""Several parameter networks, trained side by side and asked together: what they agree on, and how far they differ."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from potentia.dynamics.committee.measured import held_out
from potentia.dynamics.committee.member import MemberTraining
from potentia.dynamics.committee.prediction import CommitteePrediction
from potentia.dynamics.dataset import Blocks, FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.ensemble import (
    CalibratedCommittee,
    CalibrateResult,
    CommitteeConfig,
    CommitteeTrainResult,
    HeldOut,
    MeasuredBars,
    MemberResult,
    Method,
    SpreadCalibration,
    Words,
    bars_of_members,
    forecast_of_all,
)
from potentia.errors import DataError, warn_user
from potentia.train import Forecast
from potentia.train.stopping import deadline_of

__all__ = ["CommitteeMean", "DynamicsCommittee"]


@final
class DynamicsCommittee(CalibratedCommittee[DynamicsParameterNet, FeatureDataset]):
    """Parameter networks of one recipe whose predictions are put together, with their spread.

    The members differ in the seed of their weights and batches, and, if asked for, in the windows they see.

    Args:
        net: The network that all members are like; what it has learned itself is not used.

    Example:
        >>> DynamicsCommittee(DynamicsParameterNet("unicycle")).is_trained()
        False
    """

    kind = "committee of parameter networks"
    words = Words(
        pieces="windows",
        quantity="state",
        of="state",
        by_step="lead_times",
        steps="step of the window",
        time="time (s)",
    )

    def __init__(self, net: DynamicsParameterNet) -> None:
        super().__init__()
        self.net = net

    def train(
        self,
        data: FeatureDataset,
        config: DynamicsTrainingConfig | None = None,
        committee_config: CommitteeConfig | None = None,
        validation: FeatureDataset | None = None,
        *,
        executor: Executor | None = None,
    ) -> CommitteeTrainResult[MemberResult]:
        """Train the members, and write model, history and summary of each into a directory.

        Members that the directory has already are kept if data and settings are the same: after a failure or an
        interrupt, the same call trains what is missing, from the checkpoints where there are any. ``config.max_time``
        is for all members together. A member equals a single network trained with its seed, unless ``resample`` gives
        it a part of the windows.

        Args:
            data: Windows to fit.
            config: Settings of each training; ``DynamicsTrainingConfig()`` if None.
            committee_config: How many members, from which seeds, where; five members if None.
            validation: Windows of other logs, the same for all members.
            executor: Who trains the members: any executor of `concurrent.futures` whose workers see the same files.

        Raises:
            DataError: the windows are of another model, or lack what the networks are to see.
            ConfigError: settings do not fit, or the directory holds a committee of other data or settings.
            TrainingError: members have failed; the others are trained.
        """
        begun = time.time()
        config = DynamicsTrainingConfig() if config is None else config
        wanted = CommitteeConfig(num_members=5) if committee_config is None else committee_config
        wanted.require_separate("networks of dynamics")
        recipe = type(self.net)(**self.net.get_params())
        each, deadline = bars_of_members(config, wanted, executor), deadline_of(config.max_time, begun)
        work = MemberTraining(recipe, each, wanted, data, validation, deadline)
        return self._carry_out(work, wanted, config, executor, recipe=recipe.recipe(), identity=_identity(work))

    def predict(self, data: FeatureDataset) -> CommitteePrediction:
        """Return states and parameters of all members, and how far they differ; intervals where it is calibrated.

        Args:
            data: Windows; their targets are not looked at.

        Raises:
            NotFittedError: there are no trained members.
            DataError: the windows are of another model, or lack what the networks see.
        """
        members = self.load_members()
        states = np.stack([member.predict(data) for member in members])
        params = [member.predict_params(data) for member in members]
        names = params[0].keys()
        return CommitteePrediction(
            spec=members[0].spec_,
            member_states=states,
            member_params={name: np.stack([one[name] for one in params]) for name in names},
            calibration=self.calibration,
        )

    def forecast(
        self,
        data: FeatureDataset,
        config: DynamicsTrainingConfig | None = None,
        committee_config: CommitteeConfig | None = None,
        validation: FeatureDataset | None = None,
    ) -> Forecast:
        """Say how long the same call of `train` would take: the first batches of one member are measured.

        An epoch is one of all members: as many at a time as ``max_parallel`` says, with the threads that each has then;
        memory is that of as many processes.
        """
        config = DynamicsTrainingConfig() if config is None else config
        wanted = CommitteeConfig(num_members=5) if committee_config is None else committee_config
        wanted.require_separate("networks of dynamics")
        alone = replace(config, seed=wanted.seeds(config.seed)[0], device=wanted.device_of(0, config.device))
        return forecast_of_all(wanted, lambda: self.net.forecast(data, alone, validation))

    def calibrate(
        self,
        samples: FeatureDataset,
        *,
        level: float = 0.9,
        method: Method | None = None,
        measure: float = 0.5,
        seed: int = 0,
        blocks: Blocks = "windows",
    ) -> CalibrateResult:
        """Learn from held-out windows how wide intervals must be, and keep that with the members.

        Each state and each step is learned by itself: errors grow along a window.

        Args:
            samples: Windows of logs that were used neither to train nor to choose the weights.
            level: Share of the true states that intervals are to hold.
            method: `SplitConformal` (None is that), by the errors themselves, or `Scaling`, one factor.
            measure: Part of them, drawn by what they follow from, that it is measured on instead.
            seed: Of this draw.
            blocks: What is independent of each other: windows that share no rows, or whole logs.

        Raises:
            DataError: there are less than two that are independent, or members can simulate none to its end.
            ConfigError: there is one member only.

        Warns:
            PotentiaWarning: there are too few for this level, or members cannot simulate some.
        """
        return super().calibrate(samples.in_blocks(blocks), level=level, method=method, measure=measure, seed=seed)

    def error_bars(self, samples: FeatureDataset, *, blocks: Blocks = "windows") -> MeasuredBars:
        """Measure what share of the errors the spread holds, and, where it is calibrated, the intervals.

        What the calibration was learned from is left out.

        Args:
            samples: Held-out windows.
            blocks: What is independent of each other: windows that share no rows, or whole logs.

        Raises:
            DataError: none is left.
            ConfigError: there is one member only.
        """
        return super().error_bars(samples.in_blocks(blocks))

    def mean(self) -> CommitteeMean:
        """Return what the members say in the mean as a predictor of states."""
        self.load_members()
        return CommitteeMean(self)

    def recipe(self) -> dict[str, Any]:
        """Return the settings of the network as plain values."""
        return self.net.recipe()

    @classmethod
    def member_in(cls, path: Path) -> DynamicsParameterNet:
        """Read a member from its file."""
        return DynamicsParameterNet.load(path)

    @classmethod
    def _like(cls, member: DynamicsParameterNet) -> Self:
        return cls(type(member)(**member.get_params()))

    @staticmethod
    def _apart(one: DynamicsParameterNet, other: DynamicsParameterNet) -> str:
        same = one.spec_.describe() == other.spec_.describe()
        return "" if same else "another model, or other bounds,"

    def _asked(self, pieces: FeatureDataset, calibration: SpreadCalibration | None) -> HeldOut:
        """Simulate, over all steps, those windows that all members can simulate."""
        found = self.predict(pieces)
        reached = np.isfinite(found.member_states).all((0, 3))  # [windows, steps]
        whole = np.asarray((reached | ~pieces.counted).all(1))
        if not whole.any():
            raise DataError(f"not all members can simulate any of these {len(pieces)} windows to its end")
        if not whole.all():
            left = f"{int((~whole).sum())} of {len(pieces)} windows are left out of the error bars"
            warn_user(f"{left}: not all members can simulate them to their end")
            found = replace(found, member_states=found.member_states[:, whole])
        return held_out(found, pieces.take(whole))

    @classmethod
    def _restored(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> DynamicsParameterNet:
        return DynamicsParameterNet.from_parts(recipe, learned)

    def __repr__(self) -> str:
        return f"DynamicsCommittee({self.net!r}, members={self._n_members})"


@final
@dataclass(frozen=True, eq=False)
class CommitteeMean:
    """The mean of a committee wherever a predictor is wanted."""

    committee: DynamicsCommittee
    """Who is asked."""

    def predict(self, dataset: FeatureDataset, /) -> NDArray[np.float64]:
        """Return the mean of the members' states.  [windows, steps, states]"""
        return self.committee.predict(dataset).states


def _identity(work: MemberTraining) -> Mapping[str, Any]:
    """Return what decides the result, as plain values."""
    validation = work.validation
    return {
        "recipe": work.net.recipe(),
        "model": work.net.spec_.describe(),
        "config": work.config.fingerprint(),
        "data": work.data.mark(),
        "validation": None if validation is None else validation.mark(),
    }
