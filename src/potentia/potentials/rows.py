"""The residuals of a batch as rows of a least-squares problem, with their derivatives by the weights.

A structure brings one row for its energy, and a few for its forces and one for its stress: with scaled components ρ of
a group of labels, the row is ``|ρ|`` and its derivative ``ρ·∂ρ/|ρ|``. So the rows have the exact gradient of the loss,
while a row costs one JVP of the descriptor instead of one for each component.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.nn import Trace, segment_jacobian
from potentia.potentials.datasets.labelled import LabelledStructures
from potentia.potentials.forces import Atoms
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.residuals import Derivatives, Residuals
from potentia.train import Rows

__all__ = ["Pulled", "rows_of_batch"]

TINY = 1e-150
"""Added to the length of a row that is divided by."""
CHUNK = 256
"""Structures whose rows are made at a time."""


@dataclass(frozen=True)
class Pulled:
    """One kind of residual of a batch with what each of its squares weighs in the loss."""

    values: Tensor
    """As in `Residual`."""
    pull: Tensor
    """Twice the derivative of the loss by the square of each component, of the shape of the values."""

    @property
    def scaled(self) -> Tensor:
        """Components whose half sum of squares has the gradient of the loss."""
        return self.values * self.pull.sqrt()


def rows_of_batch(
    model: AtomicNetworks, residuals: Residuals, pulled: Mapping[str, Pulled], groups: int
) -> Iterator[Rows]:
    """Return the rows of energies, then those of forces in ``groups`` for each structure, then those of stresses."""
    data, places = residuals.data, residuals.places
    if "energy" in pulled:
        scaled, scale = pulled["energy"].scaled, pulled["energy"].pull.sqrt()
        for begin in range(0, len(places), CHUNK):
            part = slice(begin, begin + CHUNK)
            weight = scale[part] / data.n_atoms[places[part]]
            yield _energy_rows(model, data, places[part], weight, scaled[part])
    if residuals.derivatives is not None:
        yield from _derivative_rows(model, data, residuals.derivatives, pulled, groups)


def _energy_rows(
    model: AtomicNetworks, data: LabelledStructures, structures: Tensor, weight: Tensor, residual: Tensor
) -> Rows:
    """Rows of the energies of ``structures``, each ``weight`` times the energy."""
    atoms = data.featurised.atoms(data.featurised.geometry.select(structures))
    traces = atoms.traces(model, gradient=False)
    scaled = (weight / model.e_scaling.double()).to(model.e_scaling)
    blocks = []
    for trace, rows in zip(traces, atoms.rows, strict=True):
        owner = atoms.selection.owner[rows]
        counts = torch.bincount(owner, minlength=len(structures))
        blocks.append(segment_jacobian(trace.factors(scaled[owner.to(scaled.device)]), counts).double())
    return Rows(residual, blocks)


def _derivative_rows(
    model: AtomicNetworks,
    data: LabelledStructures,
    labels: Derivatives,
    pulled: Mapping[str, Pulled],
    groups: int,
) -> Iterator[Rows]:
    """Rows of forces and stresses: directions along the residuals, one JVP of all structures for each group."""
    selection, geometry = labels.selection, data.featurised.geometry
    n, dtype = len(selection.structures), data.featurised.features.values.dtype
    atoms = data.featurised.atoms(selection)
    traces = atoms.traces(model, gradient=True)
    still = torch.zeros(n, 3, 3, dtype=dtype, device=geometry.device)
    if "force" in pulled:
        scaled = _spread(pulled["force"].scaled, labels.forces)
        scale = _spread(pulled["force"].pull.sqrt(), labels.forces)
        place = torch.arange(len(selection.atoms), device=geometry.device) - selection.first[selection.owner]
        for group in range(groups):
            there = (place % groups == group)[:, None]
            part = torch.where(there, scaled, 0.0)
            length = scaled.new_zeros(n).index_add_(0, selection.owner, part.square().sum(1)).sqrt()
            shift = -part * scale / (length + TINY)[selection.owner][:, None]  # forces are minus the gradient
            yield _rows_along(model, atoms, traces, shift.to(dtype), still, length)
    if "virial" in pulled:
        scaled, scale = (
            _spread(part, labels.stress) for part in (pulled["virial"].scaled, pulled["virial"].pull.sqrt())
        )
        length = scaled.square().sum((1, 2)).sqrt()
        per_atom = (length + TINY) * data.n_atoms[selection.structures]
        shift = torch.zeros(len(selection.atoms), 3, dtype=dtype, device=geometry.device)
        yield _rows_along(model, atoms, traces, shift, (scaled * scale / per_atom[:, None, None]).to(dtype), length)


def _rows_along(
    model: AtomicNetworks, atoms: Atoms, traces: list[Trace], shift: Tensor, strain: Tensor, residual: Tensor
) -> Rows:
    """Rows whose derivatives are those of Σ dE/dx·shift + Σ dE/dε:strain over each structure."""
    change = atoms.descriptor.jvp(atoms.geometry, atoms.features.moments, atoms.selection, shift, strain)
    blocks = []
    for trace, rows in zip(traces, atoms.rows, strict=True):
        direction = change[rows].to(model.feature_mean) * model.slope
        counts = torch.bincount(atoms.selection.owner[rows], minlength=len(residual))
        factors = trace.factors(torch.zeros_like(trace.value), direction)
        blocks.append(segment_jacobian(factors, counts).double())
    return Rows(residual, blocks)


def _spread(values: Tensor, there: Tensor) -> Tensor:
    """Put rows to the places that are ``there``, zeros elsewhere."""
    spread = values.new_zeros(len(there), *values.shape[1:])
    spread[there] = values
    return spread
