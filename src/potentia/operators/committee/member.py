"""The training of one member of a committee of operators, where its process is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from potentia.ensemble import CommitteeConfig, Member, MemberEnd, carried_out, seen_by
from potentia.errors import ConfigError
from potentia.operators.alignment_terms import AlignmentTerms
from potentia.operators.dataset import OperatorData
from potentia.operators.estimator import NeuralOperator
from potentia.operators.networks.base import FieldNetworkConfig
from potentia.operators.results import TrainOut
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.train import StepNames

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
        return carried_out(member, self.config, self.deadline, partial(self._train, member), StepNames())

    def _train(
        self, member: Member, config: OperatorTrainingConfig, newest: Path | None
    ) -> tuple[NeuralOperator, TrainOut]:
        operator = NeuralOperator(self.network)
        return operator, operator.train(self.part_of(member), config, newest, alignment=self.alignment)

    def part_of(self, member: Member) -> OperatorData:
        """Return the data with the simulations that a member sees, those of one set of parameters together."""
        return seen_by(member, self.data, self.committee)


def require_fit(wanted: CommitteeConfig, config: OperatorTrainingConfig) -> None:
    """Raise `ConfigError` where a committee of operators cannot be trained so."""
    wanted.require_separate("operators")
    for name in ("n_samples", "n_realizations"):
        if wanted.resample != "none" and config.__dict__[name] is not None:
            raise ConfigError(
                f"{name} takes the first samples, and resample={wanted.resample!r} draws from all: leave one of them "
                "out, or give data with fewer samples"
            )
