"""Programs as functions of Numba: the model is a type of Numba, so each gets machine code of its own, kept on disk.

`Compiled` is what a kernel is given for the equations; its type holds the programs. Each `evaluator` loads its inputs
from rows of SIMD vectors, computes all in registers, and stores its outputs to rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import NativeValue, intrinsic, models, register_model, typeof_impl, unbox

from potentia.dynamics.compiled.equations import SECOND, Equations
from potentia.dynamics.compiled.graph import Entry, Program
from potentia.simd.arithmetic import Arithmetic
from potentia.simd.exponentials import log_of, logistic_of, power_of_e, tanh_of
from potentia.simd.lanes import Lanes, row_pointer
from potentia.simd.trigonometry import Reduced, atan2_of, atan_of, cosine_of, reduced, sine_of, tangent_of

__all__ = ["Compiled", "evaluator", "size_of"]


@dataclass(frozen=True, eq=False)
class Compiled:
    """The equations, as a kernel is given them."""

    equations: Equations


class EquationsType(types.Type):
    """Type of equations; equal for equal equations."""

    def __init__(self, equations: Equations) -> None:
        self.equations = equations
        super().__init__(name=f"Equations({equations.digest})")


@typeof_impl.register(Compiled)
def _type_of(value: Compiled, context: Any) -> EquationsType:
    return EquationsType(value.equations)


@register_model(EquationsType)
class _EquationsModel(models.OpaqueModel):
    """Nothing at run time: all is in the type."""


@unbox(EquationsType)
def _unbox(kind: EquationsType, value: Any, context: Any) -> NativeValue:
    return NativeValue(context.context.get_dummy_value())


def size_of(name: str) -> Any:
    """Return an intrinsic: a number that the equations know, as a constant of the machine code."""

    @intrinsic
    def size(typingctx, equations):
        def code(context, builder, signature, arguments):
            return ir.Constant(ir.IntType(64), int(getattr(signature.args[0].equations, name)))

        return types.int64(equations), code

    return size


def evaluator(name: str) -> Any:
    """Return an intrinsic: rows of ``x`` and ``z`` → rows of ``out`` from ``first`` on, by a program of the equations.

    All inputs are read before the first output is written.
    """

    @intrinsic
    def evaluate(typingctx, equations, x, z, out, first):
        def code(context, builder, signature, arguments):
            program = getattr(signature.args[0].equations, name)
            lanes = Lanes(signature.args[1].dtype)

            def pointer(which: int, row: int, base: Any = None) -> Any:
                at = ir.Constant(ir.IntType(64), row)
                at = at if base is None else builder.add(base, at)
                return row_pointer(context, builder, signature.args[which], arguments[which], at)

            def given(row: int) -> Any:
                which, row = (2, row - SECOND) if row >= SECOND else (1, row)
                return builder.load(pointer(which, row), align=lanes.dtype.bitwidth // 8)

            base = context.cast(builder, arguments[4], signature.args[4], types.int64)
            for row, value in enumerate(_emit(Arithmetic(builder, lanes), program, given)):
                builder.store(value, pointer(3, row, base), align=lanes.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(equations, x, z, out, first), code

    return evaluate


def _emit(m: Arithmetic, program: Program, given: Callable[[int], Any]) -> list[Any]:
    """Write a program down in instructions, and return its outputs."""
    found: list[Any] = []
    angles: dict[int, Reduced] = {}
    for entry in program.entries:
        if entry[0] == "input":
            found.append(given(entry[1]))
        elif entry[0] == "number":
            found.append(m.truth(entry[1]) if isinstance(entry[1], bool) else m.constant(entry[1]))
        elif entry[0] in ANGULAR:
            found.append(_of_angle(m, entry, found, angles))
        else:
            found.append(INSTRUCTIONS[entry[0]](m, *(found[operand] for operand in entry[1:])))
    return [found[node] for node in program.outputs]


def _of_angle(m: Arithmetic, entry: Entry, found: list[Any], angles: dict[int, Reduced]) -> Any:
    """Sine, cosine and tangent of one angle share what they are made of."""
    if entry[1] not in angles:
        angles[entry[1]] = reduced(m, found[entry[1]])
    return ANGULAR[entry[0]](m, angles[entry[1]])


ANGULAR: dict[str, Callable[[Arithmetic, Reduced], Any]] = {"sin": sine_of, "cos": cosine_of, "tan": tangent_of}
INSTRUCTIONS: dict[str, Callable[..., Any]] = {
    "add": Arithmetic.add,
    "subtract": Arithmetic.subtract,
    "times": Arithmetic.times,
    "over": Arithmetic.over,
    "negative": Arithmetic.negative,
    "smaller": Arithmetic.smaller,
    "larger": Arithmetic.larger,
    "smaller_or_first": Arithmetic.smaller,
    "larger_or_first": Arithmetic.larger,
    "fabs": lambda m, x: m.call("fabs", x),
    "sqrt": lambda m, x: m.call("sqrt", x),
    "exp": power_of_e,
    "log": log_of,
    "atan": atan_of,
    "atan2": atan2_of,
    "tanh": tanh_of,
    "logistic": logistic_of,
    "less": Arithmetic.less,
    "at_most": Arithmetic.at_most_of_both,
    "equal": Arithmetic.equal,
    "not": Arithmetic.opposite,
    "and": Arithmetic.both,
    "or": Arithmetic.either,
    "select": Arithmetic.select,
}
"""What each operation of a graph is in instructions."""
