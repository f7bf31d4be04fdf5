"""What each process takes of a batch or of a part of the data, and the whole put together again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from potentia.metrics import ErrorSum
from potentia.potentials.batches import StructureBatch
from potentia.potentials.losses import Measure
from potentia.potentials.residuals import Residuals
from potentia.train import distributed

__all__ = ["KINDS", "BatchSums", "Share", "in_order", "share_of", "sums_of"]

KINDS = ("energy", "force", "stress", "virial")
"""Kinds of residuals that there may be."""
GRADIENT_COST = 4.0
"""Work on a structure whose forces are trained on, over that on its energy alone."""


class Share(NamedTuple):
    """The part of a batch that this process works on; it may be empty."""

    batch: StructureBatch
    places: Tensor
    """Where its structures stand in the whole batch.  [structures of the part]"""
    whole: int
    """Structures in the whole batch."""


@dataclass(frozen=True)
class BatchSums:
    """What the loss and the errors of a whole batch are made of, the same on all processes."""

    loss: dict[str, tuple[Tensor, Tensor]]
    """`Measure.total`, differentiable, and the sum of the weights, for each kind that the batch has."""
    errors: dict[str, ErrorSum]
    scores: Tensor
    """Absolute error of the energy of each structure, in the order of the batch (eV/atom).  [structures]"""


def share_of(batch: StructureBatch, n_atoms: Tensor) -> Share:
    """Return this process's part of a batch, about as much work as any other's; ``n_atoms`` [all structures]."""
    n = len(batch.structures)
    places = torch.arange(n)
    if not distributed.active():
        return Share(batch, places, n)
    atoms = n_atoms[batch.structures.to(n_atoms.device)].cpu()
    places = distributed.shared(places, torch.where(places < batch.n_gradients, GRADIENT_COST * atoms, atoms))
    gradients = int((places < batch.n_gradients).sum())
    return Share(StructureBatch(batch.structures[places.to(batch.structures.device)], gradients), places, n)


def sums_of(residuals: Residuals, measure: Measure, names: Collection[str], share: Share) -> BatchSums:
    """Add up the ``residuals`` of all shares of a batch, with one exchange between the processes.

    Of the kinds only those in ``names`` enter the loss.
    """
    terms = {
        name: (measure.total(residual.values, residual.weight), residual.weight.sum())
        for name, residual in residuals.kinds.items()
        if name in names
    }
    errors, scores = residuals.sums(), residuals.kinds["energy"].values.detach().abs()
    if not distributed.active():
        return BatchSums(terms, errors, scores)
    nothing = residuals.kinds["energy"].values[:0].sum()  # keeps a share without labels in the graph
    none = (nothing, nothing.detach())
    parts = {
        name: torch.stack([*terms.get(name, none), *_numbers(errors.get(name, ErrorSum.zero), scores)])
        for name in residuals.kinds
    }
    parts["scores"] = scores.new_zeros(share.whole).index_put((share.places.to(scores.device),), scores)
    whole = distributed.totals(parts, {**dict.fromkeys(KINDS, 5), "scores": share.whole})
    scores = whole.pop("scores").detach()
    counted = {name: one.detach()[2:].tolist() for name, one in whole.items()}
    return BatchSums(
        {name: (one[0], one[1].detach()) for name, one in whole.items() if name in names},
        {name: ErrorSum(one, two, round(count)) for name, (one, two, count) in counted.items() if count},
        scores,
    )


def in_order(pair: tuple[Tensor, Tensor], owner: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows of all processes, on the CPU, by the place of their structure in the input.

    ``pair`` and ``owner`` are the rows of this process and the structure that each belongs to.  [rows, ...], [rows]
    """
    order = torch.argsort(distributed.stacked(owner), stable=True)
    one, two = (distributed.stacked(rows.cpu()) for rows in pair)
    return one[order], two[order]


def _numbers(errors: ErrorSum, like: Tensor) -> Tensor:
    return like.new_tensor([errors.absolute, errors.squared, errors.count])
