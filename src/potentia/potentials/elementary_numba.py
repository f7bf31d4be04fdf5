"""Exponential functions of SIMD vectors: tanh and the logistic function, written in the arithmetic of LLVM.

Numba calls the C library for each number, which takes 20 to 40 ns; here a vector takes about as long as one of these.
A power of two brings the argument to ``|r| ≤ ln 2/2``, where a power series holds; near zero tanh is Cephes' rational
function (S. L. Moshier, netlib.org/cephes). Of the liberties of `simd` only fused multiplication is taken, since the
others would undo the reduction. NaN stays NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from potentia.potentials.descriptors.simd import LANES, Lanes

__all__ = ["hyperbolic_tangent", "logistic", "spread_from"]

FLAGS = ("contract", "nsz")
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
    mantissa: int
    """Bits."""


DIGITS = {
    64: _Digits(
        log2=(6.93145751953125e-1, 1.42860682030941723212e-6),
        terms=14,
        most=708.0,
        flat=44.0,
        above=(-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3),
        below=(1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3),
        mantissa=52,
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
        mantissa=23,
    ),
}


class _Arithmetic:
    """Operations on vectors of one float width, as instructions of LLVM."""

    def __init__(self, builder: Any, lanes: Lanes) -> None:
        self.builder = builder
        self.bits = int(lanes.dtype.bitwidth)
        self.digits = DIGITS[self.bits]
        self.vector = ir.VectorType(ir.FloatType() if self.bits == 32 else ir.DoubleType(), LANES)

    def constant(self, value: float) -> Any:
        return ir.Constant(self.vector, [value] * LANES)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=FLAGS)

    def subtract(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=FLAGS)

    def times(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=FLAGS)

    def over(self, a: Any, b: Any) -> Any:
        return self.builder.fdiv(a, b, flags=FLAGS)

    def call(self, name: str, x: Any) -> Any:
        kind = ir.FunctionType(self.vector, [self.vector])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.v{LANES}f{self.bits}")
        return self.builder.call(function, [x])

    def series(self, x: Any, coefficients: Any) -> Any:
        """A polynomial, highest power first."""
        first, *others = coefficients
        total = self.constant(first)
        for coefficient in others:
            total = self.add(self.times(total, x), self.constant(coefficient))
        return total

    def exponential(self, x: Any) -> Any:
        """Return exp of what is within range."""
        digits = self.digits
        n = self.call("rint", self.times(x, self.constant(1 / math.log(2))))
        for part in digits.log2:
            x = self.subtract(x, self.times(n, self.constant(part)))
        power = self.series(x, [1 / math.factorial(k) for k in range(digits.terms - 1, -1, -1)])
        narrow, wide = (ir.VectorType(ir.IntType(bits), LANES) for bits in (32, self.bits))
        whole = self.builder.fptosi(n, narrow)
        if self.bits > 32:
            whole = self.builder.sext(whole, wide)
        bias = ir.Constant(wide, [2 ** (self.bits - 2 - digits.mantissa) - 1] * LANES)
        places = ir.Constant(wide, [digits.mantissa] * LANES)
        scale = self.builder.bitcast(self.builder.shl(self.builder.add(whole, bias), places), self.vector)
        return self.times(power, scale)

    def at_most(self, x: Any, bound: float) -> Any:
        """The smaller of both, the bound for NaN."""
        limit = self.constant(bound)
        return self.builder.select(self.builder.fcmp_ordered("<", x, limit), x, limit)

    def tanh(self, x: Any) -> Any:
        size, square, select = self.call("fabs", x), self.times(x, x), self.builder.select
        near = self.builder.fcmp_unordered("<", size, self.constant(NEAR_ZERO))
        far = self.exponential(self.at_most(self.add(size, size), self.digits.flat))
        one, minus = self.constant(1.0), self.constant(-1.0)
        sign = select(self.builder.fcmp_ordered("<", x, self.constant(0.0)), minus, one)
        cubic = self.times(self.times(x, square), self.series(square, self.digits.above))
        above = select(near, cubic, self.times(sign, self.constant(-2.0)))
        below = select(near, self.series(square, self.digits.below), self.add(far, one))
        return self.add(select(near, x, sign), self.over(above, below))

    def logistic(self, x: Any) -> Any:
        most, one = self.digits.most, self.constant(1.0)
        turned = self.subtract(self.constant(0.0), self.at_most(x, most))
        value = self.over(one, self.add(one, self.exponential(self.at_most(turned, most))))
        return self.builder.select(self.builder.fcmp_unordered("uno", x, x), x, value)


@intrinsic
def hyperbolic_tangent(typingctx, value):
    """Tanh, lane by lane, to 2 units in the last place."""

    def code(context, builder, signature, arguments):
        return _Arithmetic(builder, signature.args[0]).tanh(arguments[0])

    return value(value), code


@intrinsic
def logistic(typingctx, value):
    """1/(1 + exp(-x)), lane by lane, to 3 units in the last place."""

    def code(context, builder, signature, arguments):
        return _Arithmetic(builder, signature.args[0]).logistic(arguments[0])

    return value(value), code


@intrinsic
def spread_from(typingctx, array, place):
    """One number of an array, at a place that is not looked at, in every lane."""

    def code(context, builder, signature, arguments):
        kind, position = signature.args
        struct = context.make_array(kind)(context, builder, arguments[0])
        at = context.cast(builder, arguments[1], position, types.intp)
        scalar = builder.load(builder.gep(struct.data, [at]))
        vector = ir.VectorType(scalar.type, LANES)
        nothing = ir.Constant(vector, ir.Undefined)
        one = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    return Lanes(array.dtype)(array, place), code
