"""Networks that predict the parameters of a model of dynamics, trained through its simulation."""

from potentia.dynamics.baselines import fit_baselines
from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.compiled import why_not_compiled
from potentia.dynamics.dataset import FeatureDataset, truncate_dataset_timesteps
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.evaluation import RolloutEvaluation, evaluate_rollouts, parameter_spread, scenario_figures
from potentia.dynamics.excitation import Excitation, default_excitation
from potentia.dynamics.features import FeatureMap, FeatureSettings
from potentia.dynamics.identifiability import IdentifiabilityReport, IdentifiabilitySettings, identifiability
from potentia.dynamics.load import load_feature_dataset_group
from potentia.dynamics.logs import Column, ColumnMap, Log, read_logs, write_log
from potentia.dynamics.models import (
    MODEL_SPECS,
    augmented,
    bodyframe_spec,
    get_model_spec,
    kinematic_spec,
    list_model_specs,
    mlp_dynamics,
    pacejka_spec,
    register_model_spec,
    singletrack_spec,
)
from potentia.dynamics.network import ParameterNetwork
from potentia.dynamics.opened_run import OpenedRun
from potentia.dynamics.polish import ConstantFit, FitSettings, fit_constant
from potentia.dynamics.presets import VEHICLES, Vehicle, get_vehicle
from potentia.dynamics.results import TrainOut
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.sensitivities import RolloutJacobian, rollout_jacobian
from potentia.dynamics.signals import Follow, Smooth, Steps
from potentia.dynamics.simulator import SimulationSettings, simulate_dataset, simulate_logs, write_logs
from potentia.dynamics.spec import ModelSpec, Parameter, Variable
from potentia.dynamics.splitting import split_blocks, split_groups
from potentia.dynamics.step_choice import auto_substeps
from potentia.dynamics.summary import ParameterSummary
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.dynamics.training_run import RunResult, run_training
from potentia.dynamics.windows import Windows, WindowSettings, cut_windows

__all__ = [
    "MODEL_SPECS",
    "VEHICLES",
    "Column",
    "ColumnMap",
    "ConstantFit",
    "DynamicsCommittee",
    "DynamicsParameterNet",
    "DynamicsTrainingConfig",
    "Excitation",
    "FeatureDataset",
    "FeatureMap",
    "FeatureSettings",
    "FitSettings",
    "Follow",
    "IdentifiabilityReport",
    "IdentifiabilitySettings",
    "Log",
    "ModelSpec",
    "OpenedRun",
    "Parameter",
    "ParameterNetwork",
    "ParameterSummary",
    "RolloutEvaluation",
    "RolloutJacobian",
    "RolloutSettings",
    "RunConfig",
    "RunResult",
    "SimulationSettings",
    "Smooth",
    "Steps",
    "TrainOut",
    "Variable",
    "Vehicle",
    "WindowSettings",
    "Windows",
    "augmented",
    "auto_substeps",
    "bodyframe_spec",
    "cut_windows",
    "default_excitation",
    "evaluate_rollouts",
    "fit_baselines",
    "fit_constant",
    "get_model_spec",
    "get_vehicle",
    "identifiability",
    "kinematic_spec",
    "list_model_specs",
    "load_feature_dataset_group",
    "mlp_dynamics",
    "pacejka_spec",
    "parameter_spread",
    "read_logs",
    "register_model_spec",
    "rollout",
    "rollout_jacobian",
    "run_training",
    "scenario_figures",
    "simulate_dataset",
    "simulate_logs",
    "singletrack_spec",
    "split_blocks",
    "split_groups",
    "truncate_dataset_timesteps",
    "why_not_compiled",
    "write_log",
    "write_logs",
]
