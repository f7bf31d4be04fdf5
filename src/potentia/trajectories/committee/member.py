"""The training of one member of a committee of surrogates, where its process is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from potentia.ensemble import CommitteeConfig, Member, MemberEnd, carried_out, seen_by
from potentia.train import EpochNames
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.results import TrainOut
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["MemberTraining"]


@dataclass(frozen=True)
class MemberTraining:
    """What the training of each member needs; it can be sent to other processes."""

    kind: type[TrajectorySurrogate]
    """Class of all members."""
    recipe: Mapping[str, Any]
    """What they are like."""
    config: TrajectoryTrainingConfig
    """Settings that all members share."""
    committee: CommitteeConfig
    data: TrajectoryData
    """Trajectories, of whose training part a member may see a part."""
    deadline: float | None = None
    """When the time of the whole committee is up (s since the epoch of the clock)."""

    def __call__(self, member: Member) -> MemberEnd:
        """Train a member, from its newest checkpoint if there is one, and write its files."""
        return carried_out(member, self.config, self.deadline, partial(self._train, member), EpochNames())

    def _train(
        self, member: Member, config: TrajectoryTrainingConfig, newest: Path | None
    ) -> tuple[TrajectorySurrogate, TrainOut]:
        surrogate = self.kind.from_recipe(self.recipe)
        return surrogate, surrogate.train(self.part_of(member), config, newest)

    def part_of(self, member: Member) -> TrajectoryData:
        """Return the data with the trajectories that a member sees, those that begin alike together."""
        return seen_by(member, self.data, self.committee)
