"""Surrogates of coupled ODE systems: from an initial state, a time and parameters to the state."""

from potentia.trajectories.baselines import HoldInitialState, MeanTrajectory, NearestTrajectory, fit_baselines
from potentia.trajectories.dataset import Trajectories, TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.hdf5 import read_trajectories, write_trajectories
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.networks.latent_neural_ode import LatentNeuralODEConfig
from potentia.trajectories.networks.latent_poly import LatentPolyConfig
from potentia.trajectories.networks.multi_onet import MultiONetConfig
from potentia.trajectories.results import TrainOut
from potentia.trajectories.scaling import Preprocessing, Scaling
from potentia.trajectories.study import Study
from potentia.trajectories.study_config import StudyConfig
from potentia.trajectories.surrogates import SURROGATES, FullyConnected, LatentNeuralODE, LatentPoly, MultiONet
from potentia.trajectories.systems import SYSTEMS, System, make_data, register
from potentia.trajectories.time_map import TimeMap
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = [
    "SURROGATES",
    "SYSTEMS",
    "FullyConnected",
    "FullyConnectedConfig",
    "HoldInitialState",
    "LatentNeuralODE",
    "LatentNeuralODEConfig",
    "LatentPoly",
    "LatentPolyConfig",
    "MeanTrajectory",
    "MultiONet",
    "MultiONetConfig",
    "NearestTrajectory",
    "Preprocessing",
    "Scaling",
    "Study",
    "StudyConfig",
    "System",
    "TimeMap",
    "TrainOut",
    "Trajectories",
    "TrajectoryData",
    "TrajectorySurrogate",
    "TrajectoryTrainingConfig",
    "fit_baselines",
    "make_data",
    "read_trajectories",
    "register",
    "write_trajectories",
]
