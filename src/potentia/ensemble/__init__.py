"""Committees of any estimator: members that are trained side by side, their records, and how far they differ."""

from potentia.ensemble.calibrated import CalibratedCommittee, Pieces
from potentia.ensemble.calibration import CALIBRATION, ByGroup, SpreadCalibration
from potentia.ensemble.config import CommitteeConfig
from potentia.ensemble.curves import CommitteeCurves
from potentia.ensemble.estimators import EstimatorCommittee, bars_of_members
from potentia.ensemble.forecast import forecast_of_all
from potentia.ensemble.held_out import Errors, HeldOut, Words, step_name
from potentia.ensemble.intervals import learned_calibration, told_infinite
from potentia.ensemble.learning import Method, require_enough
from potentia.ensemble.marks import mark_of_weights
from potentia.ensemble.measured import CalibrateResult, MeasuredBars
from potentia.ensemble.member_work import carried_out, ended, seen_by, settings_of
from potentia.ensemble.members import Member, MemberEnd, MemberResult
from potentia.ensemble.resampling import drawn, learned_from, multiplicity
from potentia.ensemble.results import CommitteeTrainResult
from potentia.ensemble.run import METADATA, Committee, OneByOne, Together, read_metadata, train_members
from potentia.ensemble.spread import Aggregate, aggregated, require_several

__all__ = [
    "CALIBRATION",
    "METADATA",
    "Aggregate",
    "ByGroup",
    "CalibrateResult",
    "CalibratedCommittee",
    "Committee",
    "CommitteeConfig",
    "CommitteeCurves",
    "CommitteeTrainResult",
    "Errors",
    "EstimatorCommittee",
    "HeldOut",
    "MeasuredBars",
    "Member",
    "MemberEnd",
    "MemberResult",
    "Method",
    "OneByOne",
    "Pieces",
    "SpreadCalibration",
    "Together",
    "Words",
    "aggregated",
    "bars_of_members",
    "carried_out",
    "drawn",
    "ended",
    "forecast_of_all",
    "learned_calibration",
    "learned_from",
    "mark_of_weights",
    "multiplicity",
    "read_metadata",
    "require_enough",
    "require_several",
    "seen_by",
    "settings_of",
    "step_name",
    "told_infinite",
    "train_members",
]
