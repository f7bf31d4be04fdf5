"""Energies of atoms by the networks with their gradient by the features, and back: compiled loops, or torch operations.

Compiled are the passes on CPU, in one precision for features and networks, through activations that there is code for;
torch does everything else. Both are in closed form and see the same atoms.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.nn import Trace, weight_gradients
from potentia.potentials import layers_numba, networks_numba
from potentia.potentials.network_layout import Layout, layout_of
from potentia.potentials.networks import Networks
from potentia.simd.sharing import share

__all__ = ["CompiledPasses", "NetworkInput", "Passes", "TorchPasses", "passes_of"]

WORTH = 500_000
"""Atoms times weights of a network that are worth a thread."""


@dataclass(frozen=True)
class NetworkInput:
    """Atoms of some structures, as the networks see them."""

    values: Tensor
    """Features of these atoms and others.  [all atoms, features]"""
    atoms: Tensor
    """Which atoms.  [atoms]"""
    network: Tensor
    """Index of the network of each.  [atoms]"""
    owner: Tensor
    """Position of each atom's structure among the structures.  [atoms]"""
    n_networks: int

    @cached_property
    def rows(self) -> list[Tensor]:
        """Places in `atoms` of each network's atoms."""
        return [torch.nonzero(self.network == k).squeeze(1) for k in range(self.n_networks)]

    @cached_property
    def pieces(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The same places, network by network, and the pieces that they are worked on in."""
        found: tuple[NDArray[np.int64], NDArray[np.int64]] = networks_numba.cut(self.network.numpy(), self.n_networks)
        return found

    def traces(self, model: Networks, *, gradient: bool) -> list[Trace]:
        """Pass the atoms through the networks, one after the other, in the type and on the device of these."""
        return model.traces(
            [self.values[self.atoms[rows]].to(model.feature_mean) for rows in self.rows], gradient=gradient
        )

    def in_place(self, parts: Sequence[Tensor]) -> Tensor:
        """Put the parts, network by network, to the places of their atoms, on the device of the features."""
        values = torch.cat(list(parts)).to(self.values.device)
        return torch.empty_like(values).index_copy_(0, torch.cat(self.rows), values)


class Passes(ABC):
    """One pass of some atoms through the networks, and the way back."""

    atomic: Tensor
    """Energy of each atom, in reference to the free atom (eV).  [atoms]"""
    by_feature: Tensor | None
    """Its gradient by the features (eV), in their type; None where it was not asked for.  [atoms, features]"""

    @abstractmethod
    def weight_gradients(self, by_energy: Tensor, change: Tensor | None) -> list[Tensor]:
        """Return the derivative of Σ by_energy·energy + Σ change·by_feature by each parameter of the networks.

        Args:
            by_energy: Of the energies of the structures.  [structures]
            change: Of the features, None for the first sum alone.  [atoms, features]
        """


class TorchPasses(Passes):
    """By torch operations, network by network: for any device, precision and activation."""

    def __init__(self, model: Networks, given: NetworkInput, *, gradient: bool) -> None:
        self._model, self._given = model, given
        self._traces = given.traces(model, gradient=gradient)
        self.atomic = given.in_place([model.atomic_energies(trace) for trace in self._traces])
        gradients = [trace.gradient * model.slope for trace in self._traces if trace.gradient is not None]
        self.by_feature = given.in_place(gradients).to(given.values.dtype) if gradient else None

    def weight_gradients(self, by_energy: Tensor, change: Tensor | None) -> list[Tensor]:
        """Return the derivative by each parameter."""
        model, rows, owner = self._model, self._given.rows, self._given.owner
        scaled = by_energy.to(model.e_scaling) / model.e_scaling
        found = []
        for trace, places in zip(self._traces, rows, strict=True):
            direction = None if change is None else change[places].to(model.feature_mean) * model.slope
            factors = trace.factors(scaled[owner[places].to(scaled.device)], direction)
            found += weight_gradients(factors)
        return model.by_weight(found)


class CompiledPasses(Passes):
    """By compiled loops on CPU, all networks at once; the way back goes forward again, so that nothing is kept."""

    def __init__(self, model: Networks, given: NetworkInput, layout: Layout, *, gradient: bool) -> None:
        self._given, self._layout = given, layout
        self._shapes = [weight.shape for weight in model.weights]
        order, pieces = given.pieces
        weights = torch.cat([weight.detach().reshape(-1) for weight in model.weights]).numpy()
        table = (layout.layers, layout.first)
        self._worth = len(given.atoms) * layout.n_parameters // WORTH
        self._arguments = (
            *table,
            layout.sizes,
            layers_numba.pack(*table, weights, layout.sizes[networks_numba.PACKED]),
            given.values.numpy(),
            given.atoms.numpy(),
            order,
            pieces,
            model.feature_mean.numpy(),
            model.feature_scale.numpy(),
            torch.stack((model.e_scaling, model.e_shift)).numpy(),
        )
        self.atomic = given.values.new_empty(len(given.atoms))
        by_feature = given.values.new_empty((len(given.atoms) if gradient else 0, given.values.shape[1]))
        filled = (self.atomic.numpy(), by_feature.numpy())
        share(networks_numba.energies, self._worth, *self._arguments, *filled)
        self.by_feature = by_feature if gradient else None

    def weight_gradients(self, by_energy: Tensor, change: Tensor | None) -> list[Tensor]:
        """Return the derivative by each parameter."""
        values, pieces, layout = self._given.values, self._given.pieces[1], self._layout
        numbers = [shape.numel() for shape in self._shapes]
        found = values.new_empty(sum(numbers))
        by_piece = values.new_empty((len(pieces), layout.n_parameters)).numpy()
        given: tuple[Any, ...] = (
            self._given.owner.numpy(),
            by_energy.to(values.dtype).contiguous().numpy(),
            (values.new_empty((0, values.shape[1])) if change is None else change.contiguous()).numpy(),
        )
        share(networks_numba.weight_gradients, self._worth, *self._arguments, *given, by_piece)
        networks_numba.add_up(layout.layers, layout.first, pieces, by_piece, found.numpy())
        return [part.view(shape) for part, shape in zip(found.split(numbers), self._shapes, strict=True)]


def passes_of(model: Networks, given: NetworkInput, *, gradient: bool) -> Passes:
    """Pass atoms through the networks, by compiled loops where there are any for these."""
    mean, values = model.feature_mean, given.values
    layout = layout_of(model.shapes)
    if layout is None or mean.dtype != values.dtype or {mean.device.type, values.device.type} != {"cpu"}:
        return TorchPasses(model, given, gradient=gradient)
    return CompiledPasses(model, given, layout, gradient=gradient)
