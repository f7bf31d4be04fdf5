"""The potential energy surface: energies, forces and strain derivatives of structures whose features are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.forces import energy_gradient
from potentia.potentials.geometry import Geometry, Selection, join_geometries
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.structure import Structure

__all__ = ["Featurised", "Surface", "featurise"]


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

    def energies(self, model: AtomicNetworks, selection: Selection) -> Surface:
        """Return energies alone."""
        atomic = model(*self._inputs(model, selection)).to(self.geometry.device)
        return Surface(atomic, _sum(atomic, selection))

    def energies_and_gradients(self, model: AtomicNetworks, selection: Selection) -> Surface:
        """Return energies with their derivatives by positions and strain, differentiable by the weights."""
        atomic, cotangent = model.value_and_gradient(*self._inputs(model, selection))
        cotangent = cotangent.to(self.features.values)
        moments = self.features.moments
        gradient, strain = energy_gradient(cotangent, self.descriptor, self.geometry, moments, selection)
        atomic = atomic.to(self.geometry.device)
        return Surface(atomic, _sum(atomic, selection), gradient, strain)

    def _inputs(self, model: AtomicNetworks, selection: Selection) -> tuple[Tensor, list[Tensor]]:
        """Features and the rows of each species, in the type and on the device of the networks."""
        values = self.features.values[selection.atoms].to(model.feature_mean)
        species = self.geometry.species[selection.atoms].to(values.device)
        return values, [torch.nonzero(species == k).squeeze(1) for k in range(self.descriptor.n_species)]


def featurise(
    structures: Sequence[Structure], descriptor: Descriptor, differentiated: Sequence[bool], chunk: int = 128
) -> Featurised:
    """Compute the features of ``structures`` a chunk at a time; pairs are kept where ``differentiated`` says so.

    Memory: per atom the features, and where derivatives are wanted 36 bytes a pair and the moments besides.
    """
    geometries, values, moments = [], [], []
    anywhere = any(differentiated)
    for begin in range(0, len(structures), chunk):
        geometry = descriptor.geometry(structures[begin : begin + chunk])
        features = descriptor.features(geometry)
        kept = torch.tensor(list(differentiated[begin : begin + chunk]), device=descriptor.device)
        geometries.append(geometry.keep_pairs(kept))
        values.append(features.values)
        moments.append(features.moments if anywhere else features.moments[:0])
    return Featurised(descriptor, join_geometries(geometries), Features(torch.cat(values), torch.cat(moments)))


def _sum(atomic: Tensor, selection: Selection) -> Tensor:
    zeros = torch.zeros(len(selection.structures), dtype=torch.float64, device=atomic.device)
    return zeros.index_add(0, selection.owner, atomic.double())
