"""Structures as the commands are given them: files that are read, or one HDF5 data set, which is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potentia.cli.families.files import hdf5_keys
from potentia.errors import DataError
from potentia.potentials.datasets import HDF5StructureDataset
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.structure import Structure

__all__ = ["Labelled", "database_among", "structures_in"]


@dataclass(frozen=True)
class Labelled:
    """What a training is given, in one of two ways."""

    structures: Sequence[Structure] | None
    """Structures of files, in memory."""
    dataset: HDF5StructureDataset | None
    """A data set, read as it is needed."""

    @classmethod
    def of(cls, paths: Sequence[Path], descriptor: Descriptor) -> Labelled:
        """Read files, or open a data set.

        Raises:
            DataError: a file cannot be used, or a data set stands among other files.
            DatasetError: the data set was built with another descriptor.
        """
        database = database_among(paths)
        if database is None:
            return cls(read_structures(paths).structures, None)
        return cls(None, HDF5StructureDataset(descriptor, database, mode="load"))

    def __len__(self) -> int:
        if self.dataset is not None:
            return len(self.dataset)
        return len(self.structures or ())

    def at(self, places: Sequence[int]) -> list[Structure]:
        """Return some of the structures."""
        if self.dataset is not None:
            return self.dataset.labels(places)
        return [(self.structures or ())[k] for k in places]


def database_among(paths: Sequence[Path]) -> Path | None:
    """Return the HDF5 data set that is meant; None where these are other files.

    Raises:
        DataError: it is one of several files.
    """
    found = [path for path in paths if {"kind", "entries", "sources"} <= hdf5_keys(path)]
    if found and len(paths) > 1:
        raise DataError(
            f"{found[0]} is a data set, and stands among {len(paths)} files: give it alone, or build one of all sources"
        )
    return found[0] if found else None


def structures_in(paths: Sequence[Path]) -> list[Structure]:
    """Return all structures of files or of a data set, into memory; no descriptor is needed.

    Raises:
        DataError: a file cannot be used, or a data set stands among other files.
    """
    database = database_among(paths)
    if database is None:
        return read_structures(paths).structures
    with HDF5StructureDataset(None, database, mode="load") as dataset:
        return dataset.labels(range(len(dataset)))
