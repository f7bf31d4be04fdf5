"""A data set in two parts, one for training and one held out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Subset

from potentia.checks import integer, number
from potentia.data import Split, holdout
from potentia.errors import ConfigError
from potentia.potentials.datasets.base import PotentialDataset
from potentia.potentials.datasets.contents import Contents
from potentia.potentials.datasets.in_memory import StructureDataset
from potentia.potentials.datasets.joined import entries_of
from potentia.potentials.structure import Structure
from potentia.seeding import fresh_seed

__all__ = ["train_test_split", "train_test_split_dataset"]

InMemory = TypeVar("InMemory", bound=StructureDataset)
Sample = TypeVar("Sample")
CHUNK = 1024
"""Structures that are looked at together."""


def train_test_split(
    dataset: InMemory, test_fraction: float = 0.1, seed: int | None = None
) -> tuple[InMemory, InMemory]:
    """Return two data sets, to train on and held out; a training with this ``split_seed`` draws the same parts.

    The same structures in another order are split into the same parts.

    Args:
        dataset: A data set in memory.
        test_fraction: Part held out, from 0 to below 1.
        seed: Seed of the draw; that of the data set if None, and a new one if it has none.

    Raises:
        ConfigError: the fraction cannot be, or the data set is not in memory.
        DataError: the data set is empty.
    """
    if not isinstance(dataset, StructureDataset):
        raise ConfigError(
            f"train_test_split makes two data sets in memory, which a {type(dataset).__name__} is not: "
            "use train_test_split_dataset"
        )
    split = _split(_order(dataset), test_fraction, dataset.seed if seed is None else seed)
    return dataset.part(split.train.tolist()), dataset.part(split.test.tolist())


def train_test_split_dataset(
    dataset: Dataset[Sample], test_fraction: float = 0.1, seed: int | None = None
) -> tuple[Subset[Sample], Subset[Sample]]:
    """Return two subsets of any data set; the same parts as those of `train_test_split`.

    Samples that are no structures are drawn by their places in the data set.

    Args:
        dataset: Any data set with a length.
        test_fraction: Part held out, from 0 to below 1.
        seed: Seed of the draw; that of the data set if None, and a new one if it has none.

    Raises:
        ConfigError: the fraction cannot be.
        DataError: the data set is empty.
    """
    own = dataset.seed if isinstance(dataset, PotentialDataset) else None
    split = _split(_order(dataset), test_fraction, own if seed is None else seed)
    return Subset(dataset, split.train.tolist()), Subset(dataset, split.test.tolist())


def _order(dataset: Dataset[Any]) -> NDArray[np.int64]:
    """Return the places of the samples in the order that the seed acts on.  [samples]"""
    root: Any = dataset
    while isinstance(root, Subset):
        root = root.dataset
    if not isinstance(root, PotentialDataset):
        sized: Any = dataset
        return np.arange(len(sized))
    return Contents.of(_structures(*entries_of(dataset))).order


def _structures(dataset: PotentialDataset, entries: NDArray[np.int64]) -> Iterator[Structure]:
    for begin in range(0, len(entries), CHUNK):
        yield from dataset.labels(entries[begin : begin + CHUNK].tolist())


def _split(order: NDArray[np.int64], test_fraction: float, seed: int | None) -> Split:
    fraction = number("test_fraction", test_fraction, low=0.0, high=1.0)
    if fraction == 1.0:
        raise ConfigError("test_fraction=1 leaves nothing to train on: choose less")
    percent = round(100 * fraction, 9)  # 100 * 0.29 is a little less than 29
    split = holdout(len(order), percent, fresh_seed() if seed is None else integer("seed", seed))
    return Split(np.sort(order[split.train]), np.sort(order[split.test]))
