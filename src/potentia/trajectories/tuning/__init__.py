"""Searching settings of surrogates by Optuna (the optional extra ``tune``)."""

from potentia.trajectories.tuning.config import TunedSurrogate, TuningConfig
from potentia.trajectories.tuning.search import Tuning

__all__ = ["TunedSurrogate", "Tuning", "TuningConfig"]
