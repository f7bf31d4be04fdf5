"""Batches of structures: which are in it, and which of them are trained on forces and stress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.data import shuffled
from potentia.seeding import stream

if TYPE_CHECKING:
    from potentia.potentials.training_config import TorchTrainingConfig

__all__ = ["StructureBatch", "gradient_subset", "structure_batches"]


@dataclass(frozen=True)
class StructureBatch:
    """Some structures, those that are trained on forces or stress first."""

    structures: Tensor
    """[structures]"""
    n_gradients: int
    """So many of them, from the first, are trained on forces or stress too."""


def structure_batches(
    train: NDArray[np.int64], labelled: NDArray[np.bool_], config: TorchTrainingConfig, seed: int
) -> Callable[[int], list[StructureBatch]]:
    """Return epoch → batches of ``train`` [structures], each structure once; pure in epoch and seed.

    ``labelled`` [all structures] marks those with forces or stress to train on.
    """
    order = shuffled(len(train), config.method.samples_per_batch(len(train)), seed)
    candidates = train[labelled[train]]

    def batches(epoch: int) -> list[StructureBatch]:
        supervised = np.zeros(len(labelled), dtype=bool)
        supervised[gradient_subset(candidates, config, seed, epoch)] = True
        return [_batch(train[index], supervised) for index in order(epoch)]

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


def _batch(structures: NDArray[np.int64], supervised: NDArray[np.bool_]) -> StructureBatch:
    first = supervised[structures]
    ordered = np.concatenate((structures[first], structures[~first]))
    return StructureBatch(torch.from_numpy(ordered), int(first.sum()))
