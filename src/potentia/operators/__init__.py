"""Neural operators: fields to later fields, with the parameters of the equations, and tokens of behaviour."""

from potentia.operators.advice import advise
from potentia.operators.alignment import Alignment
from potentia.operators.baselines import baselines_of
from potentia.operators.committee import OperatorCommittee
from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.diagnostics import diagnose
from potentia.operators.estimator import NeuralOperator
from potentia.operators.evaluation import Evaluation, evaluate, parameter_sensitivity
from potentia.operators.features import feature_set, feature_table, windows
from potentia.operators.hdf5 import read_operator_data, write_operator_data
from potentia.operators.make import make_data, make_record
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.networks.u_afno import UAFNOConfig
from potentia.operators.results import TrainOut
from potentia.operators.space import Boolean, Choice, Continuous, Integer, ParameterSpace
from potentia.operators.timeline import token_timelines
from potentia.operators.tokenizer import BehaviorTokenizer, TokenizerConfig, TokenizerTrainingConfig
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.operators.validation import validate_tokens

__all__ = [
    "Alignment",
    "BehaviorTokenizer",
    "Boolean",
    "Choice",
    "Continuous",
    "Evaluation",
    "FNOConfig",
    "Integer",
    "NeuralOperator",
    "OperatorCommittee",
    "OperatorData",
    "OperatorTrainingConfig",
    "ParameterSpace",
    "Samples",
    "TokenizerConfig",
    "TokenizerTrainingConfig",
    "TrainOut",
    "UAFNOConfig",
    "advise",
    "baselines_of",
    "diagnose",
    "evaluate",
    "feature_set",
    "feature_table",
    "make_data",
    "make_record",
    "parameter_sensitivity",
    "read_operator_data",
    "token_timelines",
    "validate_tokens",
    "windows",
    "write_operator_data",
]
