"""Residuals of structures: predicted minus reference energies, forces, stresses and virials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from potentia.metrics import ErrorSum
from potentia.potentials.batches import StructureBatch
from potentia.potentials.datasets.labelled import LabelledStructures, TrainingStructures
from potentia.potentials.geometry import Geometry, Selection
from potentia.potentials.networks import Networks
from potentia.potentials.surface import Surface

__all__ = ["Derivatives", "Residual", "Residuals", "residuals_of"]


class Residual(NamedTuple):
    """Predicted minus reference of one kind of label."""

    values: Tensor
    """[rows] or [rows, components ...], float64"""
    weight: Tensor
    """[rows]"""
    reference: Tensor
    """The labels; of the same shape as the values."""


@dataclass(frozen=True)
class Derivatives:
    """The structures that are asked for forces and stress, and which of them have these labels."""

    selection: Selection
    forces: Tensor
    """Which atoms of the selection have forces.  [atoms], bool"""
    stress: Tensor
    """Which structures of the selection have a stress.  [structures], bool"""


@dataclass(frozen=True)
class Residuals:
    """Residuals of some structures; what a structure has no label for does not appear."""

    structures: Tensor
    """Which structures of all.  [structures]"""
    data: LabelledStructures
    """Data that hold them."""
    places: Tensor
    """Which structures of ``data`` they are.  [structures]"""
    kinds: dict[str, Residual]
    """``energy`` (eV/atom) [structures]; where there are any ``force`` (eV/Å) [atoms with forces, 3], ``stress``
    (eV/Å³) and ``virial`` (stress × volume per atom, eV/atom) [structures with stress, 3, 3]."""
    derivatives: Derivatives | None

    def sums(self) -> dict[str, ErrorSum]:
        """Return the exact sums, without weights: per structure for energies, per component for the others."""
        return {name: ErrorSum.of(residual.values) for name, residual in self.kinds.items() if residual.values.numel()}

    def owner(self, kind: str) -> Tensor:
        """Return the structure that each row of a kind belongs to.  [rows]"""
        return self.per_row(kind, self.structures)

    def per_row(self, kind: str, values: Tensor) -> Tensor:
        """Return for each row of a kind what belongs to its structure, of ``values`` [structures].  [rows]"""
        if kind == "energy" or self.derivatives is None:
            return values
        labels = self.derivatives
        asked = values[: len(labels.stress)].to(labels.stress.device)  # they come first
        return asked[labels.selection.owner[labels.forces]] if kind == "force" else asked[labels.stress]


def residuals_of(model: Networks, source: TrainingStructures, batch: StructureBatch) -> Residuals:
    """Return the residuals of a batch, differentiable by the weights."""
    n = batch.n_gradients
    data, structures = source.part(batch.structures, n)
    geometry, energies = data.featurised.geometry, []
    kinds: dict[str, Residual] = {}
    derivatives = None
    if n:
        selection = _selected(geometry, structures, batch, slice(0, n))
        surface = data.featurised.surface(model, selection, gradients=True)
        energies.append(surface.energy)
        there = data.has_forces[selection.structures][selection.owner]
        derivatives = Derivatives(selection, there, data.has_stress[selection.structures])
        kinds |= _of_forces(data, surface, derivatives) | _of_stress(data, surface, derivatives)
    if n < len(structures) or not n:
        rest = _selected(geometry, structures, batch, slice(n, None))
        energies.append(data.featurised.surface(model, rest, gradients=False).energy)
    reference = data.energy[structures] / data.n_atoms[structures]
    predicted = (energies[0] if len(energies) == 1 else torch.cat(energies)) / data.n_atoms[structures]
    energy = Residual(predicted - reference, data.weight[structures], reference)
    return Residuals(batch.structures, data, structures, {"energy": energy, **kinds}, derivatives)


def _selected(geometry: Geometry, structures: Tensor, batch: StructureBatch, part: slice) -> Selection:
    selection = geometry.select(structures[part])
    return selection if batch.member is None else selection.of_members(batch.member[part], batch.n_members)


def _of_forces(data: LabelledStructures, surface: Surface, labels: Derivatives) -> dict[str, Residual]:
    assert surface.gradient is not None
    there, selection = labels.forces, labels.selection
    if not bool(there.any()):
        return {}
    reference = data.forces[_where(there, selection.atoms)].double()
    weight = data.weight[selection.structures][_where(there, selection.owner)]
    return {"force": Residual(-_where(there, surface.gradient).double() - reference, weight, reference)}


def _of_stress(data: LabelledStructures, surface: Surface, labels: Derivatives) -> dict[str, Residual]:
    assert surface.strain is not None
    if not bool(labels.stress.any()):
        return {}
    structures = _where(labels.stress, labels.selection.structures)
    volume = data.featurised.geometry.volume[structures][:, None, None]
    atoms = data.n_atoms[structures][:, None, None]
    strain = _where(labels.stress, surface.strain).double()
    stress, weight = data.stress[structures].double(), data.weight[structures]
    virial = (strain + strain.transpose(1, 2)) / 2 - stress * volume
    return {
        "stress": Residual(virial / volume, weight, stress),
        "virial": Residual(virial / atoms, weight, stress * volume / atoms),
    }


def _where(there: Tensor, values: Tensor) -> Tensor:
    """Return the rows of ``values`` that are ``there``: themselves if all are, which spares autograd a scatter."""
    return values if bool(there.all()) else values[there]
