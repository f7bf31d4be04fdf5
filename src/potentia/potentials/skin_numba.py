"""Pairs that move: a list made once within cutoff and skin, and the pairs of the moment picked out of it.

The picked pairs stand as `PairLayout` wants them. Each centre has a region of its own that holds all it may ever have;
what it does not need at the moment is filled up with pairs out of reach.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentia.simd.compiling import in_turn
from potentia.simd.sharing import take

__all__ = ["MANY", "gather", "link", "pick", "pick_given", "see_from_both_sides", "sort_by_species"]

CHUNK = 16
"""Centres that a thread takes at a time."""
MANY = 256
"""Centres that are worth a thread."""

shared = in_turn(njit(cache=True, nogil=True))
"""Called by several threads, which `take` their items."""


@njit(cache=True)
def see_from_both_sides(half, shifts, most, species, start, count, other, image, reverse):
    """Sort a half list [half, 2] by centre and species of the neighbour, both ways; count [atoms, species] it.

    ``image`` numbers the shifts, which are between -most and most: a pair and its reverse add up to the last number.
    """
    n_species = count.shape[1]
    for p in range(half.shape[0]):
        i, j = half[p, 0], half[p, 1]
        count[i, species[j]] += 1
        count[j, species[i]] += 1
    free = np.empty(count.shape, np.int64)
    at = 0
    for i in range(count.shape[0]):
        start[i] = at
        for s in range(n_species):
            free[i, s] = at
            at += count[i, s]
    start[count.shape[0]] = at
    wide_y, wide_z = 2 * most[1] + 1, 2 * most[2] + 1
    last = (2 * most[0] + 1) * wide_y * wide_z - 1
    for p in range(half.shape[0]):
        i, j = half[p, 0], half[p, 1]
        code = ((shifts[p, 0] + most[0]) * wide_y + shifts[p, 1] + most[1]) * wide_z + shifts[p, 2] + most[2]
        there = free[i, species[j]]
        free[i, species[j]] += 1
        back = free[j, species[i]]
        free[j, species[i]] += 1
        other[there], other[back] = j, i
        image[there], image[back] = code, last - code
        reverse[there], reverse[back] = back, there


@njit(cache=True)
def sort_by_species(centre, kind, start, count, order):
    """Sort pairs given in any order by centre and species of the neighbour: ``order`` [pairs] leads to the given."""
    for p in range(centre.size):
        count[centre[p], kind[p]] += 1
    free = np.empty(count.shape, np.int64)
    at = 0
    for i in range(count.shape[0]):
        start[i] = at
        for s in range(count.shape[1]):
            free[i, s] = at
            at += count[i, s]
    start[count.shape[0]] = at
    for p in range(centre.size):
        order[free[centre[p], kind[p]]] = p
        free[centre[p], kind[p]] += 1


@njit(cache=True)
def _pick_of_centre(
    i, raw, begin, count, other, layout, block, new_start, vector, neighbour, reverse, whole, near, place, rest,
):  # fmt: skip
    """Pick those of the vectors ``raw`` [pairs of the centre] in reach; return the least square of one too close."""
    low, middle, high, far = layout
    least = np.inf
    at = new_start[i]
    k = 0
    for s in range(count.shape[1]):
        n_near = n_far = 0
        for _ in range(count[i, s]):
            x, y, z = raw[k, 0], raw[k, 1], raw[k, 2]
            square = x * x + y * y + z * z
            place[begin + k] = -1
            if square <= low:
                least = min(least, square)
            elif square < middle:
                vector[at, 0], vector[at, 1], vector[at, 2] = x, y, z
                neighbour[at] = other[begin + k]
                place[begin + k] = at
                at += 1
                n_near += 1
            elif square < high:
                rest[n_far] = k
                n_far += 1
            k += 1
        for f in range(n_far):
            k_f = rest[f]
            vector[at, 0], vector[at, 1], vector[at, 2] = raw[k_f, 0], raw[k_f, 1], raw[k_f, 2]
            neighbour[at] = other[begin + k_f]
            place[begin + k_f] = at
            at += 1
        whole[i, s], near[i, s] = n_near + n_far, n_near
        end = new_start[i + 1]
        if s + 1 < count.shape[1]:
            end = at + (-(n_near + n_far)) % block
        while at < end:
            vector[at, 0], vector[at, 1], vector[at, 2] = 0.0, 0.0, far
            neighbour[at] = i
            reverse[at] = at
            at += 1
    return least


@shared
def pick(
    taken, points, offsets, start, count, other, image, widest, layout, block, new_start, vector, neighbour, reverse,
    whole, near, place, closest,
):  # fmt: skip
    """Compute the vectors of all pairs of the list, and pick those in reach; closest [atoms] see `_pick_of_centre`."""
    n = start.size - 1
    raw, rest = np.empty((widest, 3)), np.empty(widest, np.int64)
    chunk = take(taken, CHUNK)
    while chunk < n:
        for i in range(chunk, min(n, chunk + CHUNK)):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            begin = start[i]
            for p in range(begin, start[i + 1]):
                j, m = other[p], image[p]
                raw[p - begin, 0] = points[j, 0] + offsets[m, 0] - x
                raw[p - begin, 1] = points[j, 1] + offsets[m, 1] - y
                raw[p - begin, 2] = points[j, 2] + offsets[m, 2] - z
            closest[i] = _pick_of_centre(
                i, raw, begin, count, other, layout, block, new_start, vector, neighbour, reverse, whole, near, place,
                rest,
            )  # fmt: skip
        chunk = take(taken, CHUNK)


@shared
def pick_given(
    taken, given, start, count, other, layout, block, new_start, vector, neighbour, reverse, whole, near, place,
    closest,
):  # fmt: skip
    """Pick those of the vectors ``given`` [pairs, 3], sorted by centre and species, that are in reach."""
    n = start.size - 1
    chunk = take(taken, CHUNK)
    while chunk < n:
        for i in range(chunk, min(n, chunk + CHUNK)):
            raw = given[start[i] : start[i + 1]]
            rest = np.empty(start[i + 1] - start[i], np.int64)
            closest[i] = _pick_of_centre(
                i, raw, start[i], count, other, layout, block, new_start, vector, neighbour, reverse, whole, near,
                place, rest,
            )  # fmt: skip
        chunk = take(taken, CHUNK)


@shared
def link(taken, start, known, place, reverse):
    """Let each picked pair know its reverse, which the list knows as ``known`` [pairs of the list]."""
    n = start.size - 1
    chunk = take(taken, CHUNK)
    while chunk < n:
        for p in range(start[chunk], start[min(n, chunk + CHUNK)]):
            here = place[p]
            if here >= 0:
                there = place[known[p]]
                reverse[here] = there if there >= 0 else here
        chunk = take(taken, CHUNK)


@shared
def gather(taken, start, whole, block, reverse, pair_gradient, out):
    """Sum pair gradients to atoms: Σ over pairs that end at the atom minus Σ over those that begin.  out [atoms, 3]"""
    n = start.size - 1
    chunk = take(taken, CHUNK)
    while chunk < n:
        for i in range(chunk, min(n, chunk + CHUNK)):
            end = start[i]
            for s in range(whole.shape[1]):
                end += whole[i, s] + (-whole[i, s]) % block
            x = y = z = 0.0
            for p in range(start[i], end):
                q = reverse[p]
                x += pair_gradient[q, 0] - pair_gradient[p, 0]
                y += pair_gradient[q, 1] - pair_gradient[p, 1]
                z += pair_gradient[q, 2] - pair_gradient[p, 2]
            out[i, 0], out[i, 1], out[i, 2] = x, y, z
        chunk = take(taken, CHUNK)
