"""Which part of the training data a member sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from potentia.ensemble.config import CommitteeConfig
from potentia.seeding import stream

__all__ = ["multiplicity"]


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
