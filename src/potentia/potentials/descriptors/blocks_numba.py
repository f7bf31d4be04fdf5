"""Neighbours in SIMD blocks: what every kernel on CPU computes of a block.

Pairs come as `PairLayout` arranges them: by species of the neighbour, those within the angular cutoff first, filled up
to whole blocks of `LANES`. So the species weight is one number per block, and each quantity one SIMD vector. A centre
is worked on by one thread from start to end, its results go to places of their own: numbers do not depend on threads.

Arrays, all of one float width: `reach` holds the inverse cutoffs and `series` coefficients; `tables` has the rows
diagonal, rise, fall, slope of `AngularTables`; `q`, `cos`, `sin` hold one SIMD vector a row; `moments` [atoms, blocks,
2, triangle] the sums of cosine and sine harmonics over neighbours, unweighted and weighted by species.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentia.simd.compiling import in_turn
from potentia.simd.lanes import LANES, least, spread, store, where_below

__all__ = [
    "CHUNK",
    "PER_ANGULAR",
    "PER_RADIAL",
    "add_by_order",
    "blocks_of",
    "compiled",
    "cutoff",
    "polynomials",
    "series",
    "shared",
    "subtract_diagonal",
    "turns",
]

CHUNK = 8
"""Centres that a thread takes at a time."""
TERMS = 11
"""Terms of the power series of sin and cos on [0, π/2]; the next is below 3e-17."""
PER_RADIAL, PER_ANGULAR = 0, 1
"""Places of the inverse cutoffs in `reach`."""
FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
"""Rounding may differ from the order of the source; NaN and infinity keep their meaning."""

compiled = in_turn(njit(fastmath=FAST, cache=True, error_model="numpy"))
shared = in_turn(njit(fastmath=FAST, cache=True, error_model="numpy", nogil=True))
"""Called by several threads, which `take` their items."""


def series(dtype):
    """Return the coefficients of sin(πt/2)/t and cos(πt/2) in t², highest first.  [2 TERMS]"""
    half = np.pi / 2
    sin, cos = [half], [1.0]
    for k in range(1, TERMS):
        sin.append(-sin[-1] * half * half / ((2 * k) * (2 * k + 1)))
        cos.append(-cos[-1] * half * half / ((2 * k - 1) * (2 * k)))
    return np.array([*reversed(sin), *reversed(cos)], dtype=dtype)


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


@compiled
def subtract_diagonal(diagonal, weight, blocks, width, n_rad, n_ang, out):
    """Take the pairs of a neighbour with itself out of the angular features ``out`` of one centre."""
    for n in range(n_ang):
        out[n_rad + n] -= diagonal
        if blocks == 2:
            out[width + n_rad + n] -= weight * weight * diagonal


@compiled
def add_by_order(factor, one, other, blocks, width, n_rad, degree, legendre, power, out):
    """Add factor·Σ_l a_nl Σ_m one_lm other_lm to the angular features ``out`` of one centre."""
    n_ang = legendre.shape[0]
    for block in range(blocks):
        power[:] = 0.0
        for part in range(2):
            for k in range(degree.size):
                power[degree[k]] += one[block, part, k] * other[block, part, k]
        for n in range(n_ang):
            value = legendre[0, 0] - legendre[0, 0]
            for deg in range(n + 1):
                value += legendre[n, deg] * power[deg]
            out[block * width + n_rad + n] += factor * value
