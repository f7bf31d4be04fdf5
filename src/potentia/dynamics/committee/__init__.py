"""Committees of parameter networks: trained side by side, asked together, their spread as the error bar."""

from potentia.dynamics.committee.committee import CommitteeMean, DynamicsCommittee
from potentia.dynamics.committee.prediction import CommitteePrediction

__all__ = ["CommitteeMean", "CommitteePrediction", "DynamicsCommittee"]
