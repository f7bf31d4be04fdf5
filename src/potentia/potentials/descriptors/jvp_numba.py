"""The change of the features when atoms and cell move: what carries a loss on forces back to the networks."""

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
    polynomials,
    scratch,
    threaded,
    turns,
)
from potentia.potentials.descriptors.simd import LANES, add_to, load, spread, store, total

__all__ = ["jvp"]


@compiled
def _moves(row, centre, count, pair, neighbour, vector, shift, strain, ux, uy, uz, dist, vx, vy, vz, along):
    """How each neighbour moves past the centre: along the bond (Å), and the turn of the unit vector."""
    for k in range(count * LANES):
        p = pair[k]
        vx[k], vy[k], vz[k] = 0.0, 0.0, 0.0
        if p >= 0:
            other = row + neighbour[p] - centre
            x, y, z = vector[p, 0], vector[p, 1], vector[p, 2]
            vx[k] = shift[other, 0] - shift[row, 0] + strain[0, 0] * x + strain[0, 1] * y + strain[0, 2] * z
            vy[k] = shift[other, 1] - shift[row, 1] + strain[1, 0] * x + strain[1, 1] * y + strain[1, 2] * z
            vz[k] = shift[other, 2] - shift[row, 2] + strain[2, 0] * x + strain[2, 1] * y + strain[2, 2] * z
    for b in range(count):
        x, y, z, d = load(ux, b), load(uy, b), load(uz, b), load(dist, b)
        mx, my, mz = load(vx, b), load(vy, b), load(vz, b)
        a = mx * x + my * y + mz * z
        store(along, b, a)
        store(vx, b, (mx - a * x) / d)
        store(vy, b, (my - a * y) / d)
        store(vz, b, (mz - a * z) / d)


