"""Networks that predict the parameters of a model of dynamics, trained through its simulation."""

from potentia.dynamics.compiled import why_not_compiled
from potentia.dynamics.dataset import FeatureDataset, truncate_dataset_timesteps
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.excitation import Excitation, default_excitation
from potentia.dynamics.features import FeatureMap, FeatureSettings
from potentia.dynamics.load import load_feature_dataset_group
from potentia.dynamics.logs import Column, ColumnMap, Log, read_logs, write_log
from potentia.dynamics.models import MODEL_SPECS, get_model_spec, list_model_specs, register_model_spec
from potentia.dynamics.network import ParameterNetwork
from potentia.dynamics.results import TrainOut
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.sensitivities import RolloutJacobian, rollout_jacobian
from potentia.dynamics.simulator import SimulationSettings, simulate_dataset, simulate_logs, write_logs
from potentia.dynamics.spec import ModelSpec, Parameter, Variable
from potentia.dynamics.splitting import split_blocks, split_groups
from potentia.dynamics.summary import ParameterSummary
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.dynamics.windows import Windows, WindowSettings, cut_windows

__all__ = [
    "MODEL_SPECS",
    "Column",
    "ColumnMap",
    "DynamicsParameterNet",
    "DynamicsTrainingConfig",
    "Excitation",
    "FeatureDataset",
    "FeatureMap",
    "FeatureSettings",
    "Log",
    "ModelSpec",
    "Parameter",
    "ParameterNetwork",
    "ParameterSummary",
    "RolloutJacobian",
    "RolloutSettings",
    "SimulationSettings",
    "TrainOut",
    "Variable",
    "WindowSettings",
    "Windows",
    "cut_windows",
    "default_excitation",
    "get_model_spec",
    "list_model_specs",
    "load_feature_dataset_group",
    "read_logs",
    "register_model_spec",
    "rollout",
    "rollout_jacobian",
    "simulate_dataset",
    "simulate_logs",
    "split_blocks",
    "split_groups",
    "truncate_dataset_timesteps",
    "why_not_compiled",
    "write_log",
    "write_logs",
]
