"""Neural network potentials of the ænet kind: atoms in, energies, forces and stress out."""

from potentia.potentials.calculator import ANNCalculator
from potentia.potentials.datasets import (
    CachedStructureDataset,
    FilePathSourceCollection,
    HDF5StructureDataset,
    RecordSourceCollection,
    SourceCapabilities,
    SourceRecord,
    StructureDataset,
    TarArchiveXSFSourceCollection,
    convert_to_structures,
    train_test_split,
    train_test_split_dataset,
)
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.formats.reading import Reading, read_structures
from potentia.potentials.results import PredictOut, TrainOut
from potentia.potentials.structure import Structure
from potentia.potentials.training_config import TorchTrainingConfig

__all__ = [
    "ANNCalculator",
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
    "convert_to_structures",
    "read_structures",
    "train_test_split",
    "train_test_split_dataset",
]
