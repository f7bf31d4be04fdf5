"""The derivative of Σ cotangent·features by positions and strain: forces and virial."""

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
from potentia.potentials.descriptors.simd import LANES, load, spread, store, total

__all__ = ["gather_gradient", "vjp"]


@compiled
def _vjp_of_chunk(
    begin, end, centres, start, neighbour, vector, species, spin, n_rad, reach, coefficients, first, degree, legendre,
    tables, room, cotangent, moments, rows, pair_gradient, virial,
):  # fmt: skip
    real = vector.dtype
    n_species, n_ang, triangle = spin.size, legendre.shape[0], degree.size
    blocks, width = min(n_species, 2), n_rad + n_ang
    one = reach.dtype.type(1)
    pair, spots, head, whole, near, ux, uy, uz, dist = scratch(room, n_species, real)
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
