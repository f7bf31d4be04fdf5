"""Arithmetic of SIMD vectors as instructions of LLVM, of which elementary functions and whole equations are made.

Of the liberties that a compiler can take only fused multiplication is taken, since the others would undo the reductions
of elementary functions; and the sign of a zero is not kept. NaN stays NaN: also the smaller of NaN and a number is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from potentia.simd.lanes import LANES, Lanes

__all__ = ["Arithmetic"]

FLAGS = ("contract", "nsz")
MANTISSA = {32: 23, 64: 52}
"""Bits."""


class Arithmetic:
    """Operations on vectors of one float width; comparisons make vectors of truth values, for `select`."""

    def __init__(self, builder: Any, lanes: Lanes) -> None:
        self.builder = builder
        self.bits = int(lanes.dtype.bitwidth)
        self.mantissa = MANTISSA[self.bits]
        self.vector = ir.VectorType(ir.FloatType() if self.bits == 32 else ir.DoubleType(), LANES)
        self.integers = ir.VectorType(ir.IntType(self.bits), LANES)

    def constant(self, value: float) -> Any:
        """One number in every lane."""
        return ir.Constant(self.vector, [value] * LANES)

    def whole(self, value: int) -> Any:
        """One integer, as wide as the floats, in every lane."""
        return ir.Constant(self.integers, [value] * LANES)

    def add(self, a: Any, b: Any) -> Any:
        """a + b."""
        return self.builder.fadd(a, b, flags=FLAGS)

    def subtract(self, a: Any, b: Any) -> Any:
        """a − b."""
        return self.builder.fsub(a, b, flags=FLAGS)

    def times(self, a: Any, b: Any) -> Any:
        """a b."""
        return self.builder.fmul(a, b, flags=FLAGS)

    def over(self, a: Any, b: Any) -> Any:
        """a/b."""
        return self.builder.fdiv(a, b, flags=FLAGS)

    def negative(self, a: Any) -> Any:
        """−a."""
        return self.builder.fneg(a)

    def call(self, name: str, *values: Any) -> Any:
        """An intrinsic function of LLVM: ``"sqrt"``, ``"fabs"``, ``"rint"``, ``"fma"``, ``"copysign"``."""
        kind = ir.FunctionType(self.vector, [self.vector] * len(values))
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.v{LANES}f{self.bits}")
        return self.builder.call(function, values)

    def less(self, a: Any, b: Any) -> Any:
        """Whether a < b; false for NaN."""
        return self.builder.fcmp_ordered("<", a, b)

    def at_most_of_both(self, a: Any, b: Any) -> Any:
        """Whether a ≤ b; false for NaN."""
        return self.builder.fcmp_ordered("<=", a, b)

    def equal(self, a: Any, b: Any) -> Any:
        """Whether a = b; false for NaN."""
        return self.builder.fcmp_ordered("==", a, b)

    def truth(self, value: bool) -> Any:
        """One truth value in every lane."""
        return ir.Constant(ir.VectorType(ir.IntType(1), LANES), [int(value)] * LANES)

    def both(self, a: Any, b: Any) -> Any:
        """Whether both conditions hold."""
        return self.builder.and_(a, b)

    def either(self, a: Any, b: Any) -> Any:
        """Whether one of both conditions holds."""
        return self.builder.or_(a, b)

    def opposite(self, a: Any) -> Any:
        """Whether a condition does not hold."""
        return self.builder.xor(a, self.truth(True))

    def unknown(self, a: Any, b: Any) -> Any:
        """Whether one of both is NaN."""
        return self.builder.fcmp_unordered("uno", a, b)

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        """A where the condition holds, b elsewhere."""
        return self.builder.select(condition, a, b)

    def series(self, x: Any, coefficients: Sequence[float]) -> Any:
        """A polynomial, highest power first."""
        first, *others = coefficients
        total = self.constant(first)
        for coefficient in others:
            total = self.add(self.times(total, x), self.constant(coefficient))
        return total

    def at_most(self, x: Any, bound: float) -> Any:
        """The smaller of both, the bound for NaN."""
        limit = self.constant(bound)
        return self.select(self.less(x, limit), x, limit)

    def smaller(self, a: Any, b: Any) -> Any:
        """The smaller of both, NaN if one of them is."""
        chosen = self.select(self.builder.fcmp_unordered("<", a, b), a, b)
        return self.select(self.unknown(b, b), b, chosen)

    def larger(self, a: Any, b: Any) -> Any:
        """The larger of both, NaN if one of them is."""
        chosen = self.select(self.builder.fcmp_unordered(">", a, b), a, b)
        return self.select(self.unknown(b, b), b, chosen)

    def to_bits(self, x: Any) -> Any:
        """The bits of floats, as integers."""
        return self.builder.bitcast(x, self.integers)

    def from_bits(self, x: Any) -> Any:
        """The floats of bits."""
        return self.builder.bitcast(x, self.vector)

    def to_whole(self, x: Any) -> Any:
        """Integers of floats that are integers within 32 bits."""
        narrow = self.builder.fptosi(x, ir.VectorType(ir.IntType(32), LANES))
        return narrow if self.bits == 32 else self.builder.sext(narrow, self.integers)

    def from_whole(self, x: Any) -> Any:
        """Floats of integers."""
        return self.builder.sitofp(x, self.vector)
