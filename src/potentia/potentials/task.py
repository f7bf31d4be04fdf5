"""A potential's part in training: loss of a batch, errors over a part of the data, and a row of the history."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from potentia.metrics import ErrorSum, merge
from potentia.potentials.batches import StructureBatch, announce
from potentia.potentials.datasets.labelled import TrainingStructures
from potentia.potentials.losses import RMSE, Measure
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.residuals import Residual, Residuals, residuals_of
from potentia.potentials.rows import Pulled, rows_of_batch
from potentia.potentials.shares import KINDS, in_order, share_of, sums_of
from potentia.train import BatchLoss, Rows, distributed

__all__ = ["Evaluation", "LossSettings", "PotentialTask"]

CHUNK = 64
"""Structures evaluated at a time."""
COLUMNS = {"energy": "", "force": "_force", "stress": "_stress", "virial": "_virial"}
PARITY = ("energy", "force", "stress")
COMPONENTS: dict[str, tuple[int, ...]] = {"energy": (), "force": (3,), "stress": (3, 3), "virial": (3, 3)}


@dataclass(frozen=True)
class LossSettings:
    """The loss (1 - α - β)·measure(energy) + α·measure(force) + β·measure(virial)."""

    force_weight: float = 0.0
    """α"""
    stress_weight: float = 0.0
    """β"""
    measure: Measure = field(default_factory=RMSE)
    """How residuals are averaged."""
    unbiased: bool = False
    """Multiply the force term of a batch by 1/√(supervised / labelled atoms)."""
    groups: int = 4
    """Rows that the forces of a structure are gathered in, for methods that need rows."""

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each term."""
        energy = 1 - self.force_weight - self.stress_weight
        return {"energy": energy, "force": self.force_weight, "virial": self.stress_weight}

    @property
    def gradients(self) -> bool:
        """Whether forces or stress are trained on."""
        return self.force_weight > 0 or self.stress_weight > 0


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
    structures: Tensor
    """Which structure each row of ``energy`` belongs to; forces and stress come in the same order.  [structures]"""

    def pairs(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return reference and prediction of each kind."""
        return {"energy": self.energy, "force": self.force, "stress": self.stress}


class _Evaluated(NamedTuple):
    """What one process has evaluated."""

    evaluation: Evaluation
    owner: dict[str, Tensor]
    """Structure that each row of a kind belongs to."""


class PotentialTask:
    """Trains `AtomicNetworks` on labelled structures.

    Args:
        data: All structures.
        valid: The structures held out.  [structures]
        settings: The loss.
    """

    def __init__(self, data: TrainingStructures, valid: Tensor, settings: LossSettings) -> None:
        self.data = data
        self.valid = valid
        self.settings = settings

    def loss(self, model: nn.Module, batch: StructureBatch) -> BatchLoss:
        """Return the loss of one batch; a term without labels in the batch is left out."""
        networks = _networks(model)
        share = share_of(batch, self.data.n_atoms)
        residuals = residuals_of(networks, self.data, share.batch)
        weights, measure = self._weights(batch), self.settings.measure
        sums = sums_of(residuals, measure, [name for name, weight in weights.items() if weight > 0], share)
        values = {name: (measure.value(*sums.loss[name]), sums.loss[name][1]) for name in weights if name in sums.loss}
        parts = [weights[name] * value for name, (value, _) in values.items()]
        if not parts:  # e.g. force_weight=1 and a batch without forces
            parts = [0.0 * distributed.total(residuals.kinds["energy"].values.sum())]
        return BatchLoss(
            torch.stack(parts).sum(),
            sums.errors,
            rows=partial(self._rows, networks, residuals, weights, values),
            scores=(batch.structures, sums.scores),
        )

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the exact errors on the structures held out."""
        if not len(self.valid):
            return None
        share = distributed.shared(self.valid, self._n_atoms(self.valid))
        return distributed.total_errors(self._evaluated(_networks(model), share).evaluation.sums, KINDS)

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return RMSE and MAE of both parts: eV/atom for energies, eV/Å for force components, eV/Å³ for stress."""
        wanted = COLUMNS if self.settings.stress_weight > 0 else {k: COLUMNS[k] for k in ("energy", "force")}
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
        values = {name: row.get(f"RMSE{COLUMNS[name]}_test", math.nan) for name in self.settings.weights}
        return sum(
            self.settings.weights[name] * (0.0 if math.isnan(value) else value) for name, value in values.items()
        )

    @torch.no_grad()
    def evaluate(self, model: AtomicNetworks, structures: Tensor) -> Evaluation:
        """Predict ``structures`` [structures] with all labels that are trained on, and sum the errors exactly.

        The sums are taken in the order given; the rows come by the place of their structure in the input.
        """
        own = self._evaluated(model, distributed.shared(structures, self._n_atoms(structures)))
        joined = {name: in_order(pair, own.owner[name]) for name, pair in own.evaluation.pairs().items()}
        sums = distributed.total_errors(own.evaluation.sums, KINDS)
        return Evaluation(sums, joined["energy"], joined["force"], joined["stress"], structures.sort().values.cpu())

    def _evaluated(self, model: AtomicNetworks, structures: Tensor) -> _Evaluated:
        sums: dict[str, ErrorSum] = {}
        collected: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in PARITY}
        owner: dict[str, list[Tensor]] = {name: [structures[:0].cpu()] for name in PARITY}
        batches = [self._all_labels(part) for part in torch.split(structures, CHUNK)] if len(structures) else []
        for k, batch in enumerate(batches):
            announce(self.data, batches[k:])
            with torch.no_grad():
                residuals = residuals_of(model, self.data, batch)
            sums = merge(sums, residuals.sums())
            for name in collected.keys() & residuals.kinds.keys():
                one = residuals.kinds[name]
                collected[name].append((one.reference, one.reference + one.values))
                owner[name].append(residuals.owner(name).cpu())
        joined = {
            name: (torch.cat([r for r, _ in pairs]), torch.cat([p for _, p in pairs])) if pairs else _nothing(name)
            for name, pairs in collected.items()
        }
        owners = {name: torch.cat(one) for name, one in owner.items()}
        evaluation = Evaluation(sums, joined["energy"], joined["force"], joined["stress"], owners["energy"])
        return _Evaluated(evaluation, owners)

    def _n_atoms(self, structures: Tensor) -> Tensor:
        return self.data.n_atoms[structures.to(self.data.n_atoms.device)]

    def _all_labels(self, structures: Tensor) -> StructureBatch:
        labelled = self.data.has_forces[structures] | self.data.has_stress[structures]
        if not self.settings.gradients:
            labelled = torch.zeros_like(labelled)
        return StructureBatch(torch.cat((structures[labelled], structures[~labelled])), int(labelled.sum()))

    def _weights(self, batch: StructureBatch) -> dict[str, float]:
        """Weight of each term of the loss of ``batch``."""
        settings = self.settings
        if batch.force_weight is not None:
            settings = replace(settings, force_weight=batch.force_weight)
        weights = settings.weights
        return {**weights, "force": weights["force"] * self._force_scale(batch)} if self.settings.unbiased else weights

    @torch.no_grad()
    def _rows(
        self,
        model: AtomicNetworks,
        residuals: Residuals,
        weights: Mapping[str, float],
        values: Mapping[str, tuple[Tensor, Tensor]],
    ) -> Iterator[Rows]:
        """Return the residuals that the loss is made of with their derivatives, a part of the batch at a time.

        ``values`` are the measure and the sum of the weights over the whole batch; ``residuals`` those of a share.
        """
        measure, pulled = self.settings.measure, {}
        for name, (value, whole) in values.items():
            one = residuals.kinds.get(name, _no_residual(name, value))  # a share may lack what the batch has
            pull = weights[name] * measure.pull(one.values, one.weight, value, whole)
            pulled[name] = Pulled(one.values.detach(), pull.contiguous())
        yield from rows_of_batch(model, residuals, pulled, self.settings.groups)

    def _force_scale(self, batch: StructureBatch) -> float:
        """1/√(supervised / labelled atoms), 1 where nothing is labelled."""
        structures = batch.structures.to(self.data.n_atoms.device)
        labelled = self.data.has_forces[structures] * self.data.n_atoms[structures]
        supervised = float(labelled[: batch.n_gradients].sum())
        return math.sqrt(float(labelled.sum()) / supervised) if supervised else 1.0


def _networks(model: nn.Module) -> AtomicNetworks:
    assert isinstance(model, AtomicNetworks)
    return model


def _no_residual(kind: str, like: Tensor) -> Residual:
    values = like.new_zeros(0, *COMPONENTS[kind])
    return Residual(values, values.new_zeros(0), values)


def _nothing(kind: str) -> tuple[Tensor, Tensor]:
    nothing = torch.zeros(0, *COMPONENTS[kind], dtype=torch.float64)
    return nothing, nothing
