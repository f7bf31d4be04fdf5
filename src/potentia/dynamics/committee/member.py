"""The training of one member of a committee, where its process is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.results import TrainOut
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.ensemble import CommitteeConfig, Member, MemberEnd, carried_out, drawn
from potentia.train import EpochNames

__all__ = ["MemberTraining"]


@dataclass(frozen=True)
class MemberTraining:
    """What the training of each member needs; it can be sent to other processes."""

    net: DynamicsParameterNet
    """What all members are like."""
    config: DynamicsTrainingConfig
    """Settings that all members share."""
    committee: CommitteeConfig
    data: FeatureDataset
    """Windows to fit, of which a member may see a part."""
    validation: FeatureDataset | None
    """Windows that the weights of all members are chosen by."""
    deadline: float | None = None
    """When the time of the whole committee is up (s since the epoch of the clock)."""

    def __call__(self, member: Member) -> MemberEnd:
        """Train a member, from its newest checkpoint if there is one, and write its files."""
        return carried_out(member, self.config, self.deadline, partial(self._train, member), EpochNames())

    def _train(
        self, member: Member, config: DynamicsTrainingConfig, newest: Path | None
    ) -> tuple[DynamicsParameterNet, TrainOut]:
        net = type(self.net)(**self.net.get_params())
        return net, net.train(self.part_of(member), config, self.validation, newest)

    def part_of(self, member: Member) -> FeatureDataset:
        """Return the windows that a member sees; one that is drawn several times is there as often."""
        if self.committee.resample == "none":
            return self.data
        return self.data.take(drawn(self.committee, np.arange(len(self.data)), member.seed))
