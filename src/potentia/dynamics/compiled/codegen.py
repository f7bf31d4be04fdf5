"""Programs as machine code: one function for each part of a model's equations, kept on disk.

What takes a roll-out through its steps is the same for every model, so the kernels are compiled once: they are given
numbers and addresses, a `table`, and call what is there. A function loads its inputs from rows of SIMD vectors,
computes all in registers, and stores its outputs to rows. To Numba a model's equations are a type, since it keeps
machine code by the types of the arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from potentia.dynamics.compiled.equations import SECOND, Equations
from potentia.dynamics.compiled.graph import Entry, Program
from potentia.simd.arithmetic import Arithmetic
from potentia.simd.exponentials import log_of, logistic_of, power_of_e, tanh_of
from potentia.simd.lanes import LANES, Lanes
from potentia.simd.trigonometry import Reduced, atan2_of, atan_of, cosine_of, reduced, sine_of, tangent_of

__all__ = ["evaluator", "size_of", "table_of"]

INDEX = ir.IntType(64)
SIZES = (
    *("n_states", "n_controls", "n_params", "n_constants", "n_prepared", "n_rows", "n_preparing"),
    *("length_row", "first_prepared", "first_given", "first_cotangent"),
)
"""Numbers that the equations know, in the order of a table."""
PARTS = {
    "forward": ("prepare", "limit", "rates", "finish"),
    "backward": ("prepare_back", "limit_back", "rates_back"),
    "tangents": ("prepare_table", "limit_table", "limit_push", "rates_table", "rates_push"),
}
"""Programs that are compiled together, the first time that one of them is needed."""
PLACES = {part: len(SIZES) + number for number, part in enumerate(PARTS)}
"""Where the address of a part stands in a table."""
N_TABLE = len(SIZES) + len(PARTS)
"""Where the rows of partial derivatives are told."""


@functools.lru_cache(maxsize=256)
def table_of(equations: Equations, dtype: str, further: str = "forward") -> NDArray[np.int64]:
    """Return what a kernel is given for the equations: sizes, and where the functions of its parts are.

    Args:
        equations: Of a model.
        dtype: ``"float32"`` or ``"float64"``.
        further: The part that is needed besides ``"forward"``.
    """
    table = np.zeros(N_TABLE + 1, dtype=np.int64)
    table[: len(SIZES)] = [getattr(equations, name) for name in SIZES]
    for part in {"forward", further}:
        table[PLACES[part]] = _machine_code(EquationsType(equations, part), dtype).address
    table[N_TABLE] = equations.n_table if further == "tangents" else 0
    return table


def size_of(name: str) -> Any:
    """Return an intrinsic: a number from a table."""
    place = N_TABLE if name == "n_table" else SIZES.index(name)

    @intrinsic
    def size(typingctx, table):
        def code(context, builder, signature, arguments):
            return builder.load(_entry(context, builder, signature, arguments, place))

        return types.int64(table), code

    return size


def evaluator(name: str) -> Any:
    """Return an intrinsic: rows of ``x`` and ``z`` → rows of ``out`` from ``first`` on, by a program of the equations.

    All inputs are read before the first output is written.
    """
    part = next(part for part, names in PARTS.items() if name in names)
    number = PARTS[part].index(name)

    @intrinsic
    def evaluate(typingctx, table, x, z, out, first):
        def code(context, builder, signature, arguments):
            address = builder.load(_entry(context, builder, signature, arguments, PLACES[part]))
            x, z, out = (
                context.make_array(signature.args[which])(context, builder, arguments[which]).data
                for which in (1, 2, 3)
            )
            base = context.cast(builder, arguments[4], signature.args[4], types.int64)
            out = builder.gep(out, [builder.mul(base, INDEX(LANES))])
            opaque = ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [opaque, INDEX, x.type, z.type, out.type])
            function = builder.inttoptr(address, kind.as_pointer())
            builder.call(function, [ir.Constant(opaque, None), INDEX(number), x, z, out])
            return context.get_dummy_value()

        return types.void(table, x, z, out, first), code

    return evaluate


def _entry(context: Any, builder: Any, signature: Any, arguments: Any, place: int) -> Any:
    table = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(table.data, [INDEX(place)])


class EquationsType(types.Type):
    """Type of a part of equations; equal for equal equations."""

    def __init__(self, equations: Equations, part: str) -> None:
        self.programs = [getattr(equations, name) for name in PARTS[part]]
        super().__init__(name=f"Equations({equations.digest}, {part})")


@register_model(EquationsType)
class _EquationsModel(models.OpaqueModel):
    """Nothing at run time: all is in the type."""


@functools.cache  # for good, as Numba keeps what it compiles: tables hold addresses in it
def _machine_code(kind: EquationsType, dtype: str) -> Any:
    rows = types.CPointer(getattr(types, dtype))
    return cfunc(types.void(kind, types.int64, rows, rows, rows), cache=True)(_one_of_the_programs)


def _one_of_the_programs(equations, number, x, z, out):
    _evaluate(equations, number, x, z, out)


@intrinsic
def _evaluate(typingctx, equations, number, x, z, out):
    """The program of that number: rows of ``x`` and ``z`` → rows of ``out``."""

    def code(context, builder, signature, arguments):
        behind = builder.append_basic_block("behind")
        switch = builder.switch(arguments[1], behind)
        for which, program in enumerate(signature.args[0].programs):
            block = builder.append_basic_block(f"program.{which}")
            switch.add_case(INDEX(which), block)
            with builder.goto_block(block):
                _write(builder, Lanes(signature.args[2].dtype), program, *arguments[2:])
                builder.branch(behind)
        builder.position_at_end(behind)
        return context.get_dummy_value()

    return types.void(equations, number, x, z, out), code


def _write(builder: Any, lanes: Lanes, program: Program, x: Any, z: Any, out: Any) -> None:
    """Write down the instructions from rows to rows."""
    m = Arithmetic(builder, lanes)
    vector, align = m.vector.as_pointer(), m.bits // 8

    def pointer(rows: Any, row: int) -> Any:
        return builder.bitcast(builder.gep(rows, [INDEX(row * LANES)]), vector)

    def given(row: int) -> Any:
        rows, row = (z, row - SECOND) if row >= SECOND else (x, row)
        return builder.load(pointer(rows, row), align=align)

    for row, value in enumerate(_emit(m, program, given)):
        builder.store(value, pointer(out, row), align=align)


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