@compiled
def _jvp_of_chunk(
    begin, end, centres, start, neighbour, vector, species, spin, n_rad, reach, coefficients, first, degree, legendre,
    tables, room, shift, strain, owner, moments, out,
):  # fmt: skip
    real = vector.dtype
    n_species, n_ang, triangle = spin.size, legendre.shape[0], degree.size
    blocks, width = min(n_species, 2), n_rad + n_ang
    one = reach.dtype.type(1)
    pair, spots, head, whole, near, ux, uy, uz, dist = scratch(room, n_species, real)
    vx, vy, vz, along = np.empty(room, real), np.empty(room, real), np.empty(room, real), np.empty(room, real)
    cos, sin = np.empty(n_ang * LANES, real), np.empty(n_ang * LANES, real)
    q = np.empty((triangle + 1) * LANES, real)
    radial, waves = np.empty(2 * n_rad * LANES, real), np.empty(2 * triangle * LANES, real)
    change = np.empty((2, 2, triangle), real)
    power, swept = np.empty(n_ang, real), np.empty(n_rad + 1, real)
    zero = spread(one - one)
    for row in range(begin, end):
        i = centres[row]
        group(i, start, neighbour, vector, species, reach, pair, spots, ux, uy, uz, dist, head, whole, near)
        _moves(
            row,
            i,
            head[n_species],
            pair,
            neighbour,
            vector,
            shift,
            strain[owner[row]],
            ux,
            uy,
            uz,
            dist,
            vx,
            vy,
            vz,
            along,
        )
        out[row, :] = 0.0
        change[:, :, :] = 0.0
        for s in range(n_species):
            weight = spin[s]
            radial[:] = 0.0
            for b in range(head[s], head[s] + blocks_of(whole[s])):
                d, a = load(dist, b), load(along, b)
                f, df = cutoff(d, reach[PER_RADIAL], coefficients, one)
                x = d * (reach[PER_RADIAL] + reach[PER_RADIAL]) - one
                older, old = df * a, f * a * (reach[PER_RADIAL] + reach[PER_RADIAL])
                newer, new = x * older, x * old
                x = x + x
                add_to(radial, 0, older)
                add_to(radial, n_rad, old)
                for n in range(1, n_rad):
                    add_to(radial, n, newer)
                    add_to(radial, n_rad + n, new)
                    older, newer = newer, x * newer - older
                    old, new = new, x * new - old
            _radial_change(radial, n_rad, swept)
            for n in range(n_rad):
                out[row, n] += swept[n]
                if blocks == 2:
                    out[row, width + n] += weight * swept[n]
            waves[:] = 0.0
            squares = zero
            for b in range(head[s], head[s] + blocks_of(near[s])):
                f, df = cutoff(load(dist, b), reach[PER_ANGULAR], coefficients, one)
                df = df * load(along, b)
                mx, my, mz = f * load(vx, b), f * load(vy, b), f * load(vz, b)
                turns(load(ux, b), load(uy, b), n_ang - 1, one, cos, sin)
                polynomials(load(uz, b), n_ang - 1, first, tables, q)
                squares = squares + f * df
                m_real = one - one
                for m in range(n_ang):
                    c, i_ = load(cos, m), load(sin, m)
                    here_c, here_s, up_c, up_s = df * c, df * i_, mz * c, mz * i_
                    if m > 0:
                        c, i_ = load(cos, m - 1) * m_real, load(sin, m - 1) * m_real
                        here_c = here_c + mx * c - my * i_
                        here_s = here_s + mx * i_ + my * c
                    below = first[m + 1] - first[m] - 1
                    p = load(q, first[m])
                    add_to(waves, first[m], p * here_c)
                    add_to(waves, triangle + first[m], p * here_s)
                    for t in range(first[m] + 1, first[m + 1]):
                        p, dp = load(q, t), load(q, t + below) * tables[3, t]
                        add_to(waves, t, p * here_c + dp * up_c)
                        add_to(waves, triangle + t, p * here_s + dp * up_s)
                    m_real += one
            diagonal = total(squares)
            for n in range(n_ang):
                out[row, n_rad + n] -= diagonal
                if blocks == 2:
                    out[row, width + n_rad + n] -= weight * weight * diagonal
            for part in range(2):
                for t in range(triangle):
                    value = total(load(waves, part * triangle + t))
                    change[0, part, t] += value
                    change[1, part, t] += weight * value
        for block in range(blocks):
            power[:] = 0.0
            for part in range(2):
                for t in range(triangle):
                    power[degree[t]] += moments[i, block, part, t] * change[block, part, t]
            for n in range(n_ang):
                value = one - one
                for deg in range(n + 1):
                    value += legendre[n, deg] * power[deg]
                out[row, block * width + n_rad + n] += value


@compiled
def _radial_change(radial, n_rad, change):
    """Σ fc' T_n δr + Σ fc T_n' δr, with T_n' = 2n (T_{n-1} + T_{n-3} + …) and T_0 taken once.  change [n_rad + 1]"""
    alternate = 0.0  # T_{n-1} + T_{n-3} + …
    before = alternate
    factor = alternate
    for n in range(n_rad):
        value = total(load(radial, n)) + factor * alternate
        change[n] = value
        swept = total(load(radial, n_rad + n))
        alternate, before = before + (swept if n > 0 else 0.5 * swept), alternate
        factor += 2.0


@threaded
def jvp(
    centres, start, neighbour, vector, species, spin, n_rad, reach, coefficients, first, degree, legendre, tables, room,
    shift, strain, owner, moments, out,
):  # fmt: skip
    """Fill out [centres, features]: the change of the features along shift [centres, 3] and strain [owners, 3, 3]."""
    n = centres.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        _jvp_of_chunk(
            chunk * CHUNK, min(n, (chunk + 1) * CHUNK), centres, start, neighbour, vector, species, spin, n_rad, reach,
            coefficients, first, degree, legendre, tables, room, shift, strain, owner, moments, out,
        )  # fmt: skip
