"""Tokens of behaviour: a few whole numbers for what a trajectory does, and the way back to its features."""

from potentia.operators.tokenizer.config import TokenizerConfig
from potentia.operators.tokenizer.estimator import BehaviorTokenizer
from potentia.operators.tokenizer.health import TokenizerHealth
from potentia.operators.tokenizer.protocol import Quantised, Tokenizer
from potentia.operators.tokenizer.results import TrainOut
from potentia.operators.tokenizer.training_config import TokenizerTrainingConfig

__all__ = [
    "BehaviorTokenizer",
    "Quantised",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizerHealth",
    "TokenizerTrainingConfig",
    "TrainOut",
]
