"""Angles that go on counting through full turns."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["unwrapped"]

Floats: TypeAlias = NDArray[np.float64]


def unwrapped(angles: Floats) -> Floats:
    """Return angles (rad) without jumps of 2π; what is not finite stays so, and does not spread.  [rows]

    >>> unwrapped(np.array([3.0, np.nan, -3.0])).round(3)
    array([3.   ,   nan, 3.283])
    """
    known = np.isfinite(angles)
    result = angles.copy()
    result[known] = np.unwrap(angles[known])
    return result
