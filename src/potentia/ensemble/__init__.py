"""Committees of any estimator: members that are trained side by side, their records, and how far they differ."""

from potentia.ensemble.calibration import CALIBRATION, ByGroup, SpreadCalibration
from potentia.ensemble.config import CommitteeConfig
from potentia.ensemble.curves import CommitteeCurves
from potentia.ensemble.estimators import EstimatorCommittee, bars_of_members
from potentia.ensemble.forecast import forecast_of_all
from potentia.ensemble.marks import mark_of_weights
from potentia.ensemble.member_work import ended, settings_of
from potentia.ensemble.members import Member, MemberEnd, MemberResult
from potentia.ensemble.resampling import drawn, learned_from, multiplicity
from potentia.ensemble.results import CommitteeTrainResult
from potentia.ensemble.run import METADATA, Committee, OneByOne, Together, read_metadata, train_members
from potentia.ensemble.spread import Aggregate, aggregated

__all__ = [
    "CALIBRATION",
    "METADATA",
    "Aggregate",
    "ByGroup",
    "Committee",
    "CommitteeConfig",
    "CommitteeCurves",
    "CommitteeTrainResult",
    "EstimatorCommittee",
    "Member",
    "MemberEnd",
    "MemberResult",
    "OneByOne",
    "SpreadCalibration",
    "Together",
    "aggregated",
    "bars_of_members",
    "drawn",
    "ended",
    "forecast_of_all",
    "learned_from",
    "mark_of_weights",
    "multiplicity",
    "read_metadata",
    "settings_of",
    "train_members",
]
