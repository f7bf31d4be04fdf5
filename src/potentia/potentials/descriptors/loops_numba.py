"""The loops of features, VJP and JVP on CPU: SIMD lanes over neighbours, threads over centres.

The mathematics is in `chebyshev.py` and `expansion.py`. The neighbours of a centre are put in groups of one species,
those within the angular cutoff first, and padded to whole blocks of `LANES`: the species weight is then one number per
block and each quantity one SIMD vector. A centre is worked on by one thread from start to end and its results go to
places of their own, so the numbers do not depend on the number of threads.

Arrays are named as in `blocks_numba.py`; `moments` [atoms, blocks, 2, triangle] holds the sums of cosine and sine
harmonics over neighbours, unweighted and weighted by species; `room` is the pairs of the fullest centre with padding.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from potentia.potentials.descriptors.blocks_numba import (
    PER_ANGULAR,
    PER_RADIAL,
    blocks_of,
    compiled,
    cutoff,
    group,
    polynomials,
    threaded,
    turns,
)
from potentia.potentials.descriptors.simd import LANES, add_to, load, spread, store, total

__all__ = ["features", "gather_gradient", "jvp", "vjp"]

CHUNK = 8
"""Centres a thread takes at a time; scratch arrays are made once per chunk."""


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
    spots, pair = np.empty(room, np.int64), np.empty(room, np.int64)
    head, whole, near = np.empty(n_species + 1, np.int64), np.empty(n_species, np.int64), np.empty(n_species, np.int64)
    ux, uy, uz, dist = np.empty(room, real), np.empty(room, real), np.empty(room, real), np.empty(room, real)
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


@compiled
def _vjp_of_chunk(
    begin, end, centres, start, neighbour, vector, species, spin, n_rad, reach, coefficients, first, degree, legendre,
    tables, room, cotangent, moments, rows, pair_gradient, virial,
):  # fmt: skip
    real = vector.dtype
    n_species, n_ang, triangle = spin.size, legendre.shape[0], degree.size
    blocks, width = min(n_species, 2), n_rad + n_ang
    one = reach.dtype.type(1)
    spots, pair = np.empty(room, np.int64), np.empty(room, np.int64)
    head, whole, near = np.empty(n_species + 1, np.int64), np.empty(n_species, np.int64), np.empty(n_species, np.int64)
    ux, uy, uz, dist = np.empty(room, real), np.empty(room, real), np.empty(room, real), np.empty(room, real)
    px, py, pz, along = np.empty(room, real), np.empty(room, real), np.empty(room, real), np.empty(room, real)
    cos, sin = np.empty(n_ang * LANES, real), np.empty(n_ang * LANES, real)
    q = np.empty((triangle + 1) * LANES, real)
    rad, slope = np.empty(n_rad, real), np.empty(n_rad + 2, real)
    by_degree, wave = np.empty((2, n_ang), real), np.empty((2, triangle), real)
    sum_virial = np.empty((3, 3), real)
    zero = spread(one - one)
    for row in range(begin, end):
        i = centres[row]
        group(i, start, neighbour, vector, species, reach, pair, spots, ux, uy, uz, dist, head, whole, near)
        shift = rows[row] - start[i]
        pair_gradient[rows[row] : shift + start[i + 1], :] = 0.0
        sum_virial[:, :] = 0.0
        for block in range(blocks):
            for deg in range(n_ang):
                value = one - one
                for n in range(deg, n_ang):
                    value += cotangent[row, block * width + n_rad + n] * legendre[n, deg]
                by_degree[block, deg] = value
        for s in range(n_species):
            weight = spin[s]
            for n in range(n_rad):
                rad[n] = cotangent[row, n]
                if blocks == 2:
                    rad[n] += weight * cotangent[row, width + n]
            _derivative_of_sum(rad, reach[PER_RADIAL], slope)
            for b in range(head[s], head[s] + blocks_of(whole[s])):
                d = load(dist, b)
                f, df = cutoff(d, reach[PER_RADIAL], coefficients, one)
                x = d * (reach[PER_RADIAL] + reach[PER_RADIAL]) - one
                older, newer = zero + one, x
                x = x + x
                value, rate = zero + rad[0], zero + slope[0]
                for n in range(1, n_rad):
                    value = value + newer * rad[n]
                    rate = rate + newer * slope[n]
                    older, newer = newer, x * newer - older
                store(along, b, df * value + f * rate)
                store(px, b, zero)
                store(py, b, zero)
                store(pz, b, zero)
            self_weight = one - one
            for n in range(n_ang):
                self_weight += cotangent[row, n_rad + n]
                if blocks == 2:
                    self_weight += weight * weight * cotangent[row, width + n_rad + n]
            for part in range(2):
                for t in range(triangle):
                    wave[part, t] = by_degree[0, degree[t]] * moments[i, 0, part, t]
                    if blocks == 2:
                        wave[part, t] += weight * by_degree[1, degree[t]] * moments[i, 1, part, t]
            for b in range(head[s], head[s] + blocks_of(near[s])):
                d = load(dist, b)
                f, df = cutoff(d, reach[PER_ANGULAR], coefficients, one)
                x, y, z = load(ux, b), load(uy, b), load(uz, b)
                turns(x, y, n_ang - 1, one, cos, sin)
                polynomials(z, n_ang - 1, first, tables, q)
                value, gx, gy, gz = zero, zero, zero, zero
                m_real = one - one
                for m in range(n_ang):
                    below = first[m + 1] - first[m] - 1
                    p = load(q, first[m])
                    even, odd = p * wave[0, first[m]], p * wave[1, first[m]]
                    even_z, odd_z = zero, zero
                    for t in range(first[m] + 1, first[m + 1]):
                        p, dp = load(q, t), load(q, t + below) * tables[3, t]
                        even = even + p * wave[0, t]
                        odd = odd + p * wave[1, t]
                        even_z = even_z + dp * wave[0, t]
                        odd_z = odd_z + dp * wave[1, t]
                    c, i_ = load(cos, m), load(sin, m)
                    value = value + even * c + odd * i_
                    gz = gz + even_z * c + odd_z * i_
                    if m > 0:
                        c, i_ = load(cos, m - 1) * m_real, load(sin, m - 1) * m_real
                        gx = gx + even * c + odd * i_
                        gy = gy + odd * c - even * i_
                    m_real += one
                tangent = f / d
                store(along, b, load(along, b) + df * (value - f * self_weight) - tangent * (x * gx + y * gy + z * gz))
                store(px, b, tangent * gx)
                store(py, b, tangent * gy)
                store(pz, b, tangent * gz)
            _collect(head[s], whole[s], ux, uy, uz, dist, px, py, pz, along, pair, shift, pair_gradient, sum_virial)
        virial[row, :, :] = sum_virial


@compiled
def _derivative_of_sum(coefficients, inverse, slope):
    """Chebyshev coefficients by r of Σ c_n T_n(2r/Rc - 1): slope, padded by two zeros."""
    n = coefficients.size
    slope[:] = 0.0
    factor = 4.0 * inverse * n
    for k in range(n - 1, 0, -1):
        factor -= 4.0 * inverse
        slope[k - 1] = slope[k + 1] + factor * coefficients[k]
    slope[0] *= 0.5


@compiled
def _collect(head, count, ux, uy, uz, dist, px, py, pz, along, pair, shift, pair_gradient, virial):
    """Write the gradients of a group to their pairs, and add them to the virial of the centre."""
    if count == 0:
        return
    xx, xy, xz = load(px, head) * 0.0, load(px, head) * 0.0, load(px, head) * 0.0
    yx, yy, yz, zx, zy, zz = xx, xx, xx, xx, xx, xx
    for b in range(head, head + blocks_of(count)):
        x, y, z, a, d = load(ux, b), load(uy, b), load(uz, b), load(along, b), load(dist, b)
        fx, fy, fz = load(px, b) + a * x, load(py, b) + a * y, load(pz, b) + a * z
        store(px, b, fx)
        store(py, b, fy)
        store(pz, b, fz)
        fx, fy, fz = fx * d, fy * d, fz * d
        xx, xy, xz = xx + fx * x, xy + fx * y, xz + fx * z
        yx, yy, yz = yx + fy * x, yy + fy * y, yz + fy * z
        zx, zy, zz = zx + fz * x, zy + fz * y, zz + fz * z
    for k in range(head * LANES, head * LANES + count):
        p = shift + pair[k]
        pair_gradient[p, 0], pair_gradient[p, 1], pair_gradient[p, 2] = px[k], py[k], pz[k]
    virial[0, 0] += total(xx)
    virial[0, 1] += total(xy)
    virial[0, 2] += total(xz)
    virial[1, 0] += total(yx)
    virial[1, 1] += total(yy)
    virial[1, 2] += total(yz)
    virial[2, 0] += total(zx)
    virial[2, 1] += total(zy)
    virial[2, 2] += total(zz)


@threaded
def vjp(
    centres, start, neighbour, vector, species, spin, n_rad, reach, coefficients, first, degree, legendre, tables, room,
    cotangent, moments, rows, pair_gradient, virial,
):  # fmt: skip
    """Fill pair_gradient [pairs of the centres, 3] and virial [centres, 3, 3] from cotangent [centres, features]."""
    n = centres.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        _vjp_of_chunk(
            chunk * CHUNK, min(n, (chunk + 1) * CHUNK), centres, start, neighbour, vector, species, spin, n_rad, reach,
            coefficients, first, degree, legendre, tables, room, cotangent, moments, rows, pair_gradient, virial,
        )  # fmt: skip


@threaded
def gather_gradient(centres, start, reverse, rows, pair_gradient, out):
    """Sum pair gradients to centres: a pair pulls its neighbour and pushes its centre.  out [centres, 3]

    The pairs of a structure lie together, here as in the geometry, so one shift leads from one place to the other.
    """
    for row in prange(centres.size):
        i = centres[row]
        shift = rows[row] - start[i]
        x = y = z = pair_gradient.dtype.type(0)
        for p in range(start[i], start[i + 1]):
            own, other = p + shift, reverse[p] + shift
            x += pair_gradient[other, 0] - pair_gradient[own, 0]
            y += pair_gradient[other, 1] - pair_gradient[own, 1]
            z += pair_gradient[other, 2] - pair_gradient[own, 2]
        out[row, 0], out[row, 1], out[row, 2] = x, y, z


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
    spots, pair = np.empty(room, np.int64), np.empty(room, np.int64)
    head, whole, near = np.empty(n_species + 1, np.int64), np.empty(n_species, np.int64), np.empty(n_species, np.int64)
    ux, uy, uz, dist = np.empty(room, real), np.empty(room, real), np.empty(room, real), np.empty(room, real)
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
    alternate = change[0] * 0.0  # T_{n-1} + T_{n-3} + …
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
