"""Neural surrogates of physics, one training engine under all of them.

>>> from potentia import Adam, ChebyshevDescriptor, Structure, TorchANNPotential, TorchTrainingConfig
"""

from potentia.potentials import (
    ANNCalculator,
    ChebyshevDescriptor,
    PredictOut,
    Reading,
    Structure,
    TorchANNPotential,
    TorchTrainingConfig,
    TrainOut,
    read_structures,
)
from potentia.train import SGD, Adam, TrainingMethod

__all__ = [
    "SGD",
    "ANNCalculator",
    "Adam",
    "ChebyshevDescriptor",
    "PredictOut",
    "Reading",
    "Structure",
    "TorchANNPotential",
    "TorchTrainingConfig",
    "TrainOut",
    "TrainingMethod",
    "read_structures",
]
