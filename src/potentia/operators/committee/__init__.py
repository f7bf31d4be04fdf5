"""Committees of neural operators: trained side by side, asked together, their spread as the error bar."""

from potentia.operators.committee.committee import CommitteeMean, OperatorCommittee
from potentia.operators.committee.measured import CalibrateResult, MeasuredBars
from potentia.operators.committee.prediction import CommitteePrediction

__all__ = ["CalibrateResult", "CommitteeMean", "CommitteePrediction", "MeasuredBars", "OperatorCommittee"]
