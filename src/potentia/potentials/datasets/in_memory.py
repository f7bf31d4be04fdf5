"""Data sets of structures in memory, with features computed when asked for, or once for all."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from potentia import progress
from potentia.potentials.datasets.base import DatasetSummary, PotentialDataset, require_some, summary_of
from potentia.potentials.datasets.limits import Limits
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.formats.reading import StructureLike, read_structures
from potentia.potentials.geometry import species_indices
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise, joined

__all__ = ["CachedStructureDataset", "StructureDataset", "convert_to_structures"]

CHUNK = 128
"""Structures that are featurised at a time."""


def convert_to_structures(items: StructureLike | Iterable[StructureLike]) -> list[Structure]:
    """Return the structures in paths, ASE Atoms and Structures, in any mixture; a file gives all its frames."""
    return read_structures(items).structures


class StructureDataset(PotentialDataset):
    """Structures in memory; features are computed when asked for.

    Args:
        structures: Paths, ASE Atoms or Structures, in any mixture.
        descriptor: What makes the features.
        max_energy: Structures with more energy per atom, relative to free atoms, are left out (eV).
        max_forces: Structures with an atom on which the force is larger in magnitude are left out (eV/Å).
        atomic_energies: Energy of the free atom of each species (eV); None means zeros.
        seed: Seed of splits that are given none.

    Raises:
        DataError: a structure cannot be used, or none is left.

    Example:
        >>> from potentia import ChebyshevDescriptor
        >>> descriptor = ChebyshevDescriptor(["H"], rad_order=1, rad_cutoff=2.0, ang_order=0, ang_cutoff=2.0)
        >>> dataset = StructureDataset([Structure([[0, 0, 0], [0.9, 0, 0]], ["H", "H"], energy=-31.7)], descriptor)
        >>> dataset[0]["features"].shape, dataset.get_structure_identifier(0)
        (torch.Size([2, 3]), 'structure_000000')
    """

    def __init__(
        self,
        structures: StructureLike | Iterable[StructureLike],
        descriptor: Descriptor,
        max_energy: float | None = None,
        max_forces: float | None = None,
        atomic_energies: Mapping[str, float] | None = None,
        seed: int | None = None,
    ) -> None:
        self.limits = Limits(atomic_energies, max_energy, max_forces)
        self.seed = seed
        self._descriptor = descriptor
        given = convert_to_structures(structures)
        self._numbers = [k for k, structure in enumerate(given) if self.limits.keep(structure)]
        self.structures = [given[k] for k in self._numbers]
        require_some(len(self.structures), len(given), self.limits)
        for structure in self.structures:
            species_indices(structure, descriptor.species_to_idx)
            self.limits.reference_energy(structure)

    @property
    def descriptor(self) -> Descriptor:
        """What makes the features."""
        return self._descriptor

    @property
    def force_structures(self) -> list[Structure]:
        """The structures with forces."""
        return [structure for structure in self.structures if structure.has_forces()]

    @property
    def energy_only_structures(self) -> list[Structure]:
        """The structures without."""
        return [structure for structure in self.structures if not structure.has_forces()]

    def __len__(self) -> int:
        return len(self.structures)

    def get_structure(self, idx: int) -> Structure:
        """Return one structure."""
        return self.structures[self.checked_index(idx)]

    def get_structure_identifier(self, idx: int) -> str:
        """Return name or path, else ``structure_000007``, counted before anything was filtered or split."""
        number = self.checked_index(idx)
        structure = self.structures[number]
        return structure.name or structure.source or f"structure_{self._numbers[number]:06d}"

    def labels(self, indices: Sequence[int]) -> list[Structure]:
        """Return many structures, in the order given."""
        return [self.structures[k] for k in indices]

    def summary(self) -> DatasetSummary:
        """Return the labels of all structures that are one number each."""
        return summary_of(self.structures, self.descriptor.species)

    def part(self, indices: Sequence[int]) -> Self:
        """Return a data set of some of the structures, which keep their identifiers."""
        part = copy.copy(self)
        part.structures = [self.structures[k] for k in indices]
        part._numbers = [self._numbers[k] for k in indices]
        return part


class CachedStructureDataset(StructureDataset):
    """Structures in memory with their features, computed once: for training on energies.

    Samples have no forces. Derivatives need pairs besides features; they are computed when asked for.

    Args:
        structures: Paths, ASE Atoms or Structures, in any mixture.
        descriptor: What makes the features.
        max_energy: Structures with more energy per atom, relative to free atoms, are left out (eV).
        max_forces: Structures with an atom on which the force is larger in magnitude are left out (eV/Å).
        atomic_energies: Energy of the free atom of each species (eV); None means zeros.
        seed: Seed of splits that are given none.
        show_progress: Whether a bar shows how far the features are.
    """

    def __init__(
        self,
        structures: StructureLike | Iterable[StructureLike],
        descriptor: Descriptor,
        max_energy: float | None = None,
        max_forces: float | None = None,
        atomic_energies: Mapping[str, float] | None = None,
        seed: int | None = None,
        show_progress: bool = True,
    ) -> None:
        super().__init__(structures, descriptor, max_energy, max_forces, atomic_energies, seed)
        self._known: list[Featurised] = []
        with progress.bar(len(self), "features", shown=show_progress) as bar:
            for begin in range(0, len(self), CHUNK):
                chunk = self.structures[begin : begin + CHUNK]
                found = featurise(chunk, descriptor, [False] * len(chunk))
                self._known += [found.structure(k) for k in range(len(chunk))]
                bar.update(len(chunk))

    def featurised(self, indices: Sequence[int], differentiated: Sequence[bool]) -> Featurised:
        """Return the features of entries: those kept, unless derivatives are wanted."""
        if any(differentiated) or not len(indices):
            return super().featurised(indices, differentiated)
        return joined([self._known[k] for k in indices], self.descriptor)

    def materialize_sample(self, idx: int, use_forces: bool = False) -> dict[str, object]:
        """Return one entry as tensors, by default without forces."""
        return super().materialize_sample(idx, use_forces)

    def part(self, indices: Sequence[int]) -> Self:
        """Return a data set of some of the structures, which keep identifiers and features."""
        part = super().part(indices)
        part._known = [self._known[k] for k in indices]
        return part
