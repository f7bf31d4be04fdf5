"""Steps of the Gray-Scott equations for one sample after another, each in scratch arrays that stay in the cache.

Every sample is worked on by itself and from start to end, without re-ordered sums: its bits depend neither on threads
nor on the other samples.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["advance"]


@njit(cache=True, nogil=True, error_model="numpy")
def advance(out, rates, stride):
    """Fill ``out`` [samples, steps + 1, 2, x, y] from its entry 0 on.

    All arrays are single precision. ``rates`` [samples, 4] holds Du, Dv, F and F + k; between two entries lie
    ``stride`` Euler steps of length 1.
    """
    samples, entries, _, nx, ny = out.shape
    u = np.empty((nx + 2, ny + 2), np.float32)
    v = np.empty((nx + 2, ny + 2), np.float32)
    next_u = np.empty((nx + 2, ny + 2), np.float32)
    next_v = np.empty((nx + 2, ny + 2), np.float32)
    for sample in range(samples):
        for x in range(nx):
            for y in range(ny):
                u[x + 1, y + 1] = out[sample, 0, 0, x, y]
                v[x + 1, y + 1] = out[sample, 0, 1, x, y]
        du, dv, feed, gone = rates[sample, 0], rates[sample, 1], rates[sample, 2], rates[sample, 3]
        for entry in range(1, entries):
            for _ in range(stride):
                wrap(u)
                wrap(v)
                euler(u, v, next_u, next_v, du, dv, feed, gone)
                u, next_u = next_u, u
                v, next_v = next_v, v
            for x in range(nx):
                for y in range(ny):
                    out[sample, entry, 0, x, y] = u[x + 1, y + 1]
                    out[sample, entry, 1, x, y] = v[x + 1, y + 1]


@njit(cache=True, nogil=True, error_model="numpy")
def wrap(field):
    """Copy the far side of a periodic field into the rim of width 1 around it; its corners are not read."""
    nx, ny = field.shape[0] - 2, field.shape[1] - 2
    for y in range(1, ny + 1):
        field[0, y] = field[nx, y]
        field[nx + 1, y] = field[1, y]
    for x in range(1, nx + 1):
        field[x, 0] = field[x, ny]
        field[x, ny + 1] = field[x, 1]


@njit(cache=True, nogil=True, error_model="numpy")
def euler(u, v, next_u, next_v, du, dv, feed, gone):
    """One explicit Euler step with the Laplacian of five points."""
    nx, ny = u.shape[0] - 2, u.shape[1] - 2
    one, four = np.float32(1), np.float32(4)
    for x in range(1, nx + 1):
        for y in range(1, ny + 1):
            here_u, here_v = u[x, y], v[x, y]
            lap_u = (u[x - 1, y] + u[x + 1, y]) + (u[x, y - 1] + u[x, y + 1]) - four * here_u
            lap_v = (v[x - 1, y] + v[x + 1, y]) + (v[x, y - 1] + v[x, y + 1]) - four * here_v
            reaction = here_u * here_v * here_v
            next_u[x, y] = here_u + (du * lap_u - reaction + feed * (one - here_u))
            next_v[x, y] = here_v + (dv * lap_v + reaction - gone * here_v)
