"""The features of many centres, and the sums over neighbours (moments) that the derivatives need again."""

from __future__ import annotations

import numpy as np
from numba import prange

from potentia.potentials.descriptors.blocks_numba import (
    CHUNK,
    PER_ANGULAR,
    PER_RADIAL,
    blocks_of,
    compiled,
    cutoff,
    group,
    scratch,
    threaded,
    turns,
)
from potentia.potentials.descriptors.simd import LANES, add_to, load, spread, total

__all__ = ["features"]


@compiled
def _features_of_chunk(
    begin, end, centres, start, neighbour, vector, species, spin, n_rad, reach, coefficients, first, degree, legendre,
    tables, room, out, moments,
):  # fmt: skip
    real = vector.dtype
    n_species, n_ang, triangle = spin.size, legendre.shape[0], degree.size
    blocks, width = min(n_species, 2), n_rad + n_ang
    one = reach.dtype.type(1)
    half = one / (one + one)
    pair, spots, head, whole, near, ux, uy, uz, dist = scratch(room, n_species, real)
    cos, sin = np.empty(n_ang * LANES, real), np.empty(n_ang * LANES, real)
    radial, waves = np.empty(n_rad * LANES, real), np.empty(2 * triangle * LANES, real)
    power = np.empty(n_ang, real)
    zero = spread(one - one)
    for row in range(begin, end):
        i = centres[row]
        group(i, start, neighbour, vector, species, reach, pair, spots, ux, uy, uz, dist, head, whole, near)
        out[row, :] = 0.0
        moments[row, :, :, :] = 0.0
        for s in range(n_species):
            weight = spin[s]
            radial[:] = 0.0
            for b in range(head[s], head[s] + blocks_of(whole[s])):
                d = load(dist, b)
                older, _ = cutoff(d, reach[PER_RADIAL], coefficients, one)
                x = d * (reach[PER_RADIAL] + reach[PER_RADIAL]) - one
                newer = x * older
                x = x + x
                add_to(radial, 0, older)
                for n in range(1, n_rad):
                    add_to(radial, n, newer)
                    older, newer = newer, x * newer - older
            for n in range(n_rad):
                value = total(load(radial, n))
                out[row, n] += value
                if blocks == 2:
                    out[row, width + n] += weight * value
            waves[:] = 0.0
            squares = zero
            for b in range(head[s], head[s] + blocks_of(near[s])):
                f, _ = cutoff(load(dist, b), reach[PER_ANGULAR], coefficients, one)
                z = load(uz, b)
                turns(load(ux, b), load(uy, b), n_ang - 1, one, cos, sin)
                squares = squares + f * f
                for m in range(n_ang):
                    c, i_ = f * load(cos, m), f * load(sin, m)
                    older, newer = zero, spread(tables[0, m])
                    add_to(waves, first[m], newer * c)
                    add_to(waves, triangle + first[m], newer * i_)
                    for t in range(first[m] + 1, first[m + 1]):
                        older, newer = newer, newer * z * tables[1, t] - older * tables[2, t]
                        add_to(waves, t, newer * c)
                        add_to(waves, triangle + t, newer * i_)
            diagonal = half * total(squares)
            for n in range(n_ang):
                out[row, n_rad + n] -= diagonal
                if blocks == 2:
                    out[row, width + n_rad + n] -= weight * weight * diagonal
            for part in range(2):
                for t in range(triangle):
                    value = total(load(waves, part * triangle + t))
                    moments[row, 0, part, t] += value
                    if blocks == 2:
                        moments[row, 1, part, t] += weight * value
        for block in range(blocks):
            power[:] = 0.0
            for part in range(2):
                for t in range(triangle):
                    power[degree[t]] += moments[row, block, part, t] * moments[row, block, part, t]
            for n in range(n_ang):
                value = one - one
                for deg in range(n + 1):
                    value += legendre[n, deg] * power[deg]
                out[row, block * width + n_rad + n] += half * value


@threaded
def features(
    centres, start, neighbour, vector, species, spin, n_rad, reach, coefficients, first, degree, legendre, tables, room,
    out, moments,
):  # fmt: skip
    """Fill out [centres, features] and moments [centres, blocks, 2, triangle]."""
    n = centres.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        _features_of_chunk(
            chunk * CHUNK, min(n, (chunk + 1) * CHUNK), centres, start, neighbour, vector, species, spin, n_rad, reach,
            coefficients, first, degree, legendre, tables, room, out, moments,
        )  # fmt: skip
