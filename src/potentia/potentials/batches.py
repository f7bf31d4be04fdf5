"""Batches of structures: which are in it, and which of them are trained on forces and stress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.seeding import stream

if TYPE_CHECKING:
    from potentia.potentials.datasets.labelled import TrainingStructures
    from potentia.potentials.training_config import TorchTrainingConfig

__all__ = ["Plan", "StructureBatch", "announce", "gradient_subset", "structure_batches"]

MOST_AHEAD = 64
"""Batches that are told ahead."""


@dataclass(frozen=True)
class StructureBatch:
    """Some structures, those that are trained on forces or stress first."""

    structures: Tensor
    """[structures]"""
    n_gradients: int
    """So many of them, from the first, are trained on forces or stress too."""
    force_weight: float | None = None
    """Weight of the forces in the loss of this batch; None for that of the settings."""
    member: Tensor | None = None
    """Which of several models each structure is for; None where there is one model.  [structures]"""
    n_members: int = 1
    """Number of models."""


class Plan(Sequence[StructureBatch]):
    """The batches of an epoch; whoever takes one tells the data which come next.

    Args:
        batches: All of the epoch.
        data: Where their structures are.
        share: What of a batch will be asked for here.
    """

    def __init__(
        self,
        batches: Sequence[StructureBatch],
        data: TrainingStructures,
        share: Callable[[StructureBatch], StructureBatch],
    ) -> None:
        self._batches, self._data, self._share = batches, data, share

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, k: Any) -> Any:
        """Return batch number ``k``."""
        announce(self._data, [self._share(batch) for batch in self._batches[k : k + MOST_AHEAD]])
        return self._batches[k]


def announce(data: TrainingStructures, batches: Sequence[StructureBatch]) -> None:
    """Tell ``data`` which batches come next."""
    some = batches[:MOST_AHEAD]
    data.announce([batch.structures for batch in some], [batch.n_gradients for batch in some])


def structure_batches(
    order: Callable[[int], Sequence[NDArray[np.int64]]],
    train: NDArray[np.int64],
    labelled: NDArray[np.bool_],
    config: TorchTrainingConfig,
    seed: int,
) -> Callable[[int], list[StructureBatch]]:
    """Return epoch → batches of ``train`` [structures], drawn by ``order``; pure in epoch and seed as far as it is.

    ``labelled`` [all structures] marks those with forces or stress to train on.
    """
    candidates = train[labelled[train]]

    def batches(epoch: int) -> list[StructureBatch]:
        supervised = np.zeros(len(labelled), dtype=bool)
        supervised[gradient_subset(candidates, config, seed, epoch)] = True
        weight = config.force_weight_at(epoch)
        return [_batch(train[index], supervised, weight) for index in order(epoch)]

    return batches


def gradient_subset(
    candidates: NDArray[np.int64], config: TorchTrainingConfig, seed: int, epoch: int
) -> NDArray[np.int64]:
    """Return which of ``candidates`` are trained on forces or stress in ``epoch``: a fraction, each once."""
    if not config.supervises_gradients:
        return candidates[:0]
    wanted = max(int(len(candidates) * config.force_fraction), config.force_min_structures_per_epoch)
    if wanted >= len(candidates):
        return candidates
    again = config.force_resample_num_epochs if config.force_sampling == "random" else 0
    window = epoch // again if again else 0
    return np.sort(stream(seed, "force subset", window).choice(candidates, size=wanted, replace=False))


def _batch(structures: NDArray[np.int64], supervised: NDArray[np.bool_], force_weight: float | None) -> StructureBatch:
    first = supervised[structures]
    ordered = np.concatenate((structures[first], structures[~first]))
    return StructureBatch(torch.from_numpy(ordered), int(first.sum()), force_weight)
