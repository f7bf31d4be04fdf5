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

from potentia.nn import Factors, Trace, segment_jacobian
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
    def scale(self) -> Tensor:
        """What the components are multiplied by so that half their sum of squares has the gradient of the loss."""
        return self.pull.sqrt()

    @property
    def scaled(self) -> Tensor:
        """These components."""
        return self.values * self.scale

    def spread(self, there: Tensor) -> Pulled:
        """Put the rows to the places that are ``there``, zeros elsewhere."""
        return Pulled(_spread(self.values, there), _spread(self.pull, there))

    def part(self, rows: slice | Tensor) -> Pulled:
        """Return some of the rows."""
        return Pulled(self.values[rows], self.pull[rows])


def rows_of_batch(
    model: AtomicNetworks, residuals: Residuals, pulled: Mapping[str, Pulled], groups: int
) -> Iterator[Rows]:
    """Return the rows of energies, then those of forces in ``groups`` for each structure, then those of stresses.

    What weighs nothing in the loss (no label, weight 0, fewer atoms than groups) has no row.
    """
    data = residuals.data
    if "energy" in pulled:
        counted = pulled["energy"].pull > 0
        structures, energies = residuals.places[counted], pulled["energy"].part(counted)
        for begin in range(0, len(structures), CHUNK):
            part = slice(begin, begin + CHUNK)
            yield _energy_rows(model, data, structures[part], energies.part(part))
    if residuals.derivatives is not None:
        yield from _derivative_rows(model, data, residuals.derivatives, pulled, groups)


def _energy_rows(model: AtomicNetworks, data: LabelledStructures, structures: Tensor, energies: Pulled) -> Rows:
    """Rows of the energies of ``structures``."""
    selection = data.featurised.geometry.select(structures)
    atoms = data.featurised.atoms(selection)
    per_energy = (energies.scale / data.n_atoms[structures]).to(model.e_scaling) / model.e_scaling
    layers = []
    for trace, rows in zip(atoms.traces(model, gradient=False), atoms.rows, strict=True):
        layers.append(trace.factors(per_energy[selection.owner[rows].to(per_energy.device)]))
    return _rows_of(model, atoms, layers, energies.scaled)


def _derivative_rows(
    model: AtomicNetworks,
    data: LabelledStructures,
    labels: Derivatives,
    pulled: Mapping[str, Pulled],
    groups: int,
) -> Iterator[Rows]:
    """Rows of forces and stresses: directions along the residuals, one JVP of the structures for each group."""
    there = {"force": labels.forces, "virial": labels.stress}
    spread = {name: pulled[name].spread(there[name]) for name in there if name in pulled}
    first, n = labels.selection.first.tolist(), len(labels.selection.structures)
    for begin in range(0, n, CHUNK):
        end = min(begin + CHUNK, n)
        atoms = data.featurised.atoms(data.featurised.geometry.select(labels.selection.structures[begin:end]))
        towards = _Towards(model, atoms, atoms.traces(model, gradient=True))
        if "force" in spread:
            forces = spread["force"].part(slice(first[begin], first[end]))
            for group in range(groups):
                yield from towards.forces(forces, group, groups)
        if "virial" in spread:
            yield from towards.stresses(spread["virial"].part(slice(begin, end)))


@dataclass(frozen=True)
class _Towards:
    """Makes rows of directions in which the atoms and cells of some structures move."""

    model: AtomicNetworks
    atoms: Atoms
    traces: list[Trace]

    def forces(self, forces: Pulled, group: int, groups: int) -> Iterator[Rows]:
        """Rows of every ``groups``-th atom of each structure; ``forces`` [atoms, 3]."""
        selection, scaled = self.atoms.selection, forces.scaled
        place = torch.arange(len(scaled), device=scaled.device) - selection.first[selection.owner]
        scale = forces.scale * (place % groups == group)[:, None]
        part = scaled * (scale > 0)
        length = self._per_structure(part.square().sum(1)).sqrt()
        shift = -part * scale / (length + TINY)[selection.owner][:, None]  # forces are minus the gradient
        strain = scaled.new_zeros(len(length), 3, 3)
        yield from self._along(shift, strain, length, self._per_structure(scale.sum(1)) > 0)

    def stresses(self, virials: Pulled) -> Iterator[Rows]:
        """Rows of the virials per atom, [structures, 3, 3]."""
        selection, scaled = self.atoms.selection, virials.scaled
        n_atoms = selection.first.diff()
        length = scaled.square().sum((1, 2)).sqrt()
        strain = scaled * virials.scale / ((length + TINY) * n_atoms)[:, None, None]
        shift = scaled.new_zeros(len(selection.atoms), 3)
        yield from self._along(shift, strain, length, virials.pull.sum((1, 2)) > 0)

    def _per_structure(self, values: Tensor) -> Tensor:
        selection = self.atoms.selection
        return values.new_zeros(len(selection.structures)).index_add_(0, selection.owner, values)

    def _along(self, shift: Tensor, strain: Tensor, length: Tensor, counted: Tensor) -> Iterator[Rows]:
        """Rows with the derivatives of Σ dE/dx·shift + Σ dE/dε:strain over each structure that is ``counted``."""
        if not bool(counted.any()):
            return
        model, atoms = self.model, self.atoms
        dtype = atoms.features.values.dtype
        change = atoms.descriptor.jvp(
            atoms.geometry, atoms.features.moments, atoms.selection, shift.to(dtype), strain.to(dtype)
        )
        layers = []
        for trace, rows in zip(self.traces, atoms.rows, strict=True):
            direction = change[rows].to(model.feature_mean) * model.slope
            layers.append(trace.factors(torch.zeros_like(trace.value), direction))
        found = _rows_of(model, atoms, layers, length)
        kept = counted.to(found.residual.device)
        whole = bool(kept.all())
        yield found if whole else Rows(found.residual[kept], [block[kept] for block in found.jacobian])


def _rows_of(model: AtomicNetworks, atoms: Atoms, layers: list[list[Factors]], residual: Tensor) -> Rows:
    """One row for each structure from the factors of each species' atoms, on the device of the networks."""
    device, n = model.e_scaling.device, len(residual)
    blocks = []
    for factors, rows in zip(layers, atoms.rows, strict=True):
        counts = torch.bincount(atoms.selection.owner[rows], minlength=n)
        blocks.append(segment_jacobian(factors, counts.to(device)).double())
    return Rows(residual.to(device), blocks)


def _spread(values: Tensor, there: Tensor) -> Tensor:
    spread = values.new_zeros(len(there), *values.shape[1:])
    spread[there] = values
    return spread
