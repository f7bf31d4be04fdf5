"""The training and the test part of a data set, drawn once from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentia.checks import integer, number
from potentia.errors import ConfigError, DataError
from potentia.seeding import stream

__all__ = ["Split", "holdout"]


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of the two parts: disjoint, together complete, each in ascending order."""

    train: NDArray[np.int64]
    """Indices of the training part, [train samples]."""
    test: NDArray[np.int64]
    """Indices of the held-out part, [test samples]."""


def holdout(n: int, percent: float, seed: int) -> Split:
    """Hold ``int(n * percent / 100)`` of ``n`` samples out of training; 0 percent holds out none.

    Raises:
        DataError: there are no samples.
        ConfigError: nothing would be left to train on, or ``percent`` is not between 0 and 100.

    >>> holdout(10, 20, seed=1).test
    array([2, 4])
    """
    if integer("number of samples", n, low=0) == 0:
        raise DataError("there is nothing to split: the data set has no samples")
    held_out = int(n * number("testpercent", percent, low=0, high=100) / 100)
    if held_out == n:
        raise ConfigError(f"testpercent={percent} leaves none of {n} samples to train on: choose less than 100")
    order = stream(seed, "split").permutation(n)
    return Split(train=np.sort(order[held_out:]), test=np.sort(order[:held_out]))
