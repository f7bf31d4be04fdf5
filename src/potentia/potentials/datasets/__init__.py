"""Data sets of labelled structures: in memory or in a file, and where the structures come from."""

from potentia.potentials.datasets.base import DatasetError, DatasetSummary, PotentialDataset
from potentia.potentials.datasets.hdf5 import HDF5StructureDataset
from potentia.potentials.datasets.in_memory import CachedStructureDataset, StructureDataset, convert_to_structures
from potentia.potentials.datasets.sources import (
    FilePathSourceCollection,
    RecordSourceCollection,
    SourceCapabilities,
    SourceCollection,
    SourceRecord,
)
from potentia.potentials.datasets.splits import train_test_split, train_test_split_dataset
from potentia.potentials.datasets.tar_source import TarArchiveXSFSourceCollection

__all__ = [
    "CachedStructureDataset",
    "DatasetError",
    "DatasetSummary",
    "FilePathSourceCollection",
    "HDF5StructureDataset",
    "PotentialDataset",
    "RecordSourceCollection",
    "SourceCapabilities",
    "SourceCollection",
    "SourceRecord",
    "StructureDataset",
    "TarArchiveXSFSourceCollection",
    "convert_to_structures",
    "train_test_split",
    "train_test_split_dataset",
]
