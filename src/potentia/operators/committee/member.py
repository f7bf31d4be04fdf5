"""The training of one member of a committee of operators, where its process is."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from potentia.ensemble import CommitteeConfig, Member, MemberEnd, drawn, ended, settings_of
from potentia.errors import ConfigError
from potentia.operators.alignment_terms import AlignmentTerms
from potentia.operators.dataset import OperatorData
from potentia.operators.estimator import NeuralOperator
from potentia.operators.networks.base import FieldNetworkConfig
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.train import StepNames, newest_checkpoint

__all__ = ["MemberTraining", "require_fit"]


@dataclass(frozen=True)
class MemberTraining:
    """What the training of each member needs; it can be sent to other processes."""

    network: FieldNetworkConfig
    """What all members are like."""
    config: OperatorTrainingConfig
    """Settings that all members share."""
    committee: CommitteeConfig
    data: OperatorData
    """Fields, of whose training part a member may see a part."""
    alignment: AlignmentTerms | None = None
    deadline: float | None = None
    """When the time of the whole committee is up (s since the epoch of the clock)."""

    def __call__(self, member: Member) -> MemberEnd:
        """Train a member, from its newest checkpoint if there is one, and write its files."""
        config, folder = settings_of(self.config, member), member.checkpoint_dir
        if self.deadline is not None:
            left = self.deadline - time.time()
            if left <= 0:
                return MemberEnd({}, interrupted="the time of the committee was up before it was begun")
            config = replace(config, max_time=left)
        operator = NeuralOperator(self.network)
        newest = None if folder is None else newest_checkpoint(folder, StepNames())
        out = operator.train(self.part_of(member), config, newest, alignment=self.alignment)
        return ended(member, operator, out)

    def part_of(self, member: Member) -> OperatorData:
        """Return the data with the simulations that a member sees, those of one set of parameters together.

        One that is drawn several times is there as often.
        """
        if self.committee.resample == "none":
            return self.data
        train = self.data.train
        return replace(self.data, train=train.take(drawn(self.committee, train.group, member.seed)))


def require_fit(wanted: CommitteeConfig, config: OperatorTrainingConfig) -> None:
    """Raise `ConfigError` where a committee of operators cannot be trained so."""
    if wanted.batched:
        raise ConfigError("batched=True is not for operators: leave it out, and set max_parallel")
    for name in ("n_samples", "n_realizations"):
        if wanted.resample != "none" and config.__dict__[name] is not None:
            raise ConfigError(
                f"{name} takes the first samples, and resample={wanted.resample!r} draws from all: leave one of them "
                "out, or give data with fewer samples"
            )
