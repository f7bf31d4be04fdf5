"""The training of one member of a committee, where its process is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.ensemble import CommitteeConfig, Member, MemberEnd, multiplicity
from potentia.train import newest_checkpoint
from potentia.train.history import export

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

    def __call__(self, member: Member) -> MemberEnd:
        """Train a member, from its newest checkpoint if there is one, and write its files."""
        net = type(self.net)(**self.net.get_params())
        folder = member.checkpoint_dir
        config = replace(
            self.config,
            seed=member.seed,
            device=member.device,
            checkpoint_dir=None if folder is None else str(folder),
        )
        newest = None if folder is None else newest_checkpoint(folder)
        out = net.train(self.part_of(member), config, self.validation, newest)
        if not out.resumable:
            net.save(member.model_path)
        export(out.history, member.history_json_path, member.history_csv_path)
        return MemberEnd(out.stats, interrupted=out.ended if out.resumable else "")

    def part_of(self, member: Member) -> FeatureDataset:
        """Return the windows that a member sees; one that is drawn several times is there as often."""
        if self.committee.resample == "none":
            return self.data
        n = len(self.data)
        return self.data.take(np.repeat(np.arange(n), multiplicity(self.committee, n, member.seed)))
