"""Exponential functions of SIMD vectors: exp, log, tanh and the logistic function, in the arithmetic of LLVM.

Numba calls the C library for each number, which takes 20 to 40 ns; here a vector takes about as long as one of these.
A power of two brings the argument of exp to ``|r| ≤ ln 2/2``, where a power series holds; near zero tanh is Cephes'
rational function (S. L. Moshier, netlib.org/cephes). NaN stays NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba.extending import intrinsic

from potentia.simd.arithmetic import Arithmetic

__all__ = ["exponential", "hyperbolic_tangent", "log_of", "logistic", "logistic_of", "power_of_e", "tanh_of"]

NEAR_ZERO = 0.625
"""Below this, 1 - 2/(exp(2x) + 1) would lose digits."""


class _Digits(NamedTuple):
    """Constants of one float width."""

    log2: tuple[float, float]
    """ln 2 in two parts, the first with so few digits that a power of two times it is exact."""
    terms: int
    """Of the power series of exp."""
    most: float
    """Up to here, with either sign, exp stays within range."""
    flat: float
    """From exp of this on, tanh is 1."""
    above: tuple[float, ...]
    """tanh x = x + x³ above(x²)/below(x²) near zero, highest power first."""
    below: tuple[float, ...]


DIGITS = {
    64: _Digits(
        log2=(6.93145751953125e-1, 1.42860682030941723212e-6),
        terms=14,
        most=708.0,
        flat=44.0,
        above=(-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3),
        below=(1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3),
    ),
    32: _Digits(
        log2=(0.693359375, -2.12194440e-4),
        terms=8,
        most=87.0,
        flat=20.0,
        above=(
            -5.70498872745e-3,
            2.06390887954e-2,
            -5.37397155531e-2,
            1.33314422036e-1,
            -3.33332819422e-1,
        ),
        below=(1.0,),
    ),
}
LOG_TERMS = {64: 11, 32: 5}
"""Of the power series of artanh(s)/s in s² ≤ 0.0295."""


def exponential(m: Arithmetic, x: Any) -> Any:
    """Return exp of what is within range."""
    digits = DIGITS[m.bits]
    n = m.call("rint", m.times(x, m.constant(1 / math.log(2))))
    for part in digits.log2:
        x = m.subtract(x, m.times(n, m.constant(part)))
    power = m.series(x, [1 / math.factorial(k) for k in range(digits.terms - 1, -1, -1)])
    bias = m.whole(2 ** (m.bits - 2 - m.mantissa) - 1)
    scale = m.from_bits(m.builder.shl(m.builder.add(m.to_whole(n), bias), m.whole(m.mantissa)))
    return m.times(power, scale)


def power_of_e(m: Arithmetic, x: Any) -> Any:
    """Return exp of anything: infinite above the range, 0 below it."""
    most = m.constant(DIGITS[m.bits].most)
    low = m.negative(most)
    within = exponential(m, m.smaller(m.larger(x, low), most))
    capped = m.select(m.less(x, low), m.constant(0.0), within)
    above = m.select(m.less(most, x), m.constant(math.inf), capped)
    return m.select(m.unknown(x, x), x, above)


def log_of(m: Arithmetic, x: Any) -> Any:
    """Return ln x; numbers below the smallest normal one count as 0.

    x = 2ⁿ f with f between √½ and √2, and ln f = 2 artanh((f − 1)/(f + 1)).
    """
    bits = m.to_bits(x)
    smallest = m.constant(2.0 ** (2 - 2 ** (m.bits - 2 - m.mantissa)))
    root = 0x3FE6A09E667F3BCD if m.bits == 64 else 0x3F3504F3  # bits of √½
    above = m.builder.sub(bits, m.whole(root))
    n = m.builder.ashr(above, m.whole(m.mantissa))
    f = m.from_bits(m.builder.sub(bits, m.builder.shl(n, m.whole(m.mantissa))))
    n = m.from_whole(n)
    one = m.constant(1.0)
    s = m.over(m.subtract(f, one), m.add(f, one))
    square = m.times(s, s)
    tail = m.series(square, [2 / (2 * k + 1) for k in range(LOG_TERMS[m.bits], 0, -1)])
    rest = m.times(m.times(s, square), tail)
    high, low = DIGITS[m.bits].log2
    small = m.add(rest, m.times(n, m.constant(low)))
    value = m.add(m.times(n, m.constant(high)), m.add(m.add(s, s), small))
    value = m.select(m.less(x, smallest), m.constant(-math.inf), value)
    value = m.select(m.less(x, m.constant(0.0)), m.constant(math.nan), value)
    return m.select(m.less(x, m.constant(math.inf)), value, x)  # infinity and NaN


def tanh_of(m: Arithmetic, x: Any) -> Any:
    """Return tanh x."""
    digits = DIGITS[m.bits]
    size, square = m.call("fabs", x), m.times(x, x)
    near = m.builder.fcmp_unordered("<", size, m.constant(NEAR_ZERO))
    far = exponential(m, m.at_most(m.add(size, size), digits.flat))
    one, minus = m.constant(1.0), m.constant(-1.0)
    sign = m.select(m.less(x, m.constant(0.0)), minus, one)
    cubic = m.times(m.times(x, square), m.series(square, digits.above))
    above = m.select(near, cubic, m.times(sign, m.constant(-2.0)))
    below = m.select(near, m.series(square, digits.below), m.add(far, one))
    return m.add(m.select(near, x, sign), m.over(above, below))


def logistic_of(m: Arithmetic, x: Any) -> Any:
    """Return 1/(1 + exp(-x))."""
    most, one = DIGITS[m.bits].most, m.constant(1.0)
    turned = m.subtract(m.constant(0.0), m.at_most(x, most))
    value = m.over(one, m.add(one, exponential(m, m.at_most(turned, most))))
    return m.select(m.unknown(x, x), x, value)


@intrinsic
def hyperbolic_tangent(typingctx, value):
    """Tanh, lane by lane, to 2 units in the last place."""

    def code(context, builder, signature, arguments):
        return tanh_of(Arithmetic(builder, signature.args[0]), arguments[0])

    return value(value), code


@intrinsic
def logistic(typingctx, value):
    """1/(1 + exp(-x)), lane by lane, to 3 units in the last place."""

    def code(context, builder, signature, arguments):
        return logistic_of(Arithmetic(builder, signature.args[0]), arguments[0])

    return value(value), code
