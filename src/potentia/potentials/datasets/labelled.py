"""Structures with labels as tensors: all that the training of a potential reads, laid out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.errors import ConfigError, DataError
from potentia.potentials.datasets.base import DatasetSummary, PotentialDataset
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise

__all__ = [
    "LabelledStructures",
    "Labels",
    "TrainingStructures",
    "complete_atomic_energies",
    "reference_energy",
]


class TrainingStructures(Protocol):
    """Structures to train on, wherever their features are: labels of all, and the features of those asked for."""

    @property
    def energy(self) -> Tensor:
        """Relative to free atoms, eV.  [structures], float64"""

    @property
    def n_atoms(self) -> Tensor:
        """[structures], float64"""

    @property
    def has_forces(self) -> Tensor:
        """[structures], bool"""

    @property
    def has_stress(self) -> Tensor:
        """[structures], bool"""

    @property
    def weight(self) -> Tensor:
        """Weight in the loss.  [structures], float64"""

    def part(self, structures: Tensor, n_gradients: int) -> tuple[LabelledStructures, Tensor]:
        """Return data that hold ``structures``, and their places there; the first ``n_gradients`` with derivatives."""
        ...

    def announce(self, structures: Sequence[Tensor], n_gradients: Sequence[int]) -> None:
        """Say which parts will be asked for next."""
        ...

    def pieces(self) -> Iterator[Featurised]:
        """Return the features of all structures, in their order, in as many pieces as they come."""
        ...

    def close(self) -> None:
        """End what works ahead; the data can be used on."""
        ...


@dataclass(frozen=True)
class Labels:
    """The labels of all structures that are one number each, as tensors."""

    energy: Tensor
    n_atoms: Tensor
    has_forces: Tensor
    has_stress: Tensor
    weight: Tensor

    @classmethod
    def of(
        cls, summary: DatasetSummary, atomic_energies: Mapping[str, float], weight: NDArray[np.float64], device: object
    ) -> Labels:
        """Take the labels of a data set, energies relative to free atoms."""
        return cls(
            energy=torch.as_tensor(summary.energy - _references(summary, atomic_energies), device=str(device)),
            n_atoms=torch.as_tensor(summary.n_atoms.astype(np.float64), device=str(device)),
            has_forces=torch.as_tensor(summary.has_forces, device=str(device)),
            has_stress=torch.as_tensor(summary.has_stress, device=str(device)),
            weight=torch.as_tensor(weight, device=str(device)),
        )


@dataclass(frozen=True)
class LabelledStructures:
    """Featurised structures with energies relative to free atoms, and forces and stresses where there are any."""

    featurised: Featurised
    energy: Tensor
    """Relative to free atoms, eV.  [structures], float64"""
    n_atoms: Tensor
    """[structures], float64"""
    forces: Tensor
    """eV/Å; zeros where there are none.  [atoms, 3]"""
    has_forces: Tensor
    """[structures], bool"""
    stress: Tensor
    """eV/Å³; zeros where there is none.  [structures, 3, 3]"""
    has_stress: Tensor
    """[structures], bool"""
    weight: Tensor
    """Weight in the loss.  [structures], float64"""

    @classmethod
    def of(
        cls,
        structures: Sequence[Structure],
        descriptor: Descriptor,
        atomic_energies: Mapping[str, float],
        *,
        gradients: bool,
    ) -> LabelledStructures:
        """Lay out ``structures``; with ``gradients``, those with forces or stress keep what their derivatives need."""
        differentiated = [gradients and (s.has_forces() or s.has_stress()) for s in structures]
        featurised = featurise(structures, descriptor, differentiated)
        energy = [float(s.energy or 0.0) - reference_energy(s, atomic_energies) for s in structures]
        device = descriptor.device
        labels = Labels(
            energy=torch.tensor(energy, dtype=torch.float64, device=device),
            n_atoms=torch.tensor([s.n_atoms for s in structures], dtype=torch.float64, device=device),
            has_forces=torch.tensor([s.has_forces() for s in structures], device=device),
            has_stress=torch.tensor([s.has_stress() for s in structures], device=device),
            weight=torch.tensor([s.weight for s in structures], dtype=torch.float64, device=device),
        )
        return cls.with_labels(featurised, labels, structures)

    @classmethod
    def with_labels(cls, featurised: Featurised, labels: Labels, structures: Iterable[Structure]) -> LabelledStructures:
        """Put features and labels of the same structures together; forces and stress are read from ``structures``."""
        like = featurised.features.values
        forces, stress = [], []
        for s in structures:
            forces.append(np.zeros((s.n_atoms, 3)) if s.forces is None else s.forces)
            stress.append(np.zeros((3, 3)) if s.stress is None else s.stress)
        return cls(
            featurised=featurised,
            forces=torch.as_tensor(np.concatenate(forces), dtype=like.dtype, device=like.device),
            stress=torch.as_tensor(np.stack(stress), dtype=like.dtype, device=like.device),
            **vars(labels),
        )

    def part(self, structures: Tensor, n_gradients: int) -> tuple[LabelledStructures, Tensor]:
        """Return all of it: everything is here."""
        return self, structures.to(self.energy.device)

    def announce(self, structures: Sequence[Tensor], n_gradients: Sequence[int]) -> None:
        """Do nothing: everything is here."""

    def pieces(self) -> Iterator[Featurised]:
        """Return all of it."""
        yield self.featurised

    def close(self) -> None:
        """Do nothing: nothing works ahead."""


def reference_energy(structure: Structure, atomic_energies: Mapping[str, float]) -> float:
    """Return the energy of the free atoms of ``structure`` (eV)."""
    counts = Counter(structure.species)
    return float(sum(counts[name] * atomic_energies[name] for name in sorted(counts)))


def _references(summary: DatasetSummary, atomic_energies: Mapping[str, float]) -> NDArray[np.float64]:
    """Return `reference_energy` of all entries, to the same bits.  [entries]"""
    total = np.zeros(len(summary.n_atoms))
    for name in sorted(summary.species):
        counts = summary.composition[:, summary.species.index(name)]
        total = np.where(counts > 0, total + counts * atomic_energies[name], total)
    return total


def complete_atomic_energies(atomic_energies: Mapping[str, float], species: Sequence[str]) -> dict[str, float]:
    """Return the energy of each of ``species``, or raise `ConfigError` naming those that lack one."""
    missing = [name for name in species if name not in atomic_energies]
    if missing:
        raise ConfigError(f"atomic_energies lacks {', '.join(missing)}: give the energy of every species, in eV")
    return {name: float(atomic_energies[name]) for name in species}


def require_energies(dataset: PotentialDataset, summary: DatasetSummary) -> None:
    """Raise `DataError` naming the first entry without an energy."""
    without = np.flatnonzero(np.isnan(summary.energy))
    if len(without):
        first = int(without[0])
        raise DataError(
            f"{len(without)} of {len(dataset)} structures have no energy, the first is number {first} "
            f"({dataset.get_structure(first).label}): training needs the total energy (eV) of each"
        )
