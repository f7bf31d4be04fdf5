"""Pairs in the order that the kernels want: by centre and species of the neighbour, near ones first, in blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["PairLayout", "Pairs", "lay_out"]


@dataclass(frozen=True)
class PairLayout:
    """How the pairs of a centre are arranged."""

    min_cutoff: float
    """Pairs at this distance or closer are left out (Å)."""
    near_cutoff: float
    """Within a species, pairs closer than this come first (Å)."""
    far: float
    """Distance of the pairs that fill up a block (Å): so far that no cutoff reaches them."""
    n_species: int
    """Number of species."""
    block: int
    """The pairs with neighbours of one species are filled up to a multiple of this."""


@dataclass(frozen=True)
class Pairs:
    """Pairs in CSR form, with the extent of each species' group."""

    start: NDArray[np.int64]
    """First pair of each centre, and the number of pairs, fillers included.  [atoms + 1]"""
    whole: NDArray[np.int32]
    """Neighbours of each species, fillers not counted.  [atoms, species]"""
    near: NDArray[np.int32]
    """Those closer than the near cutoff, which stand first.  [atoms, species]"""
    neighbour: NDArray[np.int32]
    """The other atom; the centre itself for fillers.  [pairs]"""
    reverse: NDArray[np.int64]
    """The same pair seen from the other side; itself for fillers.  [pairs]"""
    vector: NDArray[np.float64]
    """From the centre to the neighbour, Å.  [pairs, 3]"""


def lay_out(
    layout: PairLayout,
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    reverse: NDArray[np.int64],
    vector: NDArray[np.float64],
    species: NDArray[np.int64],
) -> Pairs:
    """Arrange pairs given in CSR form by centre (``start`` [atoms + 1], the others [pairs], ``species`` [atoms])."""
    shape = (len(species), layout.n_species)
    whole, near = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    low, high = layout.min_cutoff**2, layout.near_cutoff**2
    _count(start, neighbour, vector, species, low, high, whole, near)
    filled = -(-whole.astype(np.int64) // layout.block) * layout.block  # [atoms, species]
    starts = np.concatenate([[0], np.cumsum(filled.sum(1))])
    total = int(starts[-1])
    pairs = Pairs(
        start=starts,
        whole=whole,
        near=near,
        neighbour=np.empty(total, dtype=np.int32),
        reverse=np.arange(total),
        vector=np.empty((total, 3)),
    )
    arrays = (pairs.start, filled, near, pairs.neighbour, pairs.reverse, pairs.vector)
    _place(start, neighbour, reverse, vector, species, low, high, layout.far, *arrays)
    return pairs


@njit(cache=True)
def _count(start, neighbour, vector, species, low, high, whole, near):
    for i in range(start.size - 1):
        for p in range(start[i], start[i + 1]):
            d2 = vector[p, 0] ** 2 + vector[p, 1] ** 2 + vector[p, 2] ** 2
            if d2 > low:
                whole[i, species[neighbour[p]]] += 1
                near[i, species[neighbour[p]]] += d2 < high


@njit(cache=True)
def _place(
    start, neighbour, reverse, vector, species, low, high, far, new_start, filled, near, new_neighbour, new_reverse,
    new_vector,
):  # fmt: skip
    place = np.full(neighbour.size, -1, dtype=np.int64)
    next_near, next_far = np.empty(near.shape[1], np.int64), np.empty(near.shape[1], np.int64)
    for i in range(start.size - 1):
        at = new_start[i]
        for p in range(at, new_start[i + 1]):
            new_neighbour[p] = i
            new_vector[p, 0], new_vector[p, 1], new_vector[p, 2] = 0.0, 0.0, far
        for s in range(near.shape[1]):
            next_near[s], next_far[s] = at, at + near[i, s]
            at += filled[i, s]
        for p in range(start[i], start[i + 1]):
            d2 = vector[p, 0] ** 2 + vector[p, 1] ** 2 + vector[p, 2] ** 2
            if d2 <= low:
                continue
            s = species[neighbour[p]]
            if d2 < high:
                at = next_near[s]
                next_near[s] += 1
            else:
                at = next_far[s]
                next_far[s] += 1
            place[p] = at
            new_neighbour[at] = neighbour[p]
            new_vector[at, 0], new_vector[at, 1], new_vector[at, 2] = vector[p, 0], vector[p, 1], vector[p, 2]
    for p in range(neighbour.size):
        if place[p] >= 0:
            new_reverse[place[p]] = place[reverse[p]]
