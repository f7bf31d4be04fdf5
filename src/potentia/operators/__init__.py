"""Neural operators: fields to later fields, with the parameters of the equations, and tokens of behaviour."""

from potentia.operators.baselines import baselines_of
from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.estimator import NeuralOperator
from potentia.operators.evaluation import Evaluation, evaluate, parameter_sensitivity
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.networks.u_afno import UAFNOConfig
from potentia.operators.results import TrainOut
from potentia.operators.space import Boolean, Choice, Continuous, Integer, ParameterSpace
from potentia.operators.training_config import OperatorTrainingConfig

__all__ = [
    "Boolean",
    "Choice",
    "Continuous",
    "Evaluation",
    "FNOConfig",
    "Integer",
    "NeuralOperator",
    "OperatorData",
    "OperatorTrainingConfig",
    "ParameterSpace",
    "Samples",
    "TrainOut",
    "UAFNOConfig",
    "baselines_of",
    "evaluate",
    "parameter_sensitivity",
]
