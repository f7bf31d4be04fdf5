"""Surrogates of coupled ODE systems: from an initial state, a time and parameters to the state."""

from potentia.trajectories.baselines import HoldInitialState, MeanTrajectory, NearestTrajectory, baselines
from potentia.trajectories.dataset import Trajectories, TrajectoryData
from potentia.trajectories.hdf5 import read_trajectories, write_trajectories
from potentia.trajectories.scaling import Preprocessing, Scaling
from potentia.trajectories.systems import SYSTEMS, System, make_data, register
from potentia.trajectories.time_map import TimeMap

__all__ = [
    "SYSTEMS",
    "HoldInitialState",
    "MeanTrajectory",
    "NearestTrajectory",
    "Preprocessing",
    "Scaling",
    "System",
    "TimeMap",
    "Trajectories",
    "TrajectoryData",
    "baselines",
    "make_data",
    "read_trajectories",
    "register",
    "write_trajectories",
]
