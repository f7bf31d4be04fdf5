"""Neighbours: all pairs of atoms within a cutoff, any periodicity, sorted by centre, each pair seen from both sides.

vesin finds every pair once; one pass over its list makes both directions, so each pair knows its reverse unsearched.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from vesin import NeighborList

from potentia.checks import array_of_shape, number
from potentia.errors import ConfigError, DataError
from potentia.potentials.cell import checked_cell
from potentia.potentials.structure import Structure

__all__ = ["OVERLAP", "Neighbours", "find_neighbours", "find_neighbours_of"]

OVERLAP = 1e-3
"""Atoms closer than this (Å) are one atom written twice; the direction between them means nothing."""
MOST_PAIRS = 2**31 - 1
"""Pairs are counted in int32."""
CHUNK = 32
"""Structures that a thread takes at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Pairs of one structure in CSR form. Every pair is there from both sides, self-images included.

    The pairs of atom i are ``start[i]:start[i + 1]``; their order is the same in every run.
    """

    start: NDArray[np.int64]
    """First pair of each atom, and the number of pairs.  [atoms + 1]"""
    neighbour: NDArray[np.int32]
    """The other atom.  [pairs]"""
    vector: NDArray[np.float64]
    """From the centre to the image of the neighbour, x_j + S·cell − x_i for the positions as given, Å.  [pairs, 3]"""
    reverse: NDArray[np.int32]
    """The same pair seen from the other side: its vector is exactly the negative.  [pairs]"""

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.start) - 1

    @property
    def n_pairs(self) -> int:
        """Number of pairs, both directions counted."""
        return len(self.neighbour)

    @property
    def centre(self) -> NDArray[np.int32]:
        """The atom each pair belongs to.  [pairs]"""
        return np.repeat(np.arange(self.n_atoms, dtype=np.int32), np.diff(self.start))

    @property
    def distance(self) -> NDArray[np.float64]:
        """Length of each pair's vector, Å.  [pairs]"""
        squares: NDArray[np.float64] = (self.vector**2).sum(axis=1)
        return np.sqrt(squares)


def find_neighbours(
    positions: ArrayLike, cell: ArrayLike | None, pbc: ArrayLike | None, cutoff: float, *, where: str = ""
) -> Neighbours:
    """Find all pairs closer than ``cutoff``. At the cutoff itself, where every cutoff function is zero, there are none.

    Args:
        positions: (atoms, 3), Å; atoms may be anywhere, also outside the cell.
        cell: (3, 3), rows are lattice vectors (Å), of any shape and handedness and smaller than the cutoff as it
            may be; vectors without periodicity are not looked at. None for a structure that does not repeat.
        pbc: three booleans, along which vectors the structure repeats; None: all with a cell, none without.
        cutoff: distance (Å).
        where: file and frame, for messages.

    Raises:
        ConfigError: the cutoff is not a positive number.
        DataError: two atoms lie on each other (closer than `OVERLAP`), the cell cannot be, or pairs are too many.
    """
    points = array_of_shape("positions", positions, (None, 3), "(atoms, 3)", where)
    return _search(points, *checked_cell(cell, pbc, where), _checked_cutoff(cutoff), where)


def find_neighbours_of(structures: Sequence[Structure], cutoff: float, threads: int | None = None) -> list[Neighbours]:
    """Find the neighbours of many structures, the same for any number of ``threads`` (None: one for each CPU).

    Raises:
        ConfigError: the cutoff is not a positive number.
        DataError: in a structure, two atoms lie on each other, or pairs are too many.
    """
    reach = _checked_cutoff(cutoff)
    workers = (os.cpu_count() or 1) if threads is None else threads
    chunks = [structures[k : k + CHUNK] for k in range(0, len(structures), CHUNK)]
    work = partial(_search_chunk, cutoff=reach)
    if workers <= 1 or len(chunks) <= 1:
        found = map(work, chunks)
        return [neighbours for chunk in found for neighbours in chunk]
    with ThreadPoolExecutor(min(workers, len(chunks))) as pool:
        return [neighbours for chunk in pool.map(work, chunks) for neighbours in chunk]


def _checked_cutoff(cutoff: float) -> float:
    result = number("cutoff", cutoff)
    if result <= 0:
        raise ConfigError(f"cutoff must be above 0 Å, got {cutoff!r}")
    return result


def _search_chunk(structures: Sequence[Structure], cutoff: float) -> list[Neighbours]:
    return [_search(s.positions, s.cell, s.pbc, cutoff, s.label) for s in structures]


def _search(
    positions: NDArray[np.float64], cell: NDArray[np.float64] | None, pbc: NDArray[np.bool_], cutoff: float, where: str
) -> Neighbours:
    box = np.zeros((3, 3)) if cell is None else cell
    place = f" in {where}" if where else ""
    vesin = NeighborList(cutoff=cutoff, full_list=False, n_threads=1)
    try:
        half, shifts = vesin.compute(positions, box, pbc, "PS", copy=False)  # views, valid while `vesin` lives
    except RuntimeError as error:
        raise DataError(f"no neighbours can be found{place}: {error}") from error
    if 2 * len(half) > MOST_PAIRS:
        raise DataError(f"{2 * len(half):,} pairs within {cutoff} Å are too many{place}: are cell and cutoff in Å?")
    found = Neighbours(
        start=np.zeros(len(positions) + 1, dtype=np.int64),
        neighbour=np.empty(2 * len(half), dtype=np.int32),
        vector=np.empty((2 * len(half), 3)),
        reverse=np.empty(2 * len(half), dtype=np.int32),
    )
    rows = (found.start, found.neighbour, found.vector, found.reverse)
    overlap = _see_from_both_sides(half.view(np.int64), shifts, positions, box, *rows)
    if overlap >= 0:
        one, other = (int(atom) for atom in half[overlap])
        whom = f"atom {one} lies on its own image" if one == other else f"atoms {one} and {other} lie on each other"
        raise DataError(f"{whom} (closer than {OVERLAP} Å){place}: remove one of them")
    return found


@njit(cache=True, nogil=True)
def _see_from_both_sides(
    half: NDArray[np.int64],
    shifts: NDArray[np.int32],
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    vector: NDArray[np.float64],
    reverse: NDArray[np.int32],
) -> int:
    """Sort the pairs of a half list [half, 2] by centre, both ways; return the first pair that overlaps, else −1."""
    for p in range(len(half)):
        start[half[p, 0] + 1] += 1
        start[half[p, 1] + 1] += 1
    for i in range(len(positions)):
        start[i + 1] += start[i]
    free = start.copy()
    overlap = -1
    for p in range(len(half)):
        i, j = half[p, 0], half[p, 1]
        there = free[i]
        free[i] += 1
        back = free[j]
        free[j] += 1
        square = 0.0
        for x in range(3):
            image = shifts[p, 0] * cell[0, x] + shifts[p, 1] * cell[1, x] + shifts[p, 2] * cell[2, x]
            d = positions[j, x] + image - positions[i, x]
            vector[there, x] = d
            vector[back, x] = -d
            square += d * d
        neighbour[there], neighbour[back] = j, i
        reverse[there], reverse[back] = back, there
        if square < OVERLAP * OVERLAP and overlap < 0:
            overlap = p
    return overlap
