"""Sine, cosine, tangent and their inverses of SIMD vectors, in the arithmetic of LLVM.

Multiples of π/2 are taken off in three parts with fused multiplication (W. J. Cody and W. Waite, Software Manual for
the Elementary Functions, 1980); then come the polynomials of fdlibm (64 bits) or of Cephes (32 bits, and both arcus
tangents; S. L. Moshier, netlib.org/cephes). Angles so large that a number no longer tells them apart give NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from potentia.simd.arithmetic import Arithmetic

__all__ = ["atan2_of", "atan_of", "cosine_of", "reduced", "sine_of", "tangent_of"]


class _Digits(NamedTuple):
    """Constants of one float width; polynomials with the highest power first."""

    quarter: tuple[float, float, float]
    """π/2 in three parts."""
    most: float
    """Larger angles give NaN (rad)."""
    sine: tuple[float, ...]
    """sin r = r + r³ sine(r²)."""
    cosine: tuple[float, ...]
    """cos r = 1 − r²/2 + r⁴ cosine(r²)."""
    above: tuple[float, ...]
    """atan t = t + t³ above(t²)/below(t²)."""
    below: tuple[float, ...]
    near: float
    """Up to here atan is taken as it stands, from there to 1 after a turn by π/4."""


DIGITS = {
    64: _Digits(
        quarter=(1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
        most=2.0**40,
        sine=(
            1.58969099521155010221e-10,
            -2.50507602534068634195e-08,
            2.75573137070700676789e-06,
            -1.98412698298579493134e-04,
            8.33333333332248946124e-03,
            -1.66666666666666324348e-01,
        ),
        cosine=(
            -1.13596475577881948265e-11,
            2.08757232129817482790e-09,
            -2.75573143513906633035e-07,
            2.48015872894767294178e-05,
            -1.38888888888741095749e-03,
            4.16666666666666019037e-02,
        ),
        above=(
            -8.750608600031904122785e-1,
            -1.615753718733365076637e1,
            -7.500855792314704667340e1,
            -1.228866684490136173410e2,
            -6.485021904942025371773e1,
        ),
        below=(
            1.0,
            2.485846490142306297962e1,
            1.650270098316988542046e2,
            4.328810604912902668951e2,
            4.853903996359136964868e2,
            1.945506571482613964425e2,
        ),
        near=0.66,
    ),
    32: _Digits(
        quarter=(1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
        most=2.0**20,
        sine=(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1),
        cosine=(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2),
        above=(8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1),
        below=(1.0,),
        near=math.tan(math.pi / 8),
    ),
}


class Reduced(NamedTuple):
    """An angle less the nearest multiple of π/2."""

    sine: Any
    """Of what is left."""
    cosine: Any
    """Of what is left."""
    odd: Any
    """Whether an odd multiple was taken off: sine and cosine change places."""
    second: Any
    """Whether the multiple is 2 or 3 of 4."""


def reduced(m: Arithmetic, x: Any) -> Reduced:
    """Return what sine, cosine and tangent of an angle are made of."""
    digits = DIGITS[m.bits]
    allowed = m.less(m.call("fabs", x), m.constant(digits.most))
    x = m.select(allowed, x, m.constant(math.nan))
    n = m.call("rint", m.times(x, m.constant(2 / math.pi)))
    turned, r = m.negative(n), x
    for part in digits.quarter:
        r = m.call("fma", turned, m.constant(part), r)
    square = m.times(r, r)
    sine = m.add(r, m.times(m.times(r, square), m.series(square, digits.sine)))
    tail = m.times(m.times(square, square), m.series(square, digits.cosine))
    cosine = m.add(m.subtract(m.constant(1.0), m.times(m.constant(0.5), square)), tail)
    pairs = m.call("floor", m.times(n, m.constant(0.5)))
    odd = m.builder.fcmp_ordered("!=", m.add(pairs, pairs), n)
    turns = m.call("floor", m.times(n, m.constant(0.25)))
    rest = m.subtract(n, m.times(m.constant(4.0), turns))
    return Reduced(sine, cosine, odd, m.less(m.constant(1.5), rest))


def sine_of(m: Arithmetic, angle: Reduced) -> Any:
    """Return the sine of a reduced angle."""
    value = m.select(angle.odd, angle.cosine, angle.sine)
    return m.select(angle.second, m.negative(value), value)


def cosine_of(m: Arithmetic, angle: Reduced) -> Any:
    """Return the cosine of a reduced angle."""
    value = m.select(angle.odd, angle.sine, angle.cosine)
    turned = m.builder.xor(angle.odd, angle.second)
    return m.select(turned, m.negative(value), value)


def tangent_of(m: Arithmetic, angle: Reduced) -> Any:
    """Return the tangent of a reduced angle."""
    above = m.select(angle.odd, m.negative(angle.cosine), angle.sine)
    return m.over(above, m.select(angle.odd, angle.sine, angle.cosine))


def _atan_of_ratio(m: Arithmetic, small: Any, large: Any) -> Any:
    """Return atan(small/large) of 0 ≤ small ≤ large."""
    digits = DIGITS[m.bits]
    far = m.less(m.times(m.constant(digits.near), large), small)
    above = m.select(far, m.subtract(small, large), small)
    t = m.over(above, m.select(far, m.add(small, large), large))
    square = m.times(t, t)
    cubic = m.times(t, m.times(square, m.series(square, digits.above)))
    cubic = m.over(cubic, m.series(square, digits.below)) if len(digits.below) > 1 else cubic
    turn = m.select(far, m.constant(math.pi / 4), m.constant(0.0))
    rest = m.select(far, m.constant(digits.quarter[1] / 2), m.constant(0.0))
    return m.add(turn, m.add(t, m.add(cubic, rest)))


def atan_of(m: Arithmetic, x: Any) -> Any:
    """Return the arcus tangent."""
    size, one = m.call("fabs", x), m.constant(1.0)
    steep = m.less(one, size)
    angle = _atan_of_ratio(m, m.select(steep, one, size), m.select(steep, size, one))
    turned = m.add(m.subtract(m.constant(math.pi / 2), angle), m.constant(DIGITS[m.bits].quarter[1]))
    value = m.call("copysign", m.select(steep, turned, angle), x)
    return m.select(m.unknown(x, x), x, value)


def atan2_of(m: Arithmetic, y: Any, x: Any) -> Any:
    """Return the angle of the point (x, y), between −π and π."""
    rise, run, zero = m.call("fabs", y), m.call("fabs", x), m.constant(0.0)
    steep = m.less(run, rise)
    large = m.select(steep, rise, run)
    large = m.select(m.less(zero, large), large, m.constant(1.0))  # the origin
    angle = _atan_of_ratio(m, m.select(steep, run, rise), large)
    part = DIGITS[m.bits].quarter[1]
    turned = m.add(m.subtract(m.constant(math.pi / 2), angle), m.constant(part))
    angle = m.select(steep, turned, angle)
    backwards = m.less(m.call("copysign", m.constant(1.0), x), zero)
    behind = m.add(m.subtract(m.constant(math.pi), angle), m.constant(2 * part))
    value = m.call("copysign", m.select(backwards, behind, angle), y)
    return m.select(m.unknown(x, y), m.constant(math.nan), value)
