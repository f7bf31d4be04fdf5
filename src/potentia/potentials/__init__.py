"""Neural network potentials of the ænet kind: atoms in, energies, forces and stress out."""

from potentia.potentials.calculator import ANNCalculator
from potentia.potentials.committee import (
    AenetEnsembleResult,
    CommitteeCalibration,
    TorchCommitteeCalibrateResult,
    TorchCommitteeConfig,
    TorchCommitteeMemberResult,
    TorchCommitteePotential,
    TorchCommitteePredictResult,
    TorchCommitteeTrainResult,
)
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
from potentia.potentials.formats.trnset import FeaturizedAtomicStructure, TrnSet
from potentia.potentials.history_export import export_history
from potentia.potentials.predictions import PredictOut, PredictOutAnalyzer
from potentia.potentials.quality import CheckSettings, DataReport, Finding, Place, check_structures
from potentia.potentials.reference_energies import ReferenceEnergies, iter_composition_energy_samples_from_files
from potentia.potentials.repulsion import ZBL
from potentia.potentials.results import TrainOut
from potentia.potentials.structure import Structure
from potentia.potentials.tables import Energies
from potentia.potentials.training_config import TorchTrainingConfig

__all__ = [
    "ZBL",
    "ANNCalculator",
    "AenetEnsembleResult",
    "CachedStructureDataset",
    "ChebyshevDescriptor",
    "CheckSettings",
    "CommitteeCalibration",
    "DataReport",
    "Energies",
    "FeaturizedAtomicStructure",
    "FilePathSourceCollection",
    "Finding",
    "HDF5StructureDataset",
    "Place",
    "PredictOut",
    "PredictOutAnalyzer",
    "Reading",
    "RecordSourceCollection",
    "ReferenceEnergies",
    "SourceCapabilities",
    "SourceRecord",
    "Structure",
    "StructureDataset",
    "TarArchiveXSFSourceCollection",
    "TorchANNPotential",
    "TorchCommitteeCalibrateResult",
    "TorchCommitteeConfig",
    "TorchCommitteeMemberResult",
    "TorchCommitteePotential",
    "TorchCommitteePredictResult",
    "TorchCommitteeTrainResult",
    "TorchTrainingConfig",
    "TrainOut",
    "TrnSet",
    "check_structures",
    "convert_to_structures",
    "export_history",
    "iter_composition_energy_samples_from_files",
    "read_structures",
    "train_test_split",
    "train_test_split_dataset",
]
