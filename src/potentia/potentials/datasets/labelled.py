"""Structures with labels as tensors: all that the training of a potential reads, laid out once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from potentia.errors import ConfigError, DataError
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.geometry import species_indices
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise

__all__ = ["LabelledStructures", "reference_energy"]


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
        _require_energies(structures)
        differentiated = [gradients and (s.has_forces() or s.has_stress()) for s in structures]
        featurised = featurise(structures, descriptor, differentiated)
        device, dtype = descriptor.device, descriptor.dtype
        forces = [np.zeros((s.n_atoms, 3)) if s.forces is None else s.forces for s in structures]
        stress = [np.zeros((3, 3)) if s.stress is None else s.stress for s in structures]
        energy = [float(s.energy or 0.0) - reference_energy(s, atomic_energies) for s in structures]
        return cls(
            featurised=featurised,
            energy=torch.tensor(energy, dtype=torch.float64, device=device),
            n_atoms=torch.tensor([s.n_atoms for s in structures], dtype=torch.float64, device=device),
            forces=torch.as_tensor(np.concatenate(forces), dtype=dtype, device=device),
            has_forces=torch.tensor([s.has_forces() for s in structures], device=device),
            stress=torch.as_tensor(np.stack(stress), dtype=dtype, device=device),
            has_stress=torch.tensor([s.has_stress() for s in structures], device=device),
            weight=torch.tensor([s.weight for s in structures], dtype=torch.float64, device=device),
        )


def reference_energy(structure: Structure, atomic_energies: Mapping[str, float]) -> float:
    """Return the energy of the free atoms of ``structure`` (eV)."""
    return float(sum(atomic_energies[name] for name in structure.species))


def complete_atomic_energies(atomic_energies: Mapping[str, float], species: Sequence[str]) -> dict[str, float]:
    """Return the energy of each of ``species``, or raise `ConfigError` naming those that lack one."""
    missing = [name for name in species if name not in atomic_energies]
    if missing:
        raise ConfigError(f"atomic_energies lacks {', '.join(missing)}: give the energy of every species, in eV")
    return {name: float(atomic_energies[name]) for name in species}


def content_hash(structures: Sequence[Structure], species_to_idx: Mapping[str, int]) -> str:
    """Return a mark of positions, cells, species and labels: the same data, the same mark."""
    digest = hashlib.sha256()
    for structure in structures:
        digest.update(species_indices(structure, species_to_idx).tobytes())
        digest.update(np.float64(structure.energy if structure.energy is not None else np.nan).tobytes())
        digest.update(np.float64(structure.weight).tobytes() + structure.pbc.tobytes())
        for array in (structure.positions, structure.cell, structure.forces, structure.stress):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _require_energies(structures: Sequence[Structure]) -> None:
    without = [k for k, s in enumerate(structures) if s.energy is None]
    if without:
        raise DataError(
            f"{len(without)} of {len(structures)} structures have no energy, the first is number {without[0]} "
            f"({structures[without[0]].label}): training needs the total energy (eV) of each"
        )
