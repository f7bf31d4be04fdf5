"""Energies, forces and strain derivatives as one function of the weights, differentiated in closed form.

Positions stand still while a potential is trained, so the descriptor is a fixed linear map from g = dE/dG to the
gradient by positions and strain: its VJP. The gradient of a loss on forces by g is that map transposed, its JVP; what
the networks add on both ways is in closed form too (`potentia.nn.passes`), so autograd sees one function.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from potentia.nn import Trace, weight_gradients
from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.geometry import Geometry, Selection
from potentia.potentials.networks import AtomicNetworks

__all__ = ["Atoms", "potential_energy"]


class Atoms(NamedTuple):
    """Atoms of some structures, as the networks see them: species by species."""

    descriptor: Descriptor
    geometry: Geometry
    features: Features
    selection: Selection
    rows: list[Tensor]
    """Places in the selection of each species' atoms."""

    @classmethod
    def of(cls, descriptor: Descriptor, geometry: Geometry, features: Features, selection: Selection) -> Atoms:
        """Sort the atoms of ``selection`` by species."""
        species = geometry.species[selection.atoms]
        rows = [torch.nonzero(species == k).squeeze(1) for k in range(descriptor.n_species)]
        return cls(descriptor, geometry, features, selection, rows)

    def traces(self, model: AtomicNetworks, *, gradient: bool) -> list[Trace]:
        """Pass the atoms through the networks, in the type and on the device of these."""
        values, atoms = self.features.values, self.selection.atoms
        return model.traces([values[atoms[rows]].to(model.feature_mean) for rows in self.rows], gradient=gradient)

    def in_place(self, parts: list[Tensor]) -> Tensor:
        """Put the parts, species by species, to the places of their atoms, on the device of the features."""
        values = torch.cat(parts).to(self.geometry.device)
        return torch.empty_like(values).index_copy_(0, torch.cat(self.rows), values)


class _Energies(torch.autograd.Function):
    """Energies alone."""

    @staticmethod
    def forward(ctx: Any, model: AtomicNetworks, atoms: Atoms, *weights: Tensor) -> tuple[Tensor, Tensor]:
        ctx.traces = atoms.traces(model, gradient=False)
        ctx.model, ctx.atoms = model, atoms
        atomic, energy = _summed(model, atoms, ctx.traces)
        ctx.mark_non_differentiable(atomic)
        return atomic, energy

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, _atomic: Tensor, energy: Tensor) -> tuple[Tensor | None, ...]:
        by_value = _by_value(ctx.model, ctx.atoms, energy)
        parts = [trace.factors(value) for trace, value in zip(ctx.traces, by_value, strict=True)]
        return None, None, *(gradient for layers in parts for gradient in weight_gradients(layers))


class _EnergiesAndGradients(torch.autograd.Function):
    """Energies with their derivatives by positions and strain."""

    @staticmethod
    def forward(
        ctx: Any, model: AtomicNetworks, atoms: Atoms, *weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.traces = traces = atoms.traces(model, gradient=True)
        ctx.model, ctx.atoms = model, atoms
        atomic, energy = _summed(model, atoms, traces)
        ctx.mark_non_differentiable(atomic)
        gradients = [trace.gradient for trace in traces if trace.gradient is not None]
        cotangent = atoms.in_place([gradient * model.slope for gradient in gradients]).to(atoms.features.values.dtype)
        gradient, strain = atoms.descriptor.vjp(atoms.geometry, atoms.features.moments, atoms.selection, cotangent)
        return atomic, energy, gradient, strain

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, _atomic: Tensor, energy: Tensor, gradient: Tensor, strain: Tensor
    ) -> tuple[Tensor | None, ...]:
        model, atoms = ctx.model, ctx.atoms
        change = atoms.descriptor.jvp(atoms.geometry, atoms.features.moments, atoms.selection, gradient, strain)
        by_gradient = [change[rows].to(model.feature_mean) * model.slope for rows in atoms.rows]
        by_value = _by_value(model, atoms, energy)
        parts = [
            trace.factors(value, direction)
            for trace, value, direction in zip(ctx.traces, by_value, by_gradient, strict=True)
        ]
        return None, None, *(gradient for layers in parts for gradient in weight_gradients(layers))


def potential_energy(
    model: AtomicNetworks, atoms: Atoms, *, gradients: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return atomic energies [atoms], their sums [structures], and with ``gradients`` dE/dx and dE/dε, else None.

    In eV and eV/Å, relative to free atoms; the atomic energies carry no gradient, all others are differentiable once by
    the weights. Forces are -dE/dx [atoms, 3], the stress is dE/dε [structures, 3, 3] divided by the volume.
    """
    if not gradients:
        atomic, energy = _Energies.apply(model, atoms, *model.parameters())
        return atomic, energy, None, None
    found: tuple[Tensor, Tensor, Tensor, Tensor] = _EnergiesAndGradients.apply(model, atoms, *model.parameters())
    return found


def _summed(model: AtomicNetworks, atoms: Atoms, traces: list[Trace]) -> tuple[Tensor, Tensor]:
    """Return atomic energies [atoms] and their sums [structures], float64."""
    atomic = atoms.in_place([model.atomic_energies(trace) for trace in traces])
    selection = atoms.selection
    zeros = torch.zeros(len(selection.structures), dtype=torch.float64, device=atomic.device)
    return atomic, zeros.index_add_(0, selection.owner, atomic.double())


def _by_value(model: AtomicNetworks, atoms: Atoms, energy: Tensor) -> list[Tensor]:
    """Turn cotangents of the structures' energies into those of the networks' outputs, species by species."""
    scaled = energy.to(model.e_scaling) / model.e_scaling
    return [scaled[atoms.selection.owner[rows].to(scaled.device)] for rows in atoms.rows]
