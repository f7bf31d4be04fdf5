"""Ways to draw batches: each is a pure function of the epoch, so an interrupted epoch is drawn again the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from potentia.checks import integer
from potentia.seeding import stream

__all__ = ["drawn", "in_order", "shuffled"]


def shuffled(n: int, size: int, seed: int) -> Callable[[int], list[NDArray[np.int64]]]:
    """Return epoch → batches of ``size`` indices (the last may be smaller), each index once in a new order."""
    starts = _starts(n, size)

    def batches(epoch: int) -> list[NDArray[np.int64]]:
        return np.split(stream(seed, "shuffle", epoch).permutation(n), starts) if n else []

    return batches


def drawn(weights: Callable[[], NDArray[np.float64]], size: int, seed: int) -> Callable[[int], list[NDArray[np.int64]]]:
    """Return epoch → batches of ``size`` indices, drawn with replacement, as many as there are ``weights`` [samples].

    An index is drawn in proportion to its weight. ``weights`` is asked before each epoch; they must not change in it.
    """

    def batches(epoch: int) -> list[NDArray[np.int64]]:
        now = weights()
        if not len(now):
            return []
        found = stream(seed, "draw", epoch).choice(len(now), size=len(now), p=now / now.sum())
        return np.split(found, _starts(len(now), size))

    return batches


def in_order(n: int, size: int) -> Callable[[int], list[NDArray[np.int64]]]:
    """Return epoch → batches of ``size`` indices (the last may be smaller) in ascending order, the same each epoch."""
    plan = np.split(np.arange(n), _starts(n, size)) if n else []
    return lambda _epoch: plan


def _starts(n: int, size: int) -> list[int]:
    integer("number of samples", n, low=0)
    return list(range(integer("batchsize", size, low=1), n, size))
