"""The features of many centres, and the sums over neighbours (moments) that the derivatives need again."""

from __future__ import annotations

import numpy as np

from potentia.potentials.descriptors.blocks_numba import (
    CHUNK,
    PER_ANGULAR,
    PER_RADIAL,
    add_by_order,
    blocks_of,
    cutoff,
    shared,
    subtract_diagonal,
    turns,
)
from potentia.simd.lanes import (
    LANES,
    add_to,
    load,
    load_vectors,
    spread,
    square_root,
    total,
)
from potentia.simd.sharing import take

__all__ = ["features"]


@shared
def features(
    taken, centres, start, whole, near, vector, spin, n_rad, reach, coefficients, first, degree, legendre,
    tables, out, moments,
):  # fmt: skip
    """Fill out [centres, features] and moments [centres, blocks, 2, triangle]."""
    real = vector.dtype
    n_species, n_ang, triangle = spin.size, legendre.shape[0], degree.size
    blocks, width = min(n_species, 2), n_rad + n_ang
    one = reach.dtype.type(1)
    half = one / (one + one)
    cos, sin = np.empty(n_ang * LANES, real), np.empty(n_ang * LANES, real)
    radial, waves = np.empty(n_rad * LANES, real), np.empty(2 * triangle * LANES, real)
    power = np.empty(n_ang, real)
    zero = spread(one - one)
    begin = take(taken, CHUNK)
    while begin < centres.size:
        for row in range(begin, min(centres.size, begin + CHUNK)):
            i = centres[row]
            head = start[i] // LANES
            out[row, :] = 0.0
            moments[row, :, :, :] = 0.0
            for s in range(n_species):
                weight = spin[s]
                radial[:] = 0.0
                waves[:] = 0.0
                squares = zero
                tail = head + blocks_of(whole[i, s])
                last_near = head + blocks_of(near[i, s])
                for b in range(head, tail):
                    x, y, z = load_vectors(vector, b)
                    d = square_root(x * x + y * y + z * z)
                    older, _ = cutoff(d, reach[PER_RADIAL], coefficients, one)
                    t = d * (reach[PER_RADIAL] + reach[PER_RADIAL]) - one
                    newer = t * older
                    t = t + t
                    add_to(radial, 0, older)
                    for n in range(1, n_rad):
                        add_to(radial, n, newer)
                        older, newer = newer, t * newer - older
                    if b >= last_near:
                        continue
                    f, _ = cutoff(d, reach[PER_ANGULAR], coefficients, one)
                    z = z / d
                    turns(x / d, y / d, n_ang - 1, one, cos, sin)
                    squares = squares + f * f
                    for m in range(n_ang):
                        c, i_ = f * load(cos, m), f * load(sin, m)
                        older, newer = zero, spread(tables[0, m])
                        add_to(waves, first[m], newer * c)
                        add_to(waves, triangle + first[m], newer * i_)
                        for k in range(first[m] + 1, first[m + 1]):
                            older, newer = newer, newer * z * tables[1, k] - older * tables[2, k]
                            add_to(waves, k, newer * c)
                            add_to(waves, triangle + k, newer * i_)
                head = tail
                for n in range(n_rad):
                    value = total(load(radial, n))
                    out[row, n] += value
                    if blocks == 2:
                        out[row, width + n] += weight * value
                subtract_diagonal(half * total(squares), weight, blocks, width, n_rad, n_ang, out[row])
                for part in range(2):
                    for k in range(triangle):
                        value = total(load(waves, part * triangle + k))
                        moments[row, 0, part, k] += value
                        if blocks == 2:
                            moments[row, 1, part, k] += weight * value
            add_by_order(half, moments[row], moments[row], blocks, width, n_rad, degree, legendre, power, out[row])
        begin = take(taken, CHUNK)
