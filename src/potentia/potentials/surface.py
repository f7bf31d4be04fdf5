"""The potential energy surface: energies, forces and strain derivatives of structures whose features are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.forces import Atoms, potential_energy
from potentia.potentials.geometry import Geometry, Selection, join_geometries
from potentia.potentials.networks import Networks
from potentia.potentials.structure import Structure

__all__ = ["Featurised", "Surface", "featurise", "joined"]


@dataclass(frozen=True)
class Surface:
    """What a potential says of some structures. Energies are relative to free atoms."""

    atomic: Tensor
    """Energy of each atom, eV.  [atoms]"""
    energy: Tensor
    """Their sums, eV.  [structures], float64"""
    gradient: Tensor | None = None
    """dE/dx, eV/Å; the force is its negative.  [atoms, 3]"""
    strain: Tensor | None = None
    """dE/dε, eV; the stress is this over the volume.  [structures, 3, 3]"""


@dataclass(frozen=True)
class Featurised:
    """Structures with their features, computed once: positions do not move while a potential is trained."""

    descriptor: Descriptor
    geometry: Geometry
    features: Features

    def surface(self, model: Networks, selection: Selection, *, gradients: bool) -> Surface:
        """Return energies, with derivatives by positions and strain if asked for; differentiable by the weights."""
        return Surface(*potential_energy(model, self.atoms(selection), gradients=gradients))

    def structure(self, k: int) -> Featurised:
        """Return one structure alone."""
        first, last = (int(self.geometry.atom_start[i]) for i in (k, k + 1))
        features = Features(self.features.values[first:last], self.features.moments[first:last])
        return Featurised(self.descriptor, self.geometry.structure(k), features)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays."""
        return self.geometry.nbytes + self.features.values.nbytes + self.features.moments.nbytes

    def atoms(self, selection: Selection) -> Atoms:
        """Return the atoms of ``selection``."""
        return Atoms.of(self.descriptor, self.geometry, self.features, selection)


def featurise(
    structures: Sequence[Structure], descriptor: Descriptor, differentiated: Sequence[bool], chunk: int = 128
) -> Featurised:
    """Compute the features of ``structures`` a chunk at a time; pairs are kept where ``differentiated`` says so.

    Memory: per atom the features, and where derivatives are wanted 36 bytes a pair and the moments besides.
    """
    parts = []
    anywhere = any(differentiated)
    for begin in range(0, len(structures), chunk):
        geometry = descriptor.geometry(structures[begin : begin + chunk])
        features = descriptor.features(geometry)
        kept = torch.tensor(list(differentiated[begin : begin + chunk]), device=descriptor.device)
        moments = features.moments if anywhere else features.moments[:0]
        parts.append(Featurised(descriptor, geometry.keep_pairs(kept), Features(features.values, moments)))
    return joined(parts, descriptor)


def joined(parts: Sequence[Featurised], descriptor: Descriptor) -> Featurised:
    """Lay featurised structures end to end."""
    values = torch.cat([part.features.values for part in parts])
    moments = [part.features.moments for part in parts]
    if any(len(m) for m in moments):  # parts without derivatives have none
        atoms = [part.geometry.n_atoms for part in parts]
        moments = [m if len(m) else m.new_zeros(n, *m.shape[1:]) for m, n in zip(moments, atoms, strict=True)]
    geometry = join_geometries([part.geometry for part in parts])
    return Featurised(descriptor, geometry, Features(values, torch.cat(moments)))
