"""A potential's part in training: loss of a batch, errors over a part of the data, and a row of the history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from potentia.metrics import ErrorSum, merge
from potentia.potentials.batches import StructureBatch
from potentia.potentials.datasets.labelled import LabelledStructures
from potentia.potentials.geometry import Selection
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.surface import Surface
from potentia.train import BatchLoss

__all__ = ["Evaluation", "PotentialTask", "Residuals"]

TINY = 1e-30
"""Added under the root of a mean square, so that a residual of exactly zero has the gradient zero."""
CHUNK = 64
"""Structures evaluated at a time."""
COLUMNS = {"energy": "", "force": "_force", "stress": "_stress", "virial": "_virial"}


@dataclass(frozen=True)
class Residuals:
    """Predicted minus reference for some structures; what a structure has no label for does not appear."""

    energy: Tensor
    """eV/atom.  [structures], float64"""
    energy_weight: Tensor
    """[structures]"""
    force: Tensor
    """Components, eV/Å.  [atoms with forces, 3], float64"""
    force_weight: Tensor
    """[atoms with forces]"""
    stress: Tensor
    """eV/Å³.  [structures with stress, 3, 3], float64"""
    virial: Tensor
    """Stress × volume per atom, eV/atom.  [structures with stress, 3, 3], float64"""
    stress_weight: Tensor
    """[structures with stress]"""

    def sums(self) -> dict[str, ErrorSum]:
        """Return the exact sums, without weights: per structure for energies, per component for the others."""
        return {
            name: ErrorSum.of(residual)
            for name, residual in (
                ("energy", self.energy),
                ("force", self.force),
                ("stress", self.stress),
                ("virial", self.virial),
            )
            if residual.numel()
        }


@dataclass(frozen=True)
class Evaluation:
    """Predicted and reference values over a part of the data."""

    sums: dict[str, ErrorSum]
    energy: tuple[Tensor, Tensor]
    """Reference and prediction, eV/atom relative to free atoms.  [structures]"""
    force: tuple[Tensor, Tensor]
    """Components, eV/Å.  [atoms with forces, 3]"""
    stress: tuple[Tensor, Tensor]
    """eV/Å³.  [structures with stress, 3, 3]"""


class PotentialTask:
    """Trains `AtomicNetworks` on labelled structures.

    Args:
        data: All structures.
        valid: The structures held out.  [structures]
        force_weight: α of the loss (1 - α - β)·RMSE(energy) + α·RMSE(force) + β·RMSE(virial).
        stress_weight: β of the loss.
        unbiased: Multiply the force term of a batch by 1/√(supervised / labelled atoms).
        dtype: Of the networks.
    """

    def __init__(
        self,
        data: LabelledStructures,
        valid: Tensor,
        force_weight: float,
        stress_weight: float,
        *,
        unbiased: bool = False,
    ) -> None:
        self.data = data
        self.valid = valid
        self.weights = {"energy": 1 - force_weight - stress_weight, "force": force_weight, "virial": stress_weight}
        self.unbiased = unbiased

    @property
    def gradients(self) -> bool:
        """Whether forces or stress are trained on."""
        return self.weights["force"] > 0 or self.weights["virial"] > 0

    def loss(self, model: nn.Module, batch: StructureBatch) -> BatchLoss:
        """Return the loss of one batch; a term without labels in the batch is left out."""
        residuals = self._residuals(_networks(model), batch)
        terms = {
            "energy": (residuals.energy, residuals.energy_weight),
            "force": (residuals.force, residuals.force_weight),
            "virial": (residuals.virial, residuals.stress_weight),
        }
        scale = {"force": self._force_scale(batch)} if self.unbiased else {}
        parts = [
            self.weights[name] * scale.get(name, 1.0) * _weighted_rmse(residual, weight)
            for name, (residual, weight) in terms.items()
            if self.weights[name] > 0 and residual.numel()
        ]
        if not parts:  # e.g. force_weight=1 and a batch without forces
            return BatchLoss(0.0 * residuals.energy.sum(), residuals.sums())
        return BatchLoss(torch.stack(parts).sum(), residuals.sums())

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the exact errors on the structures held out."""
        return self.evaluate(_networks(model), self.valid).sums if len(self.valid) else None

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return RMSE and MAE of both parts: eV/atom for energies, eV/Å for force components, eV/Å³ for stress."""
        wanted = COLUMNS if self.weights["virial"] > 0 else {k: COLUMNS[k] for k in ("energy", "force")}
        parts = {"train": train, "test": valid or {}}
        return {
            f"{kind}{suffix}_{part}": getattr(sums.get(name, ErrorSum.zero), kind.lower())
            for name, suffix in wanted.items()
            for part, sums in parts.items()
            for kind in ("MAE", "RMSE")
        }

    def monitor(self, row: Mapping[str, float]) -> float:
        """Return the loss on the structures held out, in the weights of training."""
        if math.isnan(row["RMSE_test"]):
            return math.nan
        values = {name: row.get(f"RMSE{COLUMNS[name]}_test", math.nan) for name in self.weights}
        return sum(self.weights[name] * (0.0 if math.isnan(value) else value) for name, value in values.items())

    def evaluate(self, model: AtomicNetworks, structures: Tensor) -> Evaluation:
        """Predict ``structures`` [structures] with all labels that are trained on, and sum the errors exactly."""
        sums: dict[str, ErrorSum] = {}
        collected: dict[str, list[tuple[Tensor, Tensor]]] = {"energy": [], "force": [], "stress": []}
        with torch.no_grad():
            for begin in range(0, len(structures), CHUNK):
                batch = self._all_labels(structures[begin : begin + CHUNK])
                residuals = self._residuals(model, batch)
                sums = merge(sums, residuals.sums())
                for name, reference in self._references(batch).items():
                    collected[name].append((reference, reference + getattr(residuals, name)))
        joined = {
            name: (torch.cat([r for r, _ in pairs]), torch.cat([p for _, p in pairs])) if pairs else _nothing()
            for name, pairs in collected.items()
        }
        return Evaluation(sums, joined["energy"], joined["force"], joined["stress"])

    def _all_labels(self, structures: Tensor) -> StructureBatch:
        labelled = self.data.has_forces[structures] | self.data.has_stress[structures]
        if not self.gradients:
            labelled = torch.zeros_like(labelled)
        return StructureBatch(torch.cat((structures[labelled], structures[~labelled])), int(labelled.sum()))

    def _residuals(self, model: AtomicNetworks, batch: StructureBatch) -> Residuals:
        structures = batch.structures.to(self.data.energy.device)
        featurised, n = self.data.featurised, batch.n_gradients
        energies, gradients = [], _Gradients.none(self.data)
        if n:
            selection = featurised.geometry.select(structures[:n])
            surface = featurised.surface(model, selection, gradients=True)
            energies.append(surface.energy)
            gradients = _Gradients.of(self.data, surface, selection)
        if n < len(structures):
            rest = featurised.geometry.select(structures[n:])
            energies.append(featurised.surface(model, rest, gradients=False).energy)
        return Residuals(
            energy=(torch.cat(energies) - self.data.energy[structures]) / self.data.n_atoms[structures],
            energy_weight=self.data.weight[structures],
            force=gradients.force,
            force_weight=gradients.force_weight,
            stress=gradients.stress,
            virial=gradients.virial,
            stress_weight=gradients.stress_weight,
        )

    def _references(self, batch: StructureBatch) -> dict[str, Tensor]:
        """The labels that belong to the residuals of ``batch``."""
        data, structures = self.data, batch.structures.to(self.data.energy.device)
        selection = data.featurised.geometry.select(structures[: batch.n_gradients])
        with_forces = data.has_forces[selection.structures][selection.owner]
        with_stress = data.has_stress[selection.structures]
        return {
            "energy": data.energy[structures] / data.n_atoms[structures],
            "force": data.forces[selection.atoms[with_forces]].double(),
            "stress": data.stress[selection.structures[with_stress]].double(),
        }

    def _force_scale(self, batch: StructureBatch) -> float:
        """1/√(supervised / labelled atoms), 1 where nothing is labelled."""
        structures = batch.structures.to(self.data.energy.device)
        labelled = self.data.has_forces[structures] * self.data.n_atoms[structures]
        supervised = float(labelled[: batch.n_gradients].sum())
        return math.sqrt(float(labelled.sum()) / supervised) if supervised else 1.0


@dataclass(frozen=True)
class _Gradients:
    """Residuals of forces, stress and virial."""

    force: Tensor
    force_weight: Tensor
    stress: Tensor
    virial: Tensor
    stress_weight: Tensor

    @classmethod
    def none(cls, data: LabelledStructures) -> _Gradients:
        empty = data.energy.new_zeros(0)
        return cls(empty.view(0, 3), empty, empty.view(0, 3, 3), empty.view(0, 3, 3), empty)

    @classmethod
    def of(cls, data: LabelledStructures, surface: Surface, selection: Selection) -> _Gradients:
        """Residuals of those labels that the structures of ``selection`` have."""
        assert surface.gradient is not None
        assert surface.strain is not None
        found = cls.none(data)
        structures = selection.structures
        has_forces, has_stress = data.has_forces[structures], data.has_stress[structures]
        if bool(has_forces.any()):
            there = has_forces[selection.owner]
            found = replace(
                found,
                force=-_where(there, surface.gradient).double() - data.forces[_where(there, selection.atoms)],
                force_weight=data.weight[structures][_where(there, selection.owner)],
            )
        if bool(has_stress.any()):
            stressed = _where(has_stress, structures)
            volume = data.featurised.geometry.volume[stressed][:, None, None]
            strain = _where(has_stress, surface.strain).double()
            virial = (strain + strain.transpose(1, 2)) / 2 - data.stress[stressed] * volume
            found = replace(
                found,
                stress=virial / volume,
                virial=virial / data.n_atoms[stressed][:, None, None],
                stress_weight=data.weight[stressed],
            )
        return found


def _where(there: Tensor, values: Tensor) -> Tensor:
    """Return the rows of ``values`` that are ``there``: themselves if all are, which spares autograd a scatter."""
    return values if bool(there.all()) else values[there]


def _weighted_rmse(residual: Tensor, weight: Tensor) -> Tensor:
    """Root of the weighted mean of squares, rows weighted, components alike."""
    squares = residual.square().flatten(1).mean(1) if residual.ndim > 1 else residual.square()
    return torch.sqrt((weight * squares).sum() / weight.sum().clamp_min(TINY) + TINY)


def _networks(model: nn.Module) -> AtomicNetworks:
    assert isinstance(model, AtomicNetworks)
    return model


def _nothing() -> tuple[Tensor, Tensor]:
    return torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
