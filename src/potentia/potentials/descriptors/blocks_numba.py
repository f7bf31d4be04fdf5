"""Neighbours in SIMD blocks: how the kernels on CPU lay them out, and what each of them computes of a block.

The neighbours of a centre are put in groups of one species, those within the angular cutoff first, and padded to
whole blocks of `LANES`: the species weight is then one number per block and each quantity one SIMD vector. A centre is
worked on by one thread from start to end and its results go to places of their own: numbers do not depend on threads.

Arrays, all of one float width: `reach` and `series` hold constants of the descriptor; `tables` has the rows diagonal,
rise, fall, slope of `AngularTables`; `q`, `cos`, `sin` hold one SIMD vector a row; `moments` [atoms, blocks, 2,
triangle] the sums of cosine and sine harmonics over neighbours, unweighted and weighted by species; `room` is the most
that the neighbours of a centre fill, padding included.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentia.potentials.descriptors.simd import LANES, least, load, spread, square_root, store, where_below

__all__ = [
    "CHUNK",
    "PER_ANGULAR",
    "PER_RADIAL",
    "blocks_of",
    "compiled",
    "cutoff",
    "group",
    "polynomials",
    "reach_of",
    "scratch",
    "series",
    "threaded",
    "turns",
]

CHUNK = 8
"""Centres a thread takes at a time; scratch arrays are made once per chunk."""
TERMS = 11
"""Terms of the power series of sin and cos on [0, π/2]; the next is below 3e-17."""
LOW, HIGH, ANGULAR, PAD, PER_RADIAL, PER_ANGULAR = range(6)
"""Places in `reach_of`."""
FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
"""Rounding may differ from the order of the source; NaN and infinity keep their meaning."""

compiled = njit(fastmath=FAST, cache=True, error_model="numpy")
threaded = njit(fastmath=FAST, cache=True, error_model="numpy", parallel=True)


def series(dtype):
    """Return the coefficients of sin(πt/2)/t and cos(πt/2) in t², highest first.  [2 TERMS]"""
    half = np.pi / 2
    sin, cos = [half], [1.0]
    for k in range(1, TERMS):
        sin.append(-sin[-1] * half * half / ((2 * k) * (2 * k + 1)))
        cos.append(-cos[-1] * half * half / ((2 * k - 1) * (2 * k)))
    return np.array([*reversed(sin), *reversed(cos)], dtype=dtype)


def reach_of(min_cutoff, rad_cutoff, ang_cutoff, dtype):
    """Return the squared cutoffs (Å²), the distance of padding (Å) and the inverse cutoffs (1/Å).  [6]"""
    high = max(rad_cutoff, ang_cutoff)
    return np.array([min_cutoff**2, high**2, ang_cutoff**2, 2 * high, 1 / rad_cutoff, 1 / ang_cutoff], dtype=dtype)


@compiled
def scratch(room, n_species, real):
    """Arrays for one centre: pair, spots, first, whole, near, unit vectors and distances, as `group` fills them."""
    pair, spots = np.empty(room, np.int64), np.empty(room, np.int64)
    first, whole, near = np.empty(n_species + 1, np.int64), np.empty(n_species, np.int64), np.empty(n_species, np.int64)
    ux, uy, uz, dist = np.empty(room, real), np.empty(room, real), np.empty(room, real), np.empty(room, real)
    return pair, spots, first, whole, near, ux, uy, uz, dist


@compiled
def group(centre, start, neighbour, vector, species, reach, pair, spots, ux, uy, uz, dist, first, whole, near):
    """Fill pair (-1: padding), unit vectors and distances by group; first counts blocks, whole and near count pairs."""
    whole[:] = 0
    near[:] = 0
    for p in range(start[centre], start[centre + 1]):
        whole[species[neighbour[p]]] += 1
    blocks = 0
    for s in range(whole.size):
        first[s] = blocks
        blocks += (whole[s] + LANES - 1) // LANES
        whole[s] = 0
    first[whole.size] = blocks
    pair[: blocks * LANES] = -1
    low, high, angular = reach[LOW], reach[HIGH], reach[ANGULAR]
    for p in range(start[centre], start[centre + 1]):
        d2 = vector[p, 0] * vector[p, 0] + vector[p, 1] * vector[p, 1] + vector[p, 2] * vector[p, 2]
        if d2 > low and d2 < high:
            s = species[neighbour[p]]
            if d2 < angular:
                pair[first[s] * LANES + near[s]] = p
                near[s] += 1
            else:
                spots[first[s] * LANES + whole[s]] = p
                whole[s] += 1
    for s in range(whole.size):
        begin = first[s] * LANES
        for k in range(whole[s]):
            pair[begin + near[s] + k] = spots[begin + k]
        whole[s] += near[s]
    for k in range(blocks * LANES):
        p = pair[k]
        if p >= 0:
            ux[k], uy[k], uz[k] = vector[p, 0], vector[p, 1], vector[p, 2]
        else:
            ux[k], uy[k], uz[k] = 0.0, 0.0, reach[PAD]
    for b in range(blocks):
        x, y, z = load(ux, b), load(uy, b), load(uz, b)
        d = square_root(x * x + y * y + z * z)
        store(ux, b, x / d)
        store(uy, b, y / d)
        store(uz, b, z / d)
        store(dist, b, d)


@compiled
def blocks_of(count):
    """Blocks that ``count`` neighbours fill."""
    return (count + LANES - 1) // LANES


@compiled
def cutoff(d, inverse, coefficients, one):
    """fc = cos²(πd/2Rc) and dfc/dd, exactly 0 outside."""
    t = least(d * inverse, one)
    y = t * t
    s = spread(coefficients[0])
    c = spread(coefficients[TERMS])
    for k in range(1, TERMS):
        s = s * y + coefficients[k]
        c = c * y + coefficients[TERMS + k]
    c = where_below(t, one, c)
    return c * c, s * t * c * (-inverse * (coefficients[TERMS - 1] + coefficients[TERMS - 1]))


@compiled
def turns(x, y, order, one, cos, sin):
    """Rows m of cos and sin: real and imaginary part of (x + iy)^m."""
    c, s = spread(one), spread(one - one)
    store(cos, 0, c)
    store(sin, 0, s)
    for m in range(1, order + 1):
        c, s = x * c - y * s, x * s + y * c
        store(cos, m, c)
        store(sin, m, s)


@compiled
def polynomials(z, order, first, tables, q):
    """Rows of q: the triangle of Q_lm(z)."""
    for m in range(order + 1):
        older, newer = spread(tables[0, m]) * (tables[0, m] - tables[0, m]), spread(tables[0, m])
        store(q, first[m], newer)
        for t in range(first[m] + 1, first[m + 1]):
            older, newer = newer, newer * z * tables[1, t] - older * tables[2, t]
            store(q, t, newer)
