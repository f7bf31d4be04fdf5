"""Committees of neural operators: trained side by side, asked together, their spread as the error bar."""

from potentia.operators.committee.committee import CommitteeMean, OperatorCommittee
from potentia.operators.committee.prediction import CommitteePrediction

__all__ = ["CommitteeMean", "CommitteePrediction", "OperatorCommittee"]
