"""Networks that predict the parameters of a model of dynamics, trained through its simulation."""

from potentia.dynamics.dataset import FeatureDataset, truncate_dataset_timesteps
from potentia.dynamics.models import MODEL_SPECS, get_model_spec, list_model_specs, register_model_spec
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.simulator import Excitation, simulate_dataset
from potentia.dynamics.spec import ModelSpec, Parameter, Variable

__all__ = [
    "MODEL_SPECS",
    "Excitation",
    "FeatureDataset",
    "ModelSpec",
    "Parameter",
    "RolloutSettings",
    "Variable",
    "get_model_spec",
    "list_model_specs",
    "register_model_spec",
    "rollout",
    "simulate_dataset",
    "truncate_dataset_timesteps",
]
