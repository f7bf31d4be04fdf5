"""The cell: three lattice vectors, and along which of them a structure repeats."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.checks import require_finite
from potentia.errors import DataError

__all__ = ["checked_cell"]

SHORTEST_VECTOR = 0.1
"""A periodic cell vector shorter than this (Å) is an error: no crystal has one."""
FLATTEST_CELL = 1e-4
"""Volume (area) of the periodic vectors over the product of their lengths: below this, they are one plane (line)."""

Cell = NDArray[np.float64]
Directions = NDArray[np.bool_]


def checked_cell(cell: ArrayLike | None, pbc: ArrayLike | None, where: str = "") -> tuple[Cell | None, Directions]:
    """Return ``cell`` (3, 3), rows are vectors in Å, and ``pbc`` (3,), by default all True with a cell, else all False.

    A vector along which the structure does not repeat may be anything, also zero.

    Raises:
        DataError: a shape or number is wrong, or the periodic vectors are missing, too short or not independent.
    """
    place = f" in {where}" if where else ""
    vectors = None if cell is None else _vectors(cell, where, place)
    directions = np.array([cell is not None] * 3) if pbc is None else _directions(pbc, place)
    if directions.any():
        _require_room(vectors, directions, place)
    return vectors, directions


def _vectors(value: ArrayLike, where: str, place: str) -> Cell:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"cell must be (3, 3) and made of numbers{place}: {error}") from None
    if array.shape != (3, 3):
        raise DataError(f"cell must be (3, 3) with lattice vectors as rows (Å), got {array.shape}{place}")
    require_finite("cell", array.ravel(), where)
    return array


def _directions(value: ArrayLike, place: str) -> Directions:
    array = np.array(value)
    if array.shape != (3,):
        raise DataError(f"pbc must have length 3, one True or False per lattice vector, got {value!r}{place}")
    if array.dtype != np.bool_ and not set(array.tolist()) <= {0, 1}:
        raise DataError(f"pbc must be True or False for each lattice vector, got {value!r}{place}")
    return array.astype(np.bool_)


def _require_room(cell: Cell | None, pbc: Directions, place: str) -> None:
    if cell is None:
        raise DataError(f"pbc is {pbc.tolist()} but there is no cell{place}")
    vectors = cell[pbc]  # [periodic, 3]
    lengths = np.sqrt((vectors**2).sum(axis=1))
    if lengths.min() < SHORTEST_VECTOR:
        short = int(np.flatnonzero(pbc)[lengths.argmin()])
        raise DataError(f"pbc is True along cell vector {short}, but it is {lengths.min():.3g} Å long{place}")
    unit = vectors / lengths[:, None]
    if math.sqrt(max(float(np.linalg.det(unit @ unit.T)), 0.0)) < FLATTEST_CELL:
        raise DataError(f"the cell is singular: its periodic vectors are not independent{place}\n{cell}")
