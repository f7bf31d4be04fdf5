"""What a search with two objectives has found, as tables: which trials are best, and how the front has grown."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["front_growth", "hypervolume", "on_front", "reference_of"]

BEYOND = 1.1
"""The reference point is the worst value of each objective times this."""


def on_front(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points [points, objectives] no other beats in one objective and equals, or beats, in the rest.

    >>> on_front(np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0], [3.0, 1.0]]))
    array([ True,  True, False,  True])
    """
    no_worse = (points[:, None] <= points[None]).all(axis=2)  # of each (rows) than each (columns)  [points, points]
    better = (points[:, None] < points[None]).any(axis=2)
    return ~np.asarray((no_worse & better).any(axis=0), dtype=np.bool_)


def hypervolume(points: NDArray[np.float64], reference: Iterable[float]) -> float:
    """Return the area that lies between points [points, 2] and a reference that is worse in both objectives.

    >>> float(hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), (3.0, 3.0)))
    3.0
    """
    right, top = reference
    area, height = 0.0, top
    for x, y in sorted(points[on_front(points)].tolist()):
        area += max(right - x, 0.0) * max(height - y, 0.0)
        height = min(height, y)
    return area


def reference_of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the point that hypervolumes are measured from.  [2]"""
    found: NDArray[np.float64] = BEYOND * points.max(axis=0)
    return found


def front_growth(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the hypervolume after each trial, and its part of the last one.

    Args:
        trials: Columns ``trial``, ``error`` and ``seconds``, in the order of the trials.
    """
    points = trials[["error", "seconds"]].to_numpy(float)
    reference = reference_of(points)
    areas = np.array([hypervolume(points[: k + 1], reference) for k in range(len(points))])
    frame = {"trial": trials["trial"].to_numpy(), "hypervolume": areas, "relative": areas / areas[-1]}
    return pd.DataFrame(frame)
