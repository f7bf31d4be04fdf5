"""Several parameter networks, trained side by side and asked together: what they agree on, and how far they differ."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Literal, Self, final

import numpy as np
import pandas as pd

from potentia.dynamics.committee_calibration import learned
from potentia.dynamics.committee_member import MemberTraining
from potentia.dynamics.committee_prediction import CommitteePrediction
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.ensemble import (
    CommitteeConfig,
    CommitteeTrainResult,
    EstimatorCommittee,
    MemberResult,
    SpreadCalibration,
    bars_of_members,
)
from potentia.errors import NotFittedError

__all__ = ["DynamicsCommittee"]


@final
class DynamicsCommittee(EstimatorCommittee[DynamicsParameterNet]):
    """Parameter networks of one recipe whose predictions are put together, with their spread.

    The members differ in the seed of their weights and batches, and, if asked for, in the windows they see.

    Args:
        net: The network that all members are like; what it has learned itself is not used.

    Example:
        >>> DynamicsCommittee(DynamicsParameterNet("unicycle")).is_trained()
        False
    """

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
        interrupt, the same call trains what is missing, from the checkpoints where there are any. A member equals a
        single network trained with its seed, unless ``resample`` gives it a part of the windows.

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
        config = DynamicsTrainingConfig() if config is None else config
        wanted = CommitteeConfig(num_members=5) if committee_config is None else committee_config
        wanted.require_separate("networks of dynamics")
        recipe = type(self.net)(**self.net.get_params())
        work = MemberTraining(recipe, bars_of_members(config, wanted, executor), wanted, data, validation)
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

    def calibrate(
        self,
        data: FeatureDataset,
        *,
        level: float = 0.9,
        blocks: Literal["windows", "logs"] = "windows",
    ) -> SpreadCalibration:
        """Learn from held-out windows how wide intervals must be, and keep that beside the members.

        Args:
            data: Windows of logs that were used neither to train nor to choose the weights.
            level: Share of the true states that intervals are to hold.
            blocks: What is independent of each other: windows that share no rows, or whole logs.

        Warns:
            PotentiaWarning: there are too few windows or logs for this level.
        """
        found = learned(self.load_members(), data, level=level, blocks=blocks)
        self._keep(found)
        return found

    def coverage(self, data: FeatureDataset) -> pd.DataFrame:
        """Return a row for each state: the share of true states within the intervals, and the mean half-width.

        Raises:
            NotFittedError: it is not calibrated yet.
        """
        if self.calibration is None:
            text = "this committee has no intervals yet; call `calibrate` with held-out windows first"
            raise NotFittedError(text, page="dynamics.md#committees-and-intervals")
        return self.predict(data).coverage(data)

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

    def __repr__(self) -> str:
        return f"DynamicsCommittee({self.net!r}, members={self._n_members})"


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
