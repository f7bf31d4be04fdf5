"""Energies, forces and strain derivatives as one function of the weights, differentiated in closed form.

Positions stand still while a potential is trained, so the descriptor is a fixed linear map from g = dE/dG to the
gradient by positions and strain: its VJP. The gradient of a loss on forces by g is that map transposed, its JVP; what
the networks add on both ways is in closed form too (`network_passes`), so autograd sees one function.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from potentia.nn import Trace
from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.geometry import Geometry, Selection
from potentia.potentials.network_passes import NetworkInput, passes_of
from potentia.potentials.networks import Networks

__all__ = ["Atoms", "potential_energy"]


class Atoms(NamedTuple):
    """Atoms of some structures."""

    descriptor: Descriptor
    geometry: Geometry
    features: Features
    selection: Selection
    given: NetworkInput
    """What the networks see of them."""

    @classmethod
    def of(cls, descriptor: Descriptor, geometry: Geometry, features: Features, selection: Selection) -> Atoms:
        """Return the atoms of ``selection``."""
        network, n = geometry.species[selection.atoms], descriptor.n_species
        if selection.member is not None:
            network, n = network + n * selection.member[selection.owner], n * selection.n_members
        given = NetworkInput(features.values, selection.atoms, network, selection.owner, n)
        return cls(descriptor, geometry, features, selection, given)

    @property
    def rows(self) -> list[Tensor]:
        """Places in the selection of each network's atoms."""
        return self.given.rows

    def traces(self, model: Networks, *, gradient: bool) -> list[Trace]:
        """Pass the atoms through the networks, in the type and on the device of these."""
        return self.given.traces(model, gradient=gradient)


class _Energies(torch.autograd.Function):
    """Energies alone."""

    @staticmethod
    def forward(ctx: Any, model: Networks, atoms: Atoms, *weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.passes = passes_of(model, atoms.given, gradient=False)
        atomic = ctx.passes.atomic
        ctx.mark_non_differentiable(atomic)
        return atomic, _summed(atoms.selection, atomic)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, _atomic: Tensor, energy: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *ctx.passes.weight_gradients(energy, None)


class _EnergiesAndGradients(torch.autograd.Function):
    """Energies with their derivatives by positions and strain."""

    @staticmethod
    def forward(ctx: Any, model: Networks, atoms: Atoms, *weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.passes = passes = passes_of(model, atoms.given, gradient=True)
        ctx.atoms = atoms
        ctx.mark_non_differentiable(passes.atomic)
        assert passes.by_feature is not None
        gradient, strain = atoms.descriptor.vjp(
            atoms.geometry, atoms.features.moments, atoms.selection, passes.by_feature
        )
        return passes.atomic, _summed(atoms.selection, passes.atomic), gradient, strain

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, _atomic: Tensor, energy: Tensor, gradient: Tensor, strain: Tensor
    ) -> tuple[Tensor | None, ...]:
        atoms = ctx.atoms
        change = atoms.descriptor.jvp(atoms.geometry, atoms.features.moments, atoms.selection, gradient, strain)
        return None, None, *ctx.passes.weight_gradients(energy, change)


def potential_energy(
    model: Networks, atoms: Atoms, *, gradients: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return atomic energies [atoms], their sums [structures], and with ``gradients`` dE/dx and dE/dε, else None.

    In eV and eV/Å, relative to free atoms; the atomic energies carry no gradient, all others are differentiable once by
    the weights. Forces are -dE/dx [atoms, 3], the stress is dE/dε [structures, 3, 3] divided by the volume.
    """
    if not gradients:
        atomic, energy = _Energies.apply(model, atoms, *model.weights)
        return atomic, energy, None, None
    found: tuple[Tensor, Tensor, Tensor, Tensor] = _EnergiesAndGradients.apply(model, atoms, *model.weights)
    return found


def _summed(selection: Selection, atomic: Tensor) -> Tensor:
    """Return the sums of atomic energies.  [structures], float64"""
    zeros = torch.zeros(len(selection.structures), dtype=torch.float64, device=atomic.device)
    return zeros.index_add_(0, selection.owner, atomic.double())
