"""Tables that turn Chebyshev polynomials of an angle into sums over neighbours, one per order.

The angular block sums T_n(cos θ_jik) over pairs of neighbours. With T_n = Σ_l a_nl P_l and the addition theorem
P_l(u·v) = Σ_m R_lm(u) R_lm(v) of the Racah-normalised real spherical harmonics, it needs one sum per (l, m) over
single neighbours and no triplets. On the unit sphere R_lm = Q_lm(z) Re (x+iy)^m for the cosine harmonics, Im for the
sine harmonics, with Q_lm a polynomial in z alone: no pole is singular and every derivative is a polynomial.

Harmonics are stored by m, and by l inside m, cosine and sine apart ("triangle": m = 0..order, l = m..order).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev, legendre
from numpy.typing import NDArray

__all__ = ["AngularTables", "angular_tables"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class AngularTables:
    """Constant tables of the angular expansion up to one order; T = (order+1)(order+2)/2 entries a triangle."""

    order: int
    """Highest Chebyshev order."""
    legendre: FloatArray
    """a_nl of T_n = Σ_l a_nl P_l.  [order+1, order+1]"""
    first: IntArray
    """Index in the triangle of (l = m, m), for m = 0..order+1.  [order+2]"""
    degree: IntArray
    """l of each entry of the triangle.  [T]"""
    diagonal: FloatArray
    """Q_mm.  [order+1]"""
    rise: FloatArray
    """Factor of z Q_{l-1,m} in the recurrence for Q_lm (0 on the diagonal).  [T]"""
    fall: FloatArray
    """Factor of Q_{l-2,m} in the recurrence for Q_lm.  [T]"""
    slope: FloatArray
    """Factor of Q_{l,m+1} in dQ_lm/dz.  [T]"""


def angular_tables(order: int) -> AngularTables:
    """Return the tables of the angular expansion for Chebyshev orders 0..``order``."""
    pairs = [(m, degree) for m in range(order + 1) for degree in range(m, order + 1)]
    first = np.cumsum([0] + [order + 1 - m for m in range(order + 1)])
    diagonal = np.ones(order + 1)
    for m in range(1, order + 1):
        diagonal[m] = diagonal[m - 1] * math.sqrt((2 * m - 1) / (2 * m)) * (math.sqrt(2.0) if m == 1 else 1.0)
    rise = [(2 * k - 1) / math.sqrt(k * k - m * m) if k > m else 0.0 for m, k in pairs]
    fall = [math.sqrt(((k - 1) ** 2 - m * m) / (k * k - m * m)) if k > m + 1 else 0.0 for m, k in pairs]
    slope = [math.sqrt((k - m) * (k + m + 1)) / (math.sqrt(2.0) if m == 0 else 1.0) for m, k in pairs]
    return AngularTables(
        order=order,
        legendre=_chebyshev_in_legendre(order),
        first=first.astype(np.int64),
        degree=np.array([k for _, k in pairs], dtype=np.int64),
        diagonal=diagonal,
        rise=np.array(rise),
        fall=np.array(fall),
        slope=np.array(slope),
    )


def _chebyshev_in_legendre(order: int) -> FloatArray:
    """Return a_nl of T_n = Σ_l a_nl P_l, by Gauss-Legendre quadrature (exact for polynomials).  [n, l]"""
    nodes, weights = legendre.leggauss(order + 1)
    t = chebyshev.chebvander(nodes, order)  # [nodes, n]
    p = legendre.legvander(nodes, order)  # [nodes, l]
    norm = (2 * np.arange(order + 1) + 1) / 2
    table = np.einsum("k,kn,kl->nl", weights, t, p) * norm
    parity = (np.arange(order + 1)[:, None] + np.arange(order + 1)[None, :]) % 2 == 0
    below = np.arange(order + 1)[:, None] >= np.arange(order + 1)[None, :]
    return np.where(parity & below, table, 0.0)
