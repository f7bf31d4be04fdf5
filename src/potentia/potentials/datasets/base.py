"""What a data set of a potential can do, wherever its structures are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from potentia.errors import DataError
from potentia.potentials.datasets.limits import Limits
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.geometry import species_indices
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise

__all__ = ["DatasetError", "DatasetSummary", "PotentialDataset"]


class DatasetError(DataError, RuntimeError):
    """A data set cannot do what was asked of it as it stands."""


@dataclass(frozen=True, eq=False)
class DatasetSummary:
    """The labels of all entries that are one number each, without their structures."""

    species: tuple[str, ...]
    """Chemical species, in the order of the descriptor where there is one."""
    energy: NDArray[np.float64]
    """Total energy (eV), NaN where there is none.  [entries]"""
    n_atoms: NDArray[np.int64]
    """[entries]"""
    has_forces: NDArray[np.bool_]
    """[entries]"""
    has_stress: NDArray[np.bool_]
    """[entries]"""
    weight: NDArray[np.float64]
    """Weight in the loss.  [entries]"""
    composition: NDArray[np.int64]
    """Number of atoms of each species.  [entries, species]"""


class PotentialDataset(Dataset[dict[str, Any]], ABC):
    """Structures with labels by number, and their features.

    A data set owns the energies of free atoms, and was filtered when it was made: a training takes both as they are.
    """

    limits: Limits
    """Energies of free atoms, and what was left out."""
    seed: int | None
    """Seed of splits that are given none."""

    @property
    @abstractmethod
    def descriptor(self) -> Descriptor | None:
        """What makes the features."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def get_structure(self, idx: int) -> Structure:
        """Return one structure."""

    @abstractmethod
    def get_structure_identifier(self, idx: int) -> str:
        """Return the name of one structure in tables: the same for an entry however the data are split."""

    @abstractmethod
    def labels(self, indices: Sequence[int]) -> list[Structure]:
        """Return many structures, in the order given."""

    @abstractmethod
    def summary(self) -> DatasetSummary:
        """Return what is known of all entries without reading their structures."""

    def featurised(self, indices: Sequence[int], differentiated: Sequence[bool]) -> Featurised:
        """Return the features of entries in the order given, with what derivatives need where ``differentiated``.

        What is kept of them is used; the numbers are the same bits as if all was computed.

        Raises:
            DataError: there is no descriptor, or it does not know a species.
        """
        return featurise(self.labels(indices), self.require_descriptor(), differentiated)

    @property
    def atomic_energies(self) -> dict[str, float] | None:
        """Energy of the free atom of each species (eV); None means zeros."""
        return None if self.limits.atomic_energies is None else dict(self.limits.atomic_energies)

    @property
    def max_energy(self) -> float | None:
        """Largest energy per atom that was kept, relative to free atoms (eV)."""
        return self.limits.max_energy

    @property
    def max_forces(self) -> float | None:
        """Largest magnitude of a force that was kept (eV/Å)."""
        return self.limits.max_forces

    def get_force_indices(self) -> list[int]:
        """Return the numbers of the entries that have forces."""
        found: list[int] = np.flatnonzero(self.summary().has_forces).tolist()
        return found

    def get_statistics(self) -> dict[str, Any]:
        """Return counts of structures and atoms, and the species that occur."""
        known = self.summary()
        n_total, n_force, atoms = len(self), int(known.has_forces.sum()), int(known.n_atoms.sum())
        there: list[bool] = (known.composition.sum(axis=0) > 0).tolist()
        return {
            "n_total": n_total,
            "n_force": n_force,
            "n_energy_only": n_total - n_force,
            "n_force_selected": n_force,
            "total_atoms": atoms,
            "avg_atoms": atoms / max(n_total, 1),
            "species": sorted(name for name, some in zip(known.species, there, strict=True) if some),
        }

    def __getitem__(self, idx: int) -> dict[str, Any]:
        return self.materialize_sample(idx)

    def materialize_sample(self, idx: int, use_forces: bool = True) -> dict[str, Any]:
        """Return one entry as tensors; with ``use_forces``, an entry with forces has them and what derivatives need.

        ``energy`` (eV) is relative to free atoms when the data set knows them; it is None where there is none.
        """
        number = self.checked_index(idx)
        structure, descriptor = self.get_structure(number), self.require_descriptor()
        supervised = use_forces and structure.has_forces()
        featurised = self.featurised([number], [supervised])

        def tensor(array: NDArray[Any] | None) -> torch.Tensor | None:
            return None if array is None else torch.as_tensor(array, dtype=descriptor.dtype, device=descriptor.device)

        energy = structure.energy
        return {
            "features": featurised.features.values,
            "featurised": featurised,
            "positions": tensor(structure.positions),
            "species": list(structure.species),
            "species_indices": featurised.geometry.species,
            "cell": tensor(structure.cell),
            "pbc": torch.as_tensor(structure.pbc),
            "energy": None if energy is None else energy - self.limits.reference_energy(structure),
            "forces": tensor(structure.forces) if supervised else None,
            "has_forces": structure.has_forces(),
            "use_forces": supervised,
            "stress": tensor(structure.stress),
            "weight": structure.weight,
            "n_atoms": structure.n_atoms,
            "name": self.get_structure_identifier(number),
        }

    def checked_index(self, idx: int) -> int:
        """Return the number of an entry, counted from 0; negative ones count from the end.

        Raises:
            IndexError: there is no such entry.
        """
        n = len(self)
        if not -n <= idx < n:
            raise IndexError(f"there is no entry {idx}: the data set has {n}, counted from 0")
        return int(idx) % n

    def require_descriptor(self) -> Descriptor:
        """Return the descriptor, or raise `DatasetError`."""
        if self.descriptor is None:
            raise DatasetError(
                "featurising requires a descriptor: give one to the data set, or build it with persist_descriptor=True"
            )
        return self.descriptor


def require_some(left: int, seen: int, limits: Limits) -> None:
    """Raise `DataError` when the limits have left nothing of the structures seen."""
    if seen and not left:
        raise DataError(
            f"max_energy={limits.max_energy} and max_forces={limits.max_forces} leave none of {seen} structures"
        )


def summary_of(structures: Sequence[Structure], species: Sequence[str]) -> DatasetSummary:
    """Return the summary of structures in memory, or raise `DataError` naming a species that is not in ``species``."""
    column = {name: k for k, name in enumerate(species)}
    composition = np.zeros((len(structures), len(column)), dtype=np.int64)
    for row, structure in enumerate(structures):
        composition[row] = np.bincount(species_indices(structure, column), minlength=len(column))
    energies = [np.nan if s.energy is None else s.energy for s in structures]
    return DatasetSummary(
        species=tuple(species),
        energy=np.array(energies, dtype=np.float64),
        n_atoms=np.array([s.n_atoms for s in structures], dtype=np.int64),
        has_forces=np.array([s.has_forces() for s in structures], dtype=bool),
        has_stress=np.array([s.has_stress() for s in structures], dtype=bool),
        weight=np.array([s.weight for s in structures], dtype=np.float64),
        composition=composition,
    )
