"""A data set whose labels are less a repulsion that is added back to every answer: what networks are left to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.datasets.base import DatasetSummary, PotentialDataset
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.repulsion import ZBL, without_repulsion
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised

__all__ = ["Remainder"]

CHUNK = 1024
"""Structures that are looked at together."""


class Remainder(PotentialDataset):
    """The entries of a data set, in its order and with its features, their labels less the repulsion.

    All entries are looked at once, some at a time; later only those that feel the repulsion are looked at again.

    Args:
        dataset: The entries with their labels as given.
        repulsion: What is taken off.
    """

    def __init__(self, dataset: PotentialDataset, repulsion: ZBL) -> None:
        self.dataset, self.repulsion = dataset, repulsion
        self.limits, self.seed = dataset.limits, dataset.seed
        self.energy: NDArray[np.float64] = np.zeros(len(dataset))
        """What is taken off the energy of each entry, eV.  [entries]"""
        self._feels = np.zeros(len(dataset), dtype=np.bool_)
        for begin in range(0, len(dataset), CHUNK):
            places = range(begin, min(begin + CHUNK, len(dataset)))
            for k, found in zip(places, repulsion.of(dataset.labels(places)), strict=True):
                self.energy[k], self._feels[k] = found.energy, not found.is_zero()

    @property
    def descriptor(self) -> Descriptor | None:
        """What makes the features."""
        return self.dataset.descriptor

    def __len__(self) -> int:
        return len(self.dataset)

    def get_structure(self, idx: int) -> Structure:
        """Return one structure."""
        return self.labels([self.checked_index(idx)])[0]

    def get_structure_identifier(self, idx: int) -> str:
        """Return the name that the entry has in its own data set."""
        return self.dataset.get_structure_identifier(idx)

    def labels(self, indices: Sequence[int]) -> list[Structure]:
        """Return many structures, in the order given, their labels less the repulsion."""
        structures = self.dataset.labels(indices)
        feel = [place for place, k in enumerate(indices) if self._feels[k]]
        for place, found in zip(feel, self.repulsion.of([structures[place] for place in feel]), strict=True):
            structures[place] = without_repulsion(structures[place], found)
        return structures

    def summary(self) -> DatasetSummary:
        """Return the labels of all entries that are one number each."""
        known = self.dataset.summary()
        return replace(known, energy=known.energy - self.energy)

    def featurised(self, indices: Sequence[int], differentiated: Sequence[bool]) -> Featurised:
        """Return the features of entries in the order given, from what their data set keeps of them."""
        return self.dataset.featurised(indices, differentiated)
