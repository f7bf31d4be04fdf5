"""Neural surrogates of physics, one training engine under all of them.

A name is imported when it is first asked for, so a command or a process of one family does not wait for the others.

>>> from potentia import Adam, ChebyshevDescriptor, Structure, TorchANNPotential, TorchTrainingConfig
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potentia.calibration import Scaling, SplitConformal
    from potentia.potentials import (
        ZBL,
        ANNCalculator,
        CachedStructureDataset,
        ChebyshevDescriptor,
        FeaturizedAtomicStructure,
        FilePathSourceCollection,
        HDF5StructureDataset,
        PredictOut,
        Reading,
        RecordSourceCollection,
        ReferenceEnergies,
        SourceCapabilities,
        SourceRecord,
        Structure,
        StructureDataset,
        TarArchiveXSFSourceCollection,
        TorchANNPotential,
        TorchCommitteeConfig,
        TorchCommitteePotential,
        TorchTrainingConfig,
        TrainOut,
        TrnSet,
        convert_to_structures,
        iter_composition_energy_samples_from_files,
        read_structures,
        train_test_split,
        train_test_split_dataset,
    )
    from potentia.train import LBFGS, SGD, Adam, AdamW, Kalman, LevenbergMarquardt, TrainingMethod

__all__ = [
    "LBFGS",
    "SGD",
    "ZBL",
    "ANNCalculator",
    "Adam",
    "AdamW",
    "CachedStructureDataset",
    "ChebyshevDescriptor",
    "FeaturizedAtomicStructure",
    "FilePathSourceCollection",
    "HDF5StructureDataset",
    "Kalman",
    "LevenbergMarquardt",
    "PredictOut",
    "Reading",
    "RecordSourceCollection",
    "ReferenceEnergies",
    "Scaling",
    "SourceCapabilities",
    "SourceRecord",
    "SplitConformal",
    "Structure",
    "StructureDataset",
    "TarArchiveXSFSourceCollection",
    "TorchANNPotential",
    "TorchCommitteeConfig",
    "TorchCommitteePotential",
    "TorchTrainingConfig",
    "TrainOut",
    "TrainingMethod",
    "TrnSet",
    "convert_to_structures",
    "iter_composition_energy_samples_from_files",
    "read_structures",
    "train_test_split",
    "train_test_split_dataset",
]

_HOMES = ("potentia.train", "potentia.calibration", "potentia.potentials")


def __getattr__(name: str) -> Any:
    """Import a name of the front door from the first home that has it."""
    if name in __all__:
        for home in map(importlib.import_module, _HOMES):
            if name in home.__all__:
                found = globals()[name] = getattr(home, name)
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
