"""The derivative of Σ cotangent·features by positions and strain: forces and virial."""

from __future__ import annotations

import numpy as np

from potentia.potentials.descriptors.blocks_numba import (
    CHUNK,
    PER_ANGULAR,
    PER_RADIAL,
    blocks_of,
    compiled,
    cutoff,
    polynomials,
    shared,
    turns,
)
from potentia.simd.lanes import (
    LANES,
    load,
    load_vectors,
    spread,
    square_root,
    store_vectors,
    total,
)
from potentia.simd.sharing import take

__all__ = ["gather_gradient", "scatter_gradient", "vjp"]

MANY = 64
"""Centres that a thread takes at a time where there is little to do for each."""


@shared
def vjp(
    taken, centres, start, whole, near, vector, spin, n_rad, reach, coefficients, first, degree, legendre,
    tables, cotangent, moments, rows, pair_gradient, virial,
):  # fmt: skip
    """Fill pair_gradient [pairs of the centres, 3] and virial [centres, 3, 3] from cotangent [centres, features]."""
    real = vector.dtype
    n_species, n_ang, triangle = spin.size, legendre.shape[0], degree.size
    blocks, width = min(n_species, 2), n_rad + n_ang
    one = reach.dtype.type(1)
    cos, sin = np.empty(n_ang * LANES, real), np.empty(n_ang * LANES, real)
    q = np.empty((triangle + 1) * LANES, real)
    rad, slope = np.empty(n_rad, real), np.empty(n_rad + 2, real)
    by_degree, wave = np.empty((2, n_ang), real), np.empty((2, triangle), real)
    zero = spread(one - one)
    begin = take(taken, CHUNK)
    while begin < centres.size:
        for row in range(begin, min(centres.size, begin + CHUNK)):
            i = centres[row]
            head = start[i] // LANES
            shift = rows[row] // LANES - head
            _angular_cotangent(cotangent[row], blocks, width, n_rad, legendre, by_degree)
            xx, xy, xz, yx, yy, yz, zx, zy, zz = zero, zero, zero, zero, zero, zero, zero, zero, zero
            for s in range(n_species):
                weight = spin[s]
                for n in range(n_rad):
                    rad[n] = cotangent[row, n]
                    if blocks == 2:
                        rad[n] += weight * cotangent[row, width + n]
                _derivative_of_sum(rad, reach[PER_RADIAL], slope)
                self_weight = one - one
                for n in range(n_ang):
                    self_weight += cotangent[row, n_rad + n]
                    if blocks == 2:
                        self_weight += weight * weight * cotangent[row, width + n_rad + n]
                for part in range(2):
                    for k in range(triangle):
                        wave[part, k] = by_degree[0, degree[k]] * moments[i, 0, part, k]
                        if blocks == 2:
                            wave[part, k] += weight * by_degree[1, degree[k]] * moments[i, 1, part, k]
                tail = head + blocks_of(whole[i, s])
                last_near = head + blocks_of(near[i, s])
                for b in range(head, tail):
                    vx, vy, vz = load_vectors(vector, b)
                    d = square_root(vx * vx + vy * vy + vz * vz)
                    x, y, z = vx / d, vy / d, vz / d
                    f, df = cutoff(d, reach[PER_RADIAL], coefficients, one)
                    t = d * (reach[PER_RADIAL] + reach[PER_RADIAL]) - one
                    older, newer = zero + one, t
                    t = t + t
                    value, rate = zero + rad[0], zero + slope[0]
                    for n in range(1, n_rad):
                        value = value + newer * rad[n]
                        rate = rate + newer * slope[n]
                        older, newer = newer, t * newer - older
                    along = df * value + f * rate
                    gx, gy, gz = along * x, along * y, along * z
                    if b < last_near:
                        f, df = cutoff(d, reach[PER_ANGULAR], coefficients, one)
                        value, wx, wy, wz = _wave(x, y, z, n_ang, one, first, tables, wave, cos, sin, q)
                        tangent = f / d
                        along = df * (value - f * self_weight) - tangent * (x * wx + y * wy + z * wz)
                        gx = gx + along * x + tangent * wx
                        gy = gy + along * y + tangent * wy
                        gz = gz + along * z + tangent * wz
                    store_vectors(pair_gradient, b + shift, gx, gy, gz)
                    xx, xy, xz = xx + gx * vx, xy + gx * vy, xz + gx * vz
                    yx, yy, yz = yx + gy * vx, yy + gy * vy, yz + gy * vz
                    zx, zy, zz = zx + gz * vx, zy + gz * vy, zz + gz * vz
                head = tail
            virial[row, 0, 0], virial[row, 0, 1], virial[row, 0, 2] = total(xx), total(xy), total(xz)
            virial[row, 1, 0], virial[row, 1, 1], virial[row, 1, 2] = total(yx), total(yy), total(yz)
            virial[row, 2, 0], virial[row, 2, 1], virial[row, 2, 2] = total(zx), total(zy), total(zz)
        begin = take(taken, CHUNK)


