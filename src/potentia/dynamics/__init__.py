"""Networks that predict the parameters of a model of dynamics, trained through its simulation."""

from potentia.dynamics.dataset import FeatureDataset, truncate_dataset_timesteps
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.features import FeatureMap, FeatureSettings
from potentia.dynamics.models import MODEL_SPECS, get_model_spec, list_model_specs, register_model_spec
from potentia.dynamics.network import ParameterNetwork
from potentia.dynamics.results import TrainOut
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.simulator import Excitation, simulate_dataset
from potentia.dynamics.spec import ModelSpec, Parameter, Variable
from potentia.dynamics.summary import ParameterSummary
from potentia.dynamics.training_config import DynamicsTrainingConfig

__all__ = [
    "MODEL_SPECS",
    "DynamicsParameterNet",
    "DynamicsTrainingConfig",
    "Excitation",
    "FeatureDataset",
    "FeatureMap",
    "FeatureSettings",
    "ModelSpec",
    "Parameter",
    "ParameterNetwork",
    "ParameterSummary",
    "RolloutSettings",
    "TrainOut",
    "Variable",
    "get_model_spec",
    "list_model_specs",
    "register_model_spec",
    "rollout",
    "simulate_dataset",
    "truncate_dataset_timesteps",
]
