"""Which part of the training data a member sees, and which part of those held out a calibration is learned from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from potentia.checks import number
from potentia.ensemble.config import CommitteeConfig
from potentia.errors import ConfigError
from potentia.seeding import stream

__all__ = ["drawn", "learned_from", "multiplicity"]


def multiplicity(config: CommitteeConfig, n: int, seed: int) -> NDArray[np.int64]:
    """Return how often a member with this seed sees each of ``n`` samples.  [samples]

    A bootstrap draws ``n`` samples with replacement (B. Efron, Ann. Stat. 7 (1979) 1); a sample that is drawn k times
    counts k times in the loss.

    >>> multiplicity(CommitteeConfig(2, resample="subset", subset_fraction=0.5), 6, seed=1).sum()
    np.int64(3)
    """
    draw = stream(seed, "resample", config.resample)
    if config.resample == "bootstrap":
        return np.bincount(draw.integers(n, size=n), minlength=n).astype(np.int64)
    chosen = np.ones(n, dtype=np.int64)
    if config.resample == "subset":
        chosen[draw.permutation(n)[max(1, round(config.subset_fraction * n)) :]] = 0
    return chosen


def drawn(config: CommitteeConfig, blocks: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the places of the samples that a member sees, each as often as its block is drawn, in their order.

    Samples of one block are alike, and are drawn or left together.

    >>> blocks = np.array([7, 7, 8, 8, 9, 9])
    >>> drawn(CommitteeConfig(2, resample="subset", subset_fraction=0.4), blocks, seed=1)
    array([0, 1])

    Args:
        config: How to draw.
        blocks: What each sample belongs to.  [samples]
        seed: Of the member.
    """
    kinds, number = np.unique(blocks, return_inverse=True)
    times = multiplicity(config, len(kinds), seed)[number]  # [samples]
    return np.repeat(np.arange(len(blocks)), times)


def learned_from(n: int, measure: float, seed: int) -> NDArray[np.bool_]:
    """Return which of ``n`` pieces, two or more, a calibration is learned from; at least one is, and one is not.

    Args:
        n: Pieces that were held out.
        measure: Part of them that it is measured on, instead.
        seed: Of the draw.

    Raises:
        ConfigError: the part is not between 0 and 1.
    """
    if not 0 < number("measure", measure) < 1:
        raise ConfigError(f"measure must lie between 0 and 1, like 0.5, got {measure!r}")
    n_measured = min(max(round(measure * n), 1), n - 1)
    known = np.ones(n, dtype=bool)
    known[stream(seed, "calibration").permutation(n)[:n_measured]] = False
    return known
