"""Neural surrogates of physics, one training engine under all of them.

>>> from potentia import Adam, ChebyshevDescriptor, Structure, TorchANNPotential, TorchTrainingConfig
"""

from potentia.potentials import (
    ANNCalculator,
    ChebyshevDescriptor,
    FeaturizedAtomicStructure,
    PredictOut,
    Reading,
    ReferenceEnergies,
    Structure,
    TorchANNPotential,
    TorchTrainingConfig,
    TrainOut,
    TrnSet,
    iter_composition_energy_samples_from_files,
    read_structures,
)
from potentia.train import LBFGS, SGD, Adam, AdamW, Kalman, LevenbergMarquardt, TrainingMethod

__all__ = [
    "LBFGS",
    "SGD",
    "ANNCalculator",
    "Adam",
    "AdamW",
    "ChebyshevDescriptor",
    "FeaturizedAtomicStructure",
    "Kalman",
    "LevenbergMarquardt",
    "PredictOut",
    "Reading",
    "ReferenceEnergies",
    "Structure",
    "TorchANNPotential",
    "TorchTrainingConfig",
    "TrainOut",
    "TrainingMethod",
    "TrnSet",
    "iter_composition_energy_samples_from_files",
    "read_structures",
]
