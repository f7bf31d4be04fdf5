"""Committees of surrogates of trajectories: trained side by side, asked together, their spread as the error bar."""

from potentia.trajectories.committee.committee import CommitteeMean, TrajectoryCommittee
from potentia.trajectories.committee.prediction import CommitteePrediction

__all__ = ["CommitteeMean", "CommitteePrediction", "TrajectoryCommittee"]
