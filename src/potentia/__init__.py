"""Neural surrogates of physics, one training engine under all of them.

>>> from potentia import Adam, ChebyshevDescriptor, Structure, TorchANNPotential, TorchTrainingConfig
"""

from potentia.potentials import (
    ANNCalculator,
    CachedStructureDataset,
    ChebyshevDescriptor,
    FilePathSourceCollection,
    HDF5StructureDataset,
    PredictOut,
    Reading,
    RecordSourceCollection,
    SourceCapabilities,
    SourceRecord,
    Structure,
    StructureDataset,
    TarArchiveXSFSourceCollection,
    TorchANNPotential,
    TorchTrainingConfig,
    TrainOut,
    convert_to_structures,
    read_structures,
    train_test_split,
    train_test_split_dataset,
)
from potentia.train import SGD, Adam, TrainingMethod

__all__ = [
    "SGD",
    "ANNCalculator",
    "Adam",
    "CachedStructureDataset",
    "ChebyshevDescriptor",
    "FilePathSourceCollection",
    "HDF5StructureDataset",
    "PredictOut",
    "Reading",
    "RecordSourceCollection",
    "SourceCapabilities",
    "SourceRecord",
    "Structure",
    "StructureDataset",
    "TarArchiveXSFSourceCollection",
    "TorchANNPotential",
    "TorchTrainingConfig",
    "TrainOut",
    "TrainingMethod",
    "convert_to_structures",
    "read_structures",
    "train_test_split",
    "train_test_split_dataset",
]
