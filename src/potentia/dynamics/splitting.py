"""Parts of a data set that share nothing: whole logs, or stretches of time with a gap between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from potentia.checks import integer, number
from potentia.data.split import holdout_groups
from potentia.dynamics.dataset import FeatureDataset
from potentia.errors import ConfigError

__all__ = ["split_blocks", "split_groups"]


def split_groups(dataset: FeatureDataset, fractions: Sequence[float], seed: int) -> tuple[FeatureDataset, ...]:
    """Return parts of whole logs: no log has windows in two of them.

    Args:
        dataset: Windows with their groups.
        fractions: Size of each part, such as ``(0.7, 0.15, 0.15)``; the parts come as close to them as logs allow.
        seed: Decides between logs.

    Raises:
        ConfigError: fractions do not add up to 1, or there are fewer logs than parts.

    Warns:
        PotentiaWarning: logs are so large that the size of a part is far from what was wanted.
    """
    shares = _require_fractions(fractions)
    logs = len(np.unique(dataset.group))
    if logs < len(shares):
        raise ConfigError(
            f"{len(shares)} parts of whole logs need as many logs, and there is {logs}: cut long logs in time with "
            "split_blocks"
        )
    rest = np.arange(len(dataset))
    parts = []
    for k in range(len(shares) - 1, 0, -1):
        percent = 100 * shares[k] / sum(shares[: k + 1])
        split = holdout_groups(dataset.group[rest].tolist(), percent, seed)
        parts.append(rest[split.test])
        rest = rest[split.train]
    return tuple(dataset.take(part) for part in [rest, *reversed(parts)])


def split_blocks(dataset: FeatureDataset, fractions: Sequence[float], *, stride: int = 1) -> tuple[FeatureDataset, ...]:
    """Return parts that follow each other in time, in every log.

    Between two parts windows are left out, so that no row of a log is in both.

    Args:
        dataset: Windows as `cut_windows` gives them: log by log, in the order of time.
        fractions: Size of each part of a log, such as ``(0.8, 0.2)`` for the last fifth as the second part.
        stride: Rows from one window to the next, as they were cut.

    Raises:
        ConfigError: fractions do not add up to 1, or logs are too short for the gaps.
    """
    shares = _require_fractions(fractions)
    rows = dataset.past + dataset.n_steps + 1  # of a window
    left_out = -(-rows // integer("stride", stride, low=1)) - 1
    chosen: list[list[np.ndarray]] = [[] for _ in shares]
    for group in np.unique(dataset.group):
        own = np.flatnonzero(dataset.group == group)
        usable = len(own) - left_out * (len(shares) - 1)
        ends = np.round(np.cumsum(shares) * max(usable, 0)).astype(int)
        for k, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            chosen[k].append(own[begin + k * left_out : end + k * left_out])
    parts = [np.concatenate(part) for part in chosen]
    if not all(len(part) for part in parts):
        raise ConfigError(
            f"a part has no windows: each log loses {left_out} windows between two parts, as they share rows; take "
            "longer logs, fewer parts, or a shorter horizon"
        )
    return tuple(dataset.take(part) for part in parts)


def _require_fractions(fractions: Sequence[float]) -> list[float]:
    shares = [number("fraction", one) for one in fractions]
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ConfigError(f"fractions must be greater than 0 and add up to 1, got {tuple(shares)}")
    return shares
