"""A data set in two parts, one for training and one held out."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Subset

from potentia.checks import integer, number
from potentia.data import Split, holdout, holdout_groups
from potentia.errors import ConfigError, DataError
from potentia.potentials.datasets.base import PotentialDataset
from potentia.potentials.datasets.contents import Contents
from potentia.potentials.datasets.in_memory import StructureDataset
from potentia.potentials.datasets.joined import entries_of
from potentia.potentials.groups import group_of
from potentia.potentials.structure import Structure
from potentia.seeding import fresh_seed

__all__ = ["train_test_split", "train_test_split_dataset"]

InMemory = TypeVar("InMemory", bound=StructureDataset)
Sample = TypeVar("Sample")
Groups: TypeAlias = Sequence[Hashable] | str | None
CHUNK = 1024
"""Structures that are looked at together."""


def train_test_split(
    dataset: InMemory, test_fraction: float = 0.1, seed: int | None = None, *, groups: Groups = None
) -> tuple[InMemory, InMemory]:
    """Return two data sets, to train on and held out; a training with this ``split_seed`` draws the same parts.

    The same structures in another order are split into the same parts.

    Args:
        dataset: A data set in memory.
        test_fraction: Part held out, from 0 to below 1.
        seed: Seed of the draw; that of the data set if None, and a new one if it has none.
        groups: What must stay together: as for `train_test_split_dataset`.

    Raises:
        ConfigError: the fraction cannot be, the data set is not in memory, or there is one group only.
        DataError: the data set is empty, or a structure has no group.
    """
    if not isinstance(dataset, StructureDataset):
        raise ConfigError(
            f"train_test_split makes two data sets in memory, which a {type(dataset).__name__} is not: "
            "use train_test_split_dataset"
        )
    split = _split(dataset, test_fraction, dataset.seed if seed is None else seed, groups)
    return dataset.part(split.train.tolist()), dataset.part(split.test.tolist())


def train_test_split_dataset(
    dataset: Dataset[Sample], test_fraction: float = 0.1, seed: int | None = None, *, groups: Groups = None
) -> tuple[Subset[Sample], Subset[Sample]]:
    """Return two subsets of any data set; the same parts as those of `train_test_split`.

    Samples that are no structures are drawn by their places in the data set. With ``groups`` no group is in both parts:
    of all sets of groups one is held out whose size is closest to the fraction, the one that a training with
    ``split_by="group"`` draws.

    Args:
        dataset: Any data set with a length.
        test_fraction: Part held out, from 0 to below 1.
        seed: Seed of the draw; that of the data set if None, and a new one if it has none.
        groups: Label of the group of each sample [samples]; or what names the groups of structures: an entry of
            `Structure.info`, ``"file"``, or ``"composition"``. None lets single samples be drawn.

    Raises:
        ConfigError: the fraction cannot be, or there is one group only.
        DataError: the data set is empty, a sample has no group, or there are not as many labels as samples.

    Warns:
        PotentiaWarning: groups are so large that the part is far from what was wanted.

    >>> numbers: Any = list(range(6))
    >>> [part.indices for part in train_test_split_dataset(numbers, 0.3, seed=1, groups=["a", "a", "b", "b", "b", "b"])]
    [[2, 3, 4, 5], [0, 1]]
    """
    own = dataset.seed if isinstance(dataset, PotentialDataset) else None
    split = _split(dataset, test_fraction, own if seed is None else seed, groups)
    return Subset(dataset, split.train.tolist()), Subset(dataset, split.test.tolist())


def _split(dataset: Dataset[Any], test_fraction: float, seed: int | None, groups: Groups) -> Split:
    fraction = number("test_fraction", test_fraction, low=0.0, high=1.0)
    if fraction == 1.0:
        raise ConfigError("test_fraction=1 leaves nothing to train on: choose less")
    percent = round(100 * fraction, 9)  # 100 * 0.29 is a little less than 29
    seed = fresh_seed() if seed is None else integer("seed", seed)
    if groups is not None:
        return holdout_groups(_labels(dataset, groups), percent, seed)
    order = _order(dataset)
    split = holdout(len(order), percent, seed)
    return Split(np.sort(order[split.train]), np.sort(order[split.test]))


def _labels(dataset: Dataset[Any], groups: Sequence[Hashable] | str) -> Sequence[Hashable]:
    """Return the label of the group of each sample.  [samples]"""
    if isinstance(groups, str):
        if not _holds_structures(dataset):
            raise DataError(f"groups={groups!r} names groups of structures, which this data set has not: list labels")
        return [group_of(structure, groups) for structure in _structures(*entries_of(dataset))]
    sized: Any = dataset
    if len(groups) != len(sized):
        raise DataError(f"groups must have a label for each of {len(sized)} samples, got {len(groups)}")
    return list(groups)


def _order(dataset: Dataset[Any]) -> NDArray[np.int64]:
    """Return the places of the samples in the order that the seed acts on.  [samples]"""
    if not _holds_structures(dataset):
        sized: Any = dataset
        return np.arange(len(sized))
    return Contents.of(_structures(*entries_of(dataset))).order


def _holds_structures(dataset: Dataset[Any]) -> bool:
    """Whether it is a data set of structures, or a part of one."""
    root: Any = dataset
    while isinstance(root, Subset):
        root = root.dataset
    return isinstance(root, PotentialDataset)


def _structures(dataset: PotentialDataset, entries: NDArray[np.int64]) -> Iterator[Structure]:
    for begin in range(0, len(entries), CHUNK):
        yield from dataset.labels(entries[begin : begin + CHUNK].tolist())
