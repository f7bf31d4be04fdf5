"""Vectors of `LANES` numbers as a Numba type, so that the kernels are SIMD by construction.

Numba leaves vector code to LLVM's auto-vectoriser, which gives up on short loops over many arrays. Here a value of type
`Lanes` is an LLVM vector: arithmetic on it is one instruction per register on any machine (AVX-512, AVX2, NEON).
`load`, `store` and `add_to` work on blocks of LANES numbers of an array; operators spread scalars over the lanes.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

__all__ = [
    "LANES",
    "Lanes",
    "add_to",
    "gather",
    "least",
    "load",
    "load_vectors",
    "scatter",
    "spread",
    "spread_from",
    "square_root",
    "store",
    "store_vectors",
    "total",
    "where_below",
]

LANES = 16
FLAGS = ("contract", "reassoc", "nsz", "arcp", "afn")


class Lanes(types.Type):
    """A vector of LANES floats of one width."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """An LLVM vector, kept in registers."""

    def __init__(self, manager: Any, fe_type: Lanes) -> None:
        super().__init__(manager, fe_type, _vector(fe_type))


def _vector(lanes: Lanes) -> ir.VectorType:
    return ir.VectorType(ir.FloatType() if lanes.dtype.bitwidth == 32 else ir.DoubleType(), LANES)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any, row_type: Any, width: int = 1) -> Any:
    """Pointer to block ``row`` of width·LANES numbers."""
    row = context.cast(builder, row, row_type, types.intp)
    struct = context.make_array(array_type)(context, builder, array)
    at = builder.mul(row, ir.Constant(row.type, LANES * width))
    place = builder.gep(struct.data, [at])
    element = _vector(Lanes(array_type.dtype)).element
    return builder.bitcast(place, ir.VectorType(element, LANES * width).as_pointer())


def _shuffle(builder: Any, one: Any, other: Any, places: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
    return builder.shuffle_vector(one, other, mask)


def _align(array_type: Any) -> int:
    return int(array_type.dtype.bitwidth) // 8


def _splat(builder: Any, scalar: Any) -> Any:
    vector = ir.VectorType(scalar.type, LANES)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


@intrinsic
def load(typingctx, array, row):
    """Row ``row`` of an array of shape (rows, LANES), as Lanes."""

    def code(context, builder, signature, arguments):
        place = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], signature.args[1])
        return builder.load(place, align=_align(signature.args[0]))

    return Lanes(array.dtype)(array, row), code


@intrinsic
def store(typingctx, array, row, value):
    """Write Lanes to row ``row`` of an array of shape (rows, LANES)."""

    def code(context, builder, signature, arguments):
        place = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], signature.args[1])
        builder.store(arguments[2], place, align=_align(signature.args[0]))
        return context.get_dummy_value()

    return types.void(array, row, value), code


@intrinsic
def add_to(typingctx, array, row, value):
    """Add Lanes to row ``row`` of an array of shape (rows, LANES)."""

    def code(context, builder, signature, arguments):
        place = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], signature.args[1])
        align = _align(signature.args[0])
        builder.store(builder.fadd(builder.load(place, align=align), arguments[2], flags=FLAGS), place, align=align)
        return context.get_dummy_value()

    return types.void(array, row, value), code


@intrinsic
def load_vectors(typingctx, array, row):
    """x, y and z of block ``row`` of LANES vectors in an array [vectors, 3], as three Lanes."""

    def code(context, builder, signature, arguments):
        place = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], signature.args[1], 3)
        mixed = builder.load(place, align=_align(signature.args[0]))
        nothing = ir.Constant(mixed.type, ir.Undefined)
        parts = [_shuffle(builder, mixed, nothing, [3 * k + axis for k in range(LANES)]) for axis in range(3)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(Lanes(array.dtype), 3)(array, row), code


@intrinsic
def store_vectors(typingctx, array, row, x, y, z):
    """Write three Lanes as block ``row`` of LANES vectors to an array [vectors, 3]."""

    def code(context, builder, signature, arguments):
        place = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], signature.args[1], 3)
        nothing = ir.Constant(arguments[2].type, ir.Undefined)
        xy = _shuffle(builder, arguments[2], arguments[3], list(range(2 * LANES)))
        z_ = _shuffle(builder, arguments[4], nothing, list(range(2 * LANES)))
        places = [axis * LANES + k for k in range(LANES) for axis in range(3)]
        builder.store(_shuffle(builder, xy, z_, places), place, align=_align(signature.args[0]))
        return context.get_dummy_value()

    return types.void(array, row, x, y, z), code


def _places(builder: Any, first: Any, last: Any, stride: Any) -> list[Any]:
    """Where the number of each lane stands: ``stride`` apart from ``first`` on, lanes behind ``last`` at its place."""
    lanes = [builder.add(first, ir.Constant(first.type, k)) for k in range(LANES)]
    kept = [builder.select(builder.icmp_signed("<", lane, last), lane, last) for lane in lanes]
    return [builder.mul(lane, stride) for lane in kept]


@intrinsic
def gather(typingctx, array, first, last, stride, place):
    """Numbers of rows ``first``, ``first`` + 1, ... in the lanes, at ``place`` of rows that are ``stride`` long.

    Lanes behind row ``last`` repeat it.
    """

    def code(context, builder, signature, arguments):
        struct = context.make_array(signature.args[0])(context, builder, arguments[0])
        first, last, stride, place = (
            context.cast(builder, argument, kind, types.intp)
            for argument, kind in zip(arguments[1:], signature.args[1:], strict=True)
        )
        vector = ir.Constant(_vector(signature.return_type), ir.Undefined)
        for lane, row in enumerate(_places(builder, first, last, stride)):
            number = builder.load(builder.gep(struct.data, [builder.add(row, place)]))
            vector = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), lane))
        return vector

    return Lanes(array.dtype)(array, first, last, stride, place), code


@intrinsic
def scatter(typingctx, array, first, last, stride, place, value):
    """Write the lanes to where `gather` reads them; those behind row ``last`` are dropped."""

    def code(context, builder, signature, arguments):
        struct = context.make_array(signature.args[0])(context, builder, arguments[0])
        first, last, stride, place = (
            context.cast(builder, argument, kind, types.intp)
            for argument, kind in zip(arguments[1:5], signature.args[1:5], strict=True)
        )
        # from the last lane to the first: what was repeated is overwritten by the row's own
        for lane, row in reversed(list(enumerate(_places(builder, first, last, stride)))):
            number = builder.extract_element(arguments[5], ir.Constant(ir.IntType(32), lane))
            builder.store(number, builder.gep(struct.data, [builder.add(row, place)]))
        return context.get_dummy_value()

    return types.void(array, first, last, stride, place, value), code


@intrinsic
def spread(typingctx, scalar):
    """The same number in every lane."""

    def code(context, builder, signature, arguments):
        return _splat(builder, arguments[0])

    return Lanes(scalar)(scalar), code


@intrinsic
def spread_from(typingctx, array, place):
    """One number of an array, at a place that is not looked at, in every lane."""

    def code(context, builder, signature, arguments):
        kind, position = signature.args
        struct = context.make_array(kind)(context, builder, arguments[0])
        at = context.cast(builder, arguments[1], position, types.intp)
        return _splat(builder, builder.load(builder.gep(struct.data, [at])))

    return Lanes(array.dtype)(array, place), code


@intrinsic
def total(typingctx, value):
    """Sum over the lanes, as a pairwise tree."""

    def code(context, builder, signature, arguments):
        vector = arguments[0]
        width = LANES
        while width > 1:
            width //= 2
            low = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(width)))
            high = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(width, 2 * width)))
            nothing = ir.Constant(vector.type, ir.Undefined)
            vector = builder.fadd(
                builder.shuffle_vector(vector, nothing, low), builder.shuffle_vector(vector, nothing, high), flags=FLAGS
            )
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return value.dtype(value), code


@intrinsic
def square_root(typingctx, value):
    """Square root, lane by lane."""

    def code(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(arguments[0].type, [arguments[0].type]),
            f"llvm.sqrt.v{LANES}f{signature.args[0].dtype.bitwidth}",
        )
        return builder.call(function, [arguments[0]])

    return value(value), code


@intrinsic
def least(typingctx, value, bound):
    """The smaller of each lane and a scalar bound."""

    def code(context, builder, signature, arguments):
        limit = _splat(builder, arguments[1])
        return builder.select(builder.fcmp_ordered("<", arguments[0], limit), arguments[0], limit)

    return value(value, value.dtype), code


@intrinsic
def where_below(typingctx, value, bound, chosen):
    """``chosen`` in the lanes where ``value`` is below the scalar bound, 0 elsewhere."""

    def code(context, builder, signature, arguments):
        limit = _splat(builder, arguments[1])
        zero = _splat(builder, ir.Constant(arguments[1].type, 0.0))
        return builder.select(builder.fcmp_ordered("<", arguments[0], limit), arguments[2], zero)

    return value(value, value.dtype, value), code


def _operation(instruction: str) -> Any:
    """An intrinsic for one arithmetic instruction on Lanes with Lanes or a scalar on either side."""

    @intrinsic
    def apply(typingctx, left, right):
        lanes = left if isinstance(left, Lanes) else right

        def code(context, builder, signature, arguments):
            sides = [
                argument if isinstance(kind, Lanes) else _splat(builder, argument)
                for kind, argument in zip(signature.args, arguments, strict=True)
            ]
            return getattr(builder, instruction)(*sides, flags=FLAGS)

        given = [side if isinstance(side, Lanes) else lanes.dtype for side in (left, right)]
        return lanes(*given), code

    return apply


def _install(function: Any, instruction: str) -> None:
    apply = _operation(instruction)

    @overload(function, inline="never")
    def choose(left, right):
        if isinstance(left, Lanes) or isinstance(right, Lanes):
            return lambda left, right: apply(left, right)  # noqa: PLW0108  (Numba wants a function of Python)
        return None


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _install(_function, _instruction)
