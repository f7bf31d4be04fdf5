"""A data set in two parts, one for training and one held out."""

from __future__ import annotations

from typing import Any, TypeVar

from torch.utils.data import Dataset, Subset

from potentia.checks import integer, number
from potentia.data import Split, holdout
from potentia.errors import ConfigError
from potentia.potentials.datasets.base import PotentialDataset
from potentia.potentials.datasets.in_memory import StructureDataset
from potentia.seeding import fresh_seed

__all__ = ["train_test_split", "train_test_split_dataset"]

InMemory = TypeVar("InMemory", bound=StructureDataset)
Sample = TypeVar("Sample")


def train_test_split(
    dataset: InMemory, test_fraction: float = 0.1, seed: int | None = None
) -> tuple[InMemory, InMemory]:
    """Return two data sets, to train on and held out; a training with this ``split_seed`` draws the same parts.

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
    split = _split(len(dataset), test_fraction, dataset.seed if seed is None else seed)
    return dataset.part(split.train.tolist()), dataset.part(split.test.tolist())


def train_test_split_dataset(
    dataset: Dataset[Sample], test_fraction: float = 0.1, seed: int | None = None
) -> tuple[Subset[Sample], Subset[Sample]]:
    """Return two subsets of any data set; the same parts as those of `train_test_split`.

    Args:
        dataset: Any data set with a length.
        test_fraction: Part held out, from 0 to below 1.
        seed: Seed of the draw; that of the data set if None, and a new one if it has none.

    Raises:
        ConfigError: the fraction cannot be.
        DataError: the data set is empty.
    """
    sized: Any = dataset
    own = dataset.seed if isinstance(dataset, PotentialDataset) else None
    split = _split(len(sized), test_fraction, own if seed is None else seed)
    return Subset(dataset, split.train.tolist()), Subset(dataset, split.test.tolist())


def _split(n: int, test_fraction: float, seed: int | None) -> Split:
    fraction = number("test_fraction", test_fraction, low=0.0, high=1.0)
    if fraction == 1.0:
        raise ConfigError("test_fraction=1 leaves nothing to train on: choose less")
    percent = round(100 * fraction, 9)  # 100 * 0.29 is a little less than 29
    return holdout(n, percent, fresh_seed() if seed is None else integer("seed", seed))