@compiled
def _angular_cotangent(cotangent, blocks, width, n_rad, legendre, by_degree):
    """Cotangent of the angular features by degree of the harmonics.  by_degree [blocks, ang_order + 1]"""
    n_ang = legendre.shape[0]
    for block in range(blocks):
        for deg in range(n_ang):
            value = legendre[0, 0] - legendre[0, 0]
            for n in range(deg, n_ang):
                value += cotangent[block * width + n_rad + n] * legendre[n, deg]
            by_degree[block, deg] = value


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
def _wave(x, y, z, n_ang, one, first, tables, wave, cos, sin, q):
    """Σ wave·harmonics at unit vectors, and its gradient by (x, y, z) before projection on the sphere."""
    turns(x, y, n_ang - 1, one, cos, sin)
    polynomials(z, n_ang - 1, first, tables, q)
    zero = spread(one - one)
    value, gx, gy, gz = zero, zero, zero, zero
    m_real = one - one
    for m in range(n_ang):
        below = first[m + 1] - first[m] - 1
        p = load(q, first[m])
        even, odd = p * wave[0, first[m]], p * wave[1, first[m]]
        even_z, odd_z = zero, zero
        for k in range(first[m] + 1, first[m + 1]):
            p, dp = load(q, k), load(q, k + below) * tables[3, k]
            even = even + p * wave[0, k]
            odd = odd + p * wave[1, k]
            even_z = even_z + dp * wave[0, k]
            odd_z = odd_z + dp * wave[1, k]
        c, s = load(cos, m), load(sin, m)
        value = value + even * c + odd * s
        gz = gz + even_z * c + odd_z * s
        if m > 0:
            c, s = load(cos, m - 1) * m_real, load(sin, m - 1) * m_real
            gx = gx + even * c + odd * s
            gy = gy + odd * c - even * s
        m_real += one
    return value, gx, gy, gz


@shared
def scatter_gradient(taken, first, centres, start, neighbour, rows, pair_gradient, out):
    """Sum pair gradients to centres, each structure by one thread: the fast way for small ones.  out [centres, 3]"""
    s = take(taken, 1)
    while s < first.size - 1:
        out[first[s] : first[s + 1], :] = 0.0
        for row in range(first[s], first[s + 1]):
            i = centres[row]
            shift = rows[row] - start[i]
            x = y = z = pair_gradient.dtype.type(0)
            for p in range(start[i], start[i + 1]):
                gx, gy, gz = pair_gradient[p + shift, 0], pair_gradient[p + shift, 1], pair_gradient[p + shift, 2]
                other = row + neighbour[p] - i
                out[other, 0] += gx
                out[other, 1] += gy
                out[other, 2] += gz
                x += gx
                y += gy
                z += gz
            out[row, 0] -= x
            out[row, 1] -= y
            out[row, 2] -= z
        s = take(taken, 1)


@shared
def gather_gradient(taken, centres, start, reverse, rows, pair_gradient, out):
    """Sum pair gradients to centres, each centre by one thread: the way for large structures.  out [centres, 3]

    The pairs of a structure lie together, here as in the geometry, so one shift leads from one place to the other.
    """
    begin = take(taken, MANY)
    while begin < centres.size:
        for row in range(begin, min(centres.size, begin + MANY)):
            i = centres[row]
            shift = rows[row] - start[i]
            x = y = z = pair_gradient.dtype.type(0)
            for p in range(start[i], start[i + 1]):
                own, other = p + shift, reverse[p] + shift
                x += pair_gradient[other, 0] - pair_gradient[own, 0]
                y += pair_gradient[other, 1] - pair_gradient[own, 1]
                z += pair_gradient[other, 2] - pair_gradient[own, 2]
            out[row, 0], out[row, 1], out[row, 2] = x, y, z
        begin = take(taken, MANY)
