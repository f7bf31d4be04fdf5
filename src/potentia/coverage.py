"""How good error bars are: what share of the errors they cover, where, and whether large errors are foreseen.

Measure on data that were used neither to train nor to calibrate. Coverage alone is cheap, equal intervals for all have
it too; `caught` and `rank_correlation` tell whether the spread knows which errors are large.
V. Kuleshov, N. Fenner, S. Ermon, ICML (2018), arXiv:1807.00263.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from potentia.calibration import Calibration, block_numbers, group_names, paired
from potentia.checks import choice, integer, number

__all__ = ["caught", "coverage_by_size", "coverage_table", "miscalibration_area", "rank_correlation"]

EVERYTHING = "all"
"""What the rows of tables that hold all groups are called."""
AREA_LEVELS = 99
"""Levels at which the two curves of the miscalibration area are compared."""


def coverage_table(
    residual: ArrayLike,
    spread: ArrayLike | None,
    calibration: Calibration,
    levels: Sequence[float] = (0.5, 0.68, 0.9, 0.95),
    groups: Sequence[str] | NDArray[np.str_] | None = None,
    blocks: Sequence[Any] | NDArray[Any] | None = None,
) -> pd.DataFrame:
    """Return what share of the residuals lies within intervals of each level, for all and for each group.

    Columns: ``group``; ``level``, the share that should be covered; ``coverage``, the share that is, and ``error``, its
    standard error; ``half_width``, the mean (the residuals' unit); ``n``, the residuals.

    Args:
        residual: Errors of new data.  [rows] or [rows, components]
        spread: Their predicted spreads, of the same shape or [rows]; None where the calibration knows none.
        calibration: What makes intervals of spreads.
        levels: Shares that should be covered.
        groups: Group of each row, the same as in the calibration.  [rows]
        blocks: What the rows belong to that are not independent (structures), for the standard error.  [rows]

    Raises:
        DataError: shapes differ, or a value is not finite.
    """
    size = np.atleast_1d(np.abs(np.asarray(residual, dtype=np.float64)))
    names = np.full(len(size), EVERYTHING) if groups is None else group_names(groups, size.shape[:1])
    owner = block_numbers(blocks, size.shape[:1])
    parts = {EVERYTHING: np.ones(len(size), dtype=bool)}
    parts |= {} if groups is None else {name: names == name for name in np.unique(names).tolist()}
    widths = [_widths(residual, spread, calibration, level, groups) for level in levels]
    rows = []
    for name, part in parts.items():
        for level, width in zip(levels, widths, strict=True):
            covered = (size <= width)[part].reshape(int(part.sum()), -1)  # [rows, components]
            rows.append(
                {
                    "group": name,
                    "level": float(level),
                    "coverage": float(covered.mean()),
                    "error": _standard_error(covered, owner[part]),
                    "half_width": float(width[part].mean()),
                    "n": int(covered.size),
                }
            )
    return pd.DataFrame(rows)


def coverage_by_size(
    residual: ArrayLike,
    spread: ArrayLike,
    calibration: Calibration,
    level: float = 0.9,
    bins: int = 10,
    *,
    by: str = "spread",
    groups: Sequence[str] | NDArray[np.str_] | None = None,
) -> pd.DataFrame:
    """Return the coverage of small and of large predicted spreads (or errors), in bins of equally many residuals.

    Coverage that is right in every bin of the spread means that error bars are neither too narrow where they are wide
    nor the other way round. Columns: ``low`` and ``high``, the ends of the bin; ``coverage``; ``half_width``, the mean;
    ``needed``, the width that would have covered the share ``level`` of the bin; ``RMSE``; ``n``.

    Args:
        residual: Errors of new data.  [rows] or [rows, components]
        spread: Their predicted spreads, of the same shape or [rows].
        calibration: What makes intervals of spreads.
        level: Share that should be covered.
        bins: Number of bins; equal values stay in one, so there may be fewer.
        by: What bins are made of, ``"spread"`` or ``"error"``. Of the largest errors few are covered at any level.
        groups: Group of each row, the same as in the calibration.  [rows]

    Raises:
        DataError: shapes differ, or a value is not finite.
    """
    error, predicted = paired(residual, spread)
    width = _widths(residual, spread, calibration, level, groups).ravel()
    size = np.abs(error)
    sorted_by = {"spread": predicted, "error": size}[choice("by", by, ("spread", "error"))]
    inner = np.quantile(sorted_by, np.linspace(0, 1, integer("bins", bins, low=1) + 1)[1:-1], method="higher")
    place = np.searchsorted(np.unique(inner), sorted_by, side="right")
    rows = []
    for k in np.unique(place).tolist():
        here = place == k
        rows.append(
            {
                "low": float(sorted_by[here].min()),
                "high": float(sorted_by[here].max()),
                "coverage": float((size <= width)[here].mean()),
                "half_width": float(width[here].mean()),
                "needed": float(np.quantile(size[here], level, method="higher")),
                "RMSE": float(np.sqrt(np.mean(error[here] ** 2))),
                "n": int(here.sum()),
            }
        )
    return pd.DataFrame(rows)


def caught(residual: ArrayLike, spread: ArrayLike, worst: float = 0.01, most_uncertain: float = 0.10) -> float:
    """Return what share of the ``worst`` errors is among the ``most_uncertain`` predictions.

    A spread that knows nothing catches the share ``most_uncertain``. Equal values at the edge of a part belong to it
    by a share each, so their order makes no difference.

    >>> caught([0.1, 0.2, -5.0, 0.3], [0.1, 0.1, 0.9, 0.2], worst=0.25, most_uncertain=0.25)
    1.0
    """
    error, predicted = paired(residual, spread)
    bad = _largest(np.abs(error), number("worst", worst, low=0.0, high=1.0))
    flagged = _largest(predicted, number("most_uncertain", most_uncertain, low=0.0, high=1.0))
    return float(bad @ flagged / bad.sum())


def rank_correlation(residual: ArrayLike, spread: ArrayLike) -> float:
    """Return Spearman's correlation of the sizes of the errors with the spreads; NaN where either is all the same."""
    error, predicted = paired(residual, spread)
    ranks = [pd.Series(values).rank().to_numpy() - (len(values) + 1) / 2 for values in (np.abs(error), predicted)]
    lengths = [float(np.linalg.norm(rank)) for rank in ranks]
    return float(ranks[0] @ ranks[1]) / math.prod(lengths) if all(lengths) else math.nan


def miscalibration_area(
    residual: ArrayLike,
    spread: ArrayLike | None,
    calibration: Calibration,
    groups: Sequence[str] | NDArray[np.str_] | None = None,
) -> float:
    """Return the area between observed and nominal coverage over levels from 0 to 1: 0 is right, 0.5 the worst."""
    size = np.abs(np.asarray(residual, dtype=np.float64))
    levels = np.arange(1, AREA_LEVELS + 1) / (AREA_LEVELS + 1)
    observed = [np.mean(size <= _widths(residual, spread, calibration, level, groups)) for level in levels.tolist()]
    return float(np.abs(np.array(observed) - levels).sum() / (AREA_LEVELS + 1))


def _widths(
    residual: ArrayLike,
    spread: ArrayLike | None,
    calibration: Calibration,
    level: float,
    groups: Sequence[str] | NDArray[np.str_] | None,
) -> NDArray[np.float64]:
    """Half-widths in the shape of the residuals."""
    shape = np.atleast_1d(np.asarray(residual)).shape
    paired(residual, spread)
    width = np.atleast_1d(calibration.half_width(spread, level, groups))
    if width.shape == shape[:1]:
        width = width.reshape(-1, *[1] * (len(shape) - 1))
    return np.broadcast_to(width, shape)


def _standard_error(covered: NDArray[np.bool_], owner: NDArray[np.int64]) -> float:
    """Standard error of the share of ``covered`` [rows, components] as a ratio of sums over independent blocks."""
    off = (covered - covered.mean()).sum(axis=1)  # [rows]
    _, block = np.unique(owner, return_inverse=True)
    sums = np.bincount(block, off)
    if len(sums) < 2:
        return math.nan
    return float(np.sqrt(np.sum(sums**2) * len(sums) / (len(sums) - 1)) / covered.size)


def _largest(values: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return to what part each value belongs to the largest ``share`` (rounded up to whole values): 0 to 1."""
    count = max(1, math.ceil(share * len(values) * (1 - 1e-12)))
    edge = np.partition(values, len(values) - count)[len(values) - count]
    above, tied = values > edge, values == edge
    return np.asarray(above + tied * ((count - above.sum()) / tied.sum()), dtype=np.float64)
