"""The part of several members in one training: each has its own batches, its own loss and its own errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from potentia.metrics import ErrorSum
from potentia.potentials.batches import StructureBatch
from potentia.potentials.datasets.labelled import LabelledStructures
from potentia.potentials.networks import MemberNetworks
from potentia.potentials.residuals import Residuals, residuals_of
from potentia.potentials.task import LossSettings, PotentialTask
from potentia.train import BatchLoss

__all__ = ["TogetherTask", "history_of_member", "joined_batches"]

MARK = "@"
"""Stands between the name of a column and the number of the member."""


class TogetherTask:
    """Trains `MemberNetworks`: the loss is the sum of the members' losses, so each has the gradient of its own.

    Columns and sums have the number of the member behind their names; columns without are means over the members.

    Args:
        data: All structures, in memory.
        valid: The structures held out.  [structures]
        settings: The loss, the same for all.
        multiplicity: How often each structure counts for each member; None for once.  [members, structures]
    """

    def __init__(
        self, data: LabelledStructures, valid: Tensor, settings: LossSettings, multiplicity: Tensor | None
    ) -> None:
        self.alone = PotentialTask(data, valid, settings)
        self.data = data
        self.settings = settings
        self.multiplicity = multiplicity

    def loss(self, model: nn.Module, batch: StructureBatch) -> BatchLoss:
        """Return the sum of the losses of all members, each on its own structures of the batch."""
        networks = _networks(model)
        residuals = residuals_of(networks, self.data, batch)
        settings = self.settings
        if batch.force_weight is not None:
            settings = replace(settings, force_weight=batch.force_weight)
        sums: dict[str, ErrorSum] = {}
        total = 0.0 * residuals.kinds["energy"].values.sum()
        for name, one in residuals.kinds.items():
            member = self._members(residuals, name, batch)
            sums |= _error_sums(name, one.values.detach(), member, len(networks))
            if settings.weights.get(name, 0.0) > 0:
                weight = self._weight(residuals, name, member)
                rows = settings.measure.of_rows(one.values)
                nothing = torch.zeros(len(networks), dtype=torch.float64, device=rows.device)
                whole = nothing.index_add(0, member, weight)
                value = settings.measure.value(nothing.index_add(0, member, weight * rows), whole)
                total = total + settings.weights[name] * value.sum()
        return BatchLoss(total, sums)

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the exact errors of each member on the structures held out."""
        networks, found = _networks(model), dict[str, ErrorSum]()
        for k in range(len(networks)):
            sums = self.alone.score(networks.member(k))
            if sums is None:
                return None
            found |= {f"{name}{MARK}{k}": one for name, one in sums.items()}
        return found

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return the columns of each member, and their means."""
        n = 1 + max(int(name.split(MARK)[1]) for name in train)
        rows = [self.alone.row(_of_member(train, k), None if valid is None else _of_member(valid, k)) for k in range(n)]
        means = {name: sum(row[name] for row in rows) / n for name in rows[0]}
        return means | {f"{name}{MARK}{k}": value for k, row in enumerate(rows) for name, value in row.items()}

    def monitor(self, row: Mapping[str, float]) -> float:
        """Return the mean of the members' losses on the structures held out."""
        return self.alone.monitor(row)

    def _members(self, residuals: Residuals, name: str, batch: StructureBatch) -> Tensor:
        assert batch.member is not None
        return residuals.per_row(name, batch.member.to(self.data.energy.device))

    def _weight(self, residuals: Residuals, name: str, member: Tensor) -> Tensor:
        """Weight of each row, as often as its structure counts for the member."""
        weight = residuals.kinds[name].weight
        if self.multiplicity is None:
            return weight
        return weight * self.multiplicity[member, residuals.owner(name).to(member.device)]


def joined_batches(
    members: Sequence[Callable[[int], Sequence[StructureBatch]]],
) -> Callable[[int], list[StructureBatch]]:
    """Return epoch → batches that hold one batch of each member; all members must have as many."""

    def batches(epoch: int) -> list[StructureBatch]:
        return [_joined(parts) for parts in zip(*(batches(epoch) for batches in members), strict=True)]

    return batches


def _of_member(named: Mapping[str, ErrorSum], k: int) -> dict[str, ErrorSum]:
    """Return what belongs to a member, under its plain names."""
    return {name.split(MARK)[0]: one for name, one in named.items() if name.endswith(f"{MARK}{k}")}


def history_of_member(history: Sequence[Mapping[str, float]], k: int) -> list[dict[str, float]]:
    """Return the rows of one member; what has no member belongs to all."""
    own = [{name.split(MARK)[0]: v for name, v in row.items() if name.endswith(f"{MARK}{k}")} for row in history]
    plain = [{name: v for name, v in row.items() if MARK not in name} for row in history]
    return [{**common, **mine} for common, mine in zip(plain, own, strict=True)]


def _joined(parts: Sequence[StructureBatch]) -> StructureBatch:
    """Put the batches of members together: structures with forces or stress first, member by member."""
    first = [part.structures[: part.n_gradients] for part in parts]
    rest = [part.structures[part.n_gradients :] for part in parts]
    numbers = torch.arange(len(parts))
    counts = [torch.tensor([len(one) for one in group]) for group in (first, rest)]
    return StructureBatch(
        torch.cat([*first, *rest]),
        int(counts[0].sum()),
        parts[0].force_weight,
        torch.cat([torch.repeat_interleave(numbers, count) for count in counts]),
        len(parts),
    )


def _error_sums(name: str, values: Tensor, member: Tensor, n: int) -> dict[str, ErrorSum]:
    """Return the sums of errors of each member."""
    flat = values.reshape(len(values), -1)
    parts = torch.stack((flat.abs().sum(1), flat.square().sum(1), torch.full_like(flat[:, 0], flat.shape[1])), 1)
    found = torch.zeros(n, 3, dtype=torch.float64, device=values.device).index_add(0, member, parts)
    return {f"{name}{MARK}{k}": ErrorSum(a, s, round(c)) for k, (a, s, c) in enumerate(found.tolist())}


def _networks(model: nn.Module) -> MemberNetworks:
    assert isinstance(model, MemberNetworks)
    return model
