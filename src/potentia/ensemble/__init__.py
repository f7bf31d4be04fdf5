"""Committees of any estimator: members that are trained side by side, their records, and how far they differ."""

from potentia.ensemble.config import CommitteeConfig
from potentia.ensemble.members import Member, MemberEnd, MemberResult
from potentia.ensemble.resampling import multiplicity
from potentia.ensemble.results import CommitteeTrainResult
from potentia.ensemble.run import METADATA, Committee, OneByOne, Together, read_metadata, train_members
from potentia.ensemble.spread import Aggregate, aggregated

__all__ = [
    "METADATA",
    "Aggregate",
    "Committee",
    "CommitteeConfig",
    "CommitteeTrainResult",
    "Member",
    "MemberEnd",
    "MemberResult",
    "OneByOne",
    "Together",
    "aggregated",
    "multiplicity",
    "read_metadata",
    "train_members",
]
