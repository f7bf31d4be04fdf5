"""The change of the features when atoms and cell move: what carries a loss on forces back to the networks."""

from __future__ import annotations

import numpy as np

from potentia.potentials.descriptors.blocks_numba import (
    CHUNK,
    PER_ANGULAR,
    PER_RADIAL,
    add_by_order,
    blocks_of,
    compiled,
    cutoff,
    polynomials,
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

__all__ = ["jvp"]


@shared
def jvp(
    taken, centres, start, whole, near, vector, spin, n_rad, reach, coefficients, first, degree, legendre,
    tables, neighbour, shift, strain, owner, moments, out,
):  # fmt: skip
    """Fill out [centres, features]: the change of the features along shift [centres, 3] and strain [owners, 3, 3]."""
    real = vector.dtype
    n_species, n_ang, triangle = spin.size, legendre.shape[0], degree.size
    blocks, width = min(n_species, 2), n_rad + n_ang
    one = reach.dtype.type(1)
    moves = np.empty((LANES, 3), real)
    cos, sin = np.empty(n_ang * LANES, real), np.empty(n_ang * LANES, real)
    q = np.empty((triangle + 1) * LANES, real)
    radial, waves = np.empty(2 * n_rad * LANES, real), np.empty(2 * triangle * LANES, real)
    change = np.empty((2, 2, triangle), real)
    power, swept = np.empty(n_ang, real), np.empty(n_rad, real)
    zero = spread(one - one)
    begin = take(taken, CHUNK)
    while begin < centres.size:
        for row in range(begin, min(centres.size, begin + CHUNK)):
            i = centres[row]
            head = start[i] // LANES
            e = owner[row]
            out[row, :] = 0.0
            change[:, :, :] = 0.0
            for s in range(n_species):
                weight = spin[s]
                radial[:] = 0.0
                waves[:] = 0.0
                squares = zero
                tail = head + blocks_of(whole[i, s])
                last_near = head + blocks_of(near[i, s])
                for b in range(head, tail):
                    vx, vy, vz = load_vectors(vector, b)
                    d = square_root(vx * vx + vy * vy + vz * vz)
                    x, y, z = vx / d, vy / d, vz / d
                    for k in range(LANES):
                        other = row + neighbour[b * LANES + k] - i
                        moves[k, 0] = shift[other, 0] - shift[row, 0]
                        moves[k, 1] = shift[other, 1] - shift[row, 1]
                        moves[k, 2] = shift[other, 2] - shift[row, 2]
                    mx, my, mz = load_vectors(moves, 0)
                    mx = mx + vx * strain[e, 0, 0] + vy * strain[e, 0, 1] + vz * strain[e, 0, 2]
                    my = my + vx * strain[e, 1, 0] + vy * strain[e, 1, 1] + vz * strain[e, 1, 2]
                    mz = mz + vx * strain[e, 2, 0] + vy * strain[e, 2, 1] + vz * strain[e, 2, 2]
                    along = mx * x + my * y + mz * z
                    f, df = cutoff(d, reach[PER_RADIAL], coefficients, one)
                    t = d * (reach[PER_RADIAL] + reach[PER_RADIAL]) - one
                    older, old = df * along, f * along * (reach[PER_RADIAL] + reach[PER_RADIAL])
                    newer, new = t * older, t * old
                    t = t + t
                    add_to(radial, 0, older)
                    add_to(radial, n_rad, old)
                    for n in range(1, n_rad):
                        add_to(radial, n, newer)
                        add_to(radial, n_rad + n, new)
                        older, newer = newer, t * newer - older
                        old, new = new, t * new - old
                    if b >= last_near:
                        continue
                    f, df = cutoff(d, reach[PER_ANGULAR], coefficients, one)
                    tangent = f / d
                    mx, my, mz = tangent * (mx - along * x), tangent * (my - along * y), tangent * (mz - along * z)
                    df = df * along
                    squares = squares + f * df
                    turns(x, y, n_ang - 1, one, cos, sin)
                    polynomials(z, n_ang - 1, first, tables, q)
                    _add_harmonic_change(df, mx, my, mz, n_ang, one, first, tables, cos, sin, q, waves, triangle)
                head = tail
                _radial_change(radial, n_rad, swept)
                for n in range(n_rad):
                    out[row, n] += swept[n]
                    if blocks == 2:
                        out[row, width + n] += weight * swept[n]
                subtract_diagonal(total(squares), weight, blocks, width, n_rad, n_ang, out[row])
                for part in range(2):
                    for k in range(triangle):
                        value = total(load(waves, part * triangle + k))
                        change[0, part, k] += value
                        change[1, part, k] += weight * value
            add_by_order(one, moments[i], change, blocks, width, n_rad, degree, legendre, power, out[row])
        begin = take(taken, CHUNK)


@compiled
def _add_harmonic_change(df, mx, my, mz, n_ang, one, first, tables, cos, sin, q, waves, triangle):
    """Add to waves the change of fc·harmonics: fc changes by df, the unit vector turns by (mx, my, mz)/fc."""
    m_real = one - one
    for m in range(n_ang):
        c, s = load(cos, m), load(sin, m)
        here_c, here_s, up_c, up_s = df * c, df * s, mz * c, mz * s
        if m > 0:
            c, s = load(cos, m - 1) * m_real, load(sin, m - 1) * m_real
            here_c = here_c + mx * c - my * s
            here_s = here_s + mx * s + my * c
        below = first[m + 1] - first[m] - 1
        p = load(q, first[m])
        add_to(waves, first[m], p * here_c)
        add_to(waves, triangle + first[m], p * here_s)
        for k in range(first[m] + 1, first[m + 1]):
            p, dp = load(q, k), load(q, k + below) * tables[3, k]
            add_to(waves, k, p * here_c + dp * up_c)
            add_to(waves, triangle + k, p * here_s + dp * up_s)
        m_real += one


@compiled
def _radial_change(radial, n_rad, change):
    """Σ fc' T_n δr + Σ fc T_n' δr, with T_n' = 2n (T_{n-1} + T_{n-3} + …) and T_0 taken once.  change [n_rad]"""
    alternate = 0.0  # T_{n-1} + T_{n-3} + …
    before = alternate
    factor = alternate
    for n in range(n_rad):
        value = total(load(radial, n)) + factor * alternate
        change[n] = value
        swept = total(load(radial, n_rad + n))
        alternate, before = before + (swept if n > 0 else 0.5 * swept), alternate
        factor += 2.0
