"""Entries of several data sets, and of subsets of them, numbered through: what a training sees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Subset

from potentia.errors import ConfigError, DataError
from potentia.potentials.datasets.base import DatasetSummary, PotentialDataset
from potentia.potentials.datasets.limits import Limits
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.registry import plain_of
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, joined

__all__ = ["JoinedDataset", "entries_of"]


class JoinedDataset(PotentialDataset):
    """Entries of one or more data sets, one after the other.

    Args:
        *parts: Data sets, or `torch.utils.data.Subset` of them.

    Raises:
        DataError: a part is no data set of structures, or they differ in atomic energies or descriptor.
    """

    def __init__(self, *parts: Dataset[Any]) -> None:
        found = [entries_of(part) for part in parts]
        self.roots = [root for root, _ in found]
        self.sizes = [len(indices) for _, indices in found]
        self.part = np.repeat(np.arange(len(found)), self.sizes)
        """Which part each entry belongs to.  [entries]"""
        self.source_index = np.concatenate([np.zeros(0, dtype=np.int64), *(indices for _, indices in found)])
        """Number of each entry in its whole data set.  [entries]"""
        self.limits = Limits(_common_energies(self.roots))
        self.seed = self.roots[0].seed
        settings = [plain_of(root.require_descriptor()) for root in self.roots]
        if any(other != settings[0] for other in settings):
            raise ConfigError(f"the data sets have different descriptors: {settings[0]} and {settings[1]}")

    @property
    def descriptor(self) -> Descriptor | None:
        """What makes the features."""
        return self.roots[0].descriptor

    def __len__(self) -> int:
        return len(self.source_index)

    def get_structure(self, idx: int) -> Structure:
        """Return one structure."""
        return self.labels([self.checked_index(idx)])[0]

    def get_structure_identifier(self, idx: int) -> str:
        """Return the name that the entry has in its own data set."""
        number = self.checked_index(idx)
        return self.roots[int(self.part[number])].get_structure_identifier(int(self.source_index[number]))

    def labels(self, indices: Sequence[int]) -> list[Structure]:
        """Return many structures, in the order given."""
        found: dict[int, Structure] = {}
        for part, places in self._by_part(indices):
            numbers = [int(self.source_index[indices[k]]) for k in places]
            found |= dict(zip(places, self.roots[part].labels(numbers), strict=True))
        return [found[k] for k in range(len(indices))]

    def summary(self) -> DatasetSummary:
        """Return the labels of all entries that are one number each."""
        summaries = [root.summary() for root in self.roots]
        species = self.require_descriptor().species
        rows = [self.source_index[self.part == k] for k in range(len(self.roots))]

        def gathered(name: str) -> Any:
            return np.concatenate([getattr(s, name)[r] for s, r in zip(summaries, rows, strict=True)])

        compositions = [_columns(s, species)[r] for s, r in zip(summaries, rows, strict=True)]
        labels = {name: gathered(name) for name in ("energy", "n_atoms", "has_forces", "has_stress", "weight")}
        return DatasetSummary(species=tuple(species), composition=np.concatenate(compositions), **labels)

    def featurised(self, indices: Sequence[int], differentiated: Sequence[bool]) -> Featurised:
        """Return the features of entries in the order given, from what their data sets keep of them."""
        runs = self._runs(indices)
        found = []
        for part, begin, end in runs:
            numbers = [int(self.source_index[k]) for k in indices[begin:end]]
            found.append(self.roots[part].featurised(numbers, differentiated[begin:end]))
        return found[0] if len(found) == 1 else joined(found, self.require_descriptor())

    def _by_part(self, indices: Sequence[int]) -> list[tuple[int, list[int]]]:
        parts = [int(self.part[k]) for k in indices]
        return [(p, [k for k, other in enumerate(parts) if other == p]) for p in sorted(set(parts))]

    def _runs(self, indices: Sequence[int]) -> list[tuple[int, int, int]]:
        """Stretches of ``indices`` that belong to one part: part, begin, end."""
        parts = np.array([self.part[k] for k in indices], dtype=np.int64)
        cuts = [0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(parts)]
        return [(int(parts[b]) if len(parts) else 0, b, e) for b, e in pairwise(cuts)]


def entries_of(dataset: Dataset[Any]) -> tuple[PotentialDataset, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the whole data set behind ``dataset``, and which of its entries are meant.

    Raises:
        DataError: it is no data set of structures.
    """
    if isinstance(dataset, Subset):
        root, inner = entries_of(dataset.dataset)
        return root, inner[np.asarray(dataset.indices, dtype=np.int64)]
    if not isinstance(dataset, PotentialDataset):
        raise DataError(
            "a data set must be a StructureDataset, CachedStructureDataset, HDF5StructureDataset or a Subset of one, "
            f"got {type(dataset).__name__}"
        )
    return dataset, np.arange(len(dataset))


def _common_energies(roots: Sequence[PotentialDataset]) -> dict[str, float] | None:
    energies = roots[0].atomic_energies
    for root in roots[1:]:
        if root.atomic_energies != energies:
            raise DataError(
                "Training and validation datasets expose conflicting atomic_energies: "
                f"{energies} and {root.atomic_energies}; build both with the same"
            )
    return energies


def _columns(summary: DatasetSummary, species: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the composition with a column for each of ``species``."""
    known = {name: k for k, name in enumerate(summary.species)}
    blank = np.zeros((len(summary.composition), 1), dtype=np.int64)
    wide = np.concatenate((summary.composition, blank), axis=1)
    return wide[:, [known.get(name, -1) for name in species]]
