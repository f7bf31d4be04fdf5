"""Networks that predict the parameters of a model of dynamics, trained through its simulation."""

from potentia.dynamics.compiled import why_not_compiled
from potentia.dynamics.dataset import FeatureDataset, truncate_dataset_timesteps
from potentia.dynamics.models import MODEL_SPECS, get_model_spec, list_model_specs, register_model_spec
from potentia.dynamics.rollout import RolloutJacobian, RolloutSettings, rollout, rollout_jacobian
from potentia.dynamics.spec import ModelSpec, Parameter, Variable

__all__ = [
    "MODEL_SPECS",
    "FeatureDataset",
    "ModelSpec",
    "Parameter",
    "RolloutJacobian",
    "RolloutSettings",
    "Variable",
    "get_model_spec",
    "list_model_specs",
    "register_model_spec",
    "rollout",
    "rollout_jacobian",
    "truncate_dataset_timesteps",
    "why_not_compiled",
]
