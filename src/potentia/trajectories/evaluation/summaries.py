"""What is said of many errors: root mean square, mean and quantiles, exactly and of any number of them.

NaN is an error that does not exist and is left out; an infinite one counts as such.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from potentia.trajectories.predictor import Floats

__all__ = ["ErrorSummary", "distribution", "pearson", "per_quantity", "per_time", "quantiles", "rows_summarised"]

DISTRIBUTION_LEVELS = np.unique(np.concatenate((np.linspace(0.0, 1.0, 201), 1 - np.geomspace(1e-4, 1e-2, 30))))
"""Shares of the errors at which a distribution is kept."""


@dataclass(frozen=True)
class ErrorSummary:
    """Errors of one kind in a few numbers."""

    rmse: float
    """Root of the mean square."""
    mean: float
    """Mean size."""
    median: float
    """Half of the errors are smaller."""
    percentile: float
    """The share asked for is smaller."""
    n: int
    """Number of errors."""

    @classmethod
    def of(cls, errors: Floats, percentile: float) -> Self:
        """Summarise the sizes of errors, of any shape; ``percentile`` from 0 to 100."""
        row = rows_summarised(errors.reshape(1, -1), percentile).iloc[0]
        return cls(row["RMSE"], row["mean"], row["median"], row["percentile"], int(row["n"]))


def quantiles(rows: Floats, levels: Sequence[float] | Floats) -> Floats:
    """Return the quantiles of each row, interpolated between neighbours.  [rows, values] → [rows, levels]

    NaN is left out; a row of nothing else has NaN.
    """
    levels = np.asarray(levels, dtype=np.float64)
    ordered = np.sort(rows, axis=1)  # NaN comes last
    last = np.maximum((~np.isnan(rows)).sum(axis=1) - 1, 0)[:, None]
    place = levels * last  # [rows, levels]
    below = np.floor(place).astype(np.int64)
    low, high = (np.take_along_axis(ordered, np.minimum(k, last), axis=1) for k in (below, below + 1))
    with np.errstate(invalid="ignore"):
        between = low + (place - below) * (high - low)
    return np.where(place == below, low, np.where(np.isinf(high), high, between))


def rows_summarised(rows: Floats, percentile: float) -> pd.DataFrame:
    """Return ``RMSE``, ``mean``, ``median``, ``percentile``, quartiles, ``low`` (5 %), and ``n`` of each row."""
    there = ~np.isnan(rows)
    n = there.sum(axis=1)
    known = np.where(there, rows, 0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean, square = known.sum(axis=1) / n, (known**2).sum(axis=1) / n
    low, quarter, median, three, high = quantiles(rows, (0.05, 0.25, 0.5, 0.75, percentile / 100)).T
    return pd.DataFrame(
        {
            "RMSE": np.sqrt(square),
            "mean": mean,
            "median": median,
            "percentile": high,
            "low": low,
            "quarter": quarter,
            "three_quarters": three,
            "n": n,
        }
    )


def per_time(errors: Floats, times: Floats, percentile: float) -> pd.DataFrame:
    """Summarise errors [trajectories, times, quantities] at each time: columns ``step``, ``time`` and the summary."""
    found = rows_summarised(errors.transpose(1, 0, 2).reshape(len(times), -1), percentile)
    found.insert(0, "step", np.arange(len(times)))
    found.insert(1, "time", times)
    return found


def per_quantity(errors: Floats, labels: Sequence[str], percentile: float) -> pd.DataFrame:
    """Summarise errors [trajectories, times, quantities] of each quantity: columns ``quantity`` and the summary."""
    found = rows_summarised(errors.transpose(2, 0, 1).reshape(len(labels), -1), percentile)
    found.insert(0, "quantity", list(labels))
    return found


def distribution(errors: Floats) -> pd.DataFrame:
    """Return which share of the errors is no larger than which size: columns ``share`` and ``size``."""
    return pd.DataFrame(
        {"share": DISTRIBUTION_LEVELS, "size": quantiles(errors.reshape(1, -1), DISTRIBUTION_LEVELS)[0]}
    )


def pearson(x: Floats, y: Floats) -> float:
    """Return the correlation of two arrays of one shape; NaN where one of them is all the same.

    Pairs that are not finite are left out.
    """
    keep = np.isfinite(x) & np.isfinite(y)
    if not keep.any():
        return math.nan
    first, second = (values[keep] / (np.abs(values[keep]).max() or 1.0) for values in (x, y))
    first, second = first - first.mean(), second - second.mean()
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / lengths if lengths > first.size * np.finfo(np.float64).eps ** 2 else math.nan
