"""What operations of torch are on nodes of a graph: arithmetic number by number, shapes by NumPy, products unrolled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.dynamics.compiled.graph import Graph, Node
from potentia.dynamics.compiled.refusals import NotCompilableError

__all__ = ["OPERATIONS", "Recorder"]


class Recorder(Protocol):
    """What an operation needs of whoever writes it down."""

    graph: Graph

    def nodes_of(self, given: Any) -> NDArray[Any]:
        """Return the nodes of a tensor or a number."""

    def map(self, operation: Callable[..., Node], *given: Any) -> NDArray[Any]:
        """Return an operation on each number."""


Rule = Callable[..., Any]
"""Recorder and the arguments that torch got → nodes of the result, of the shape of the result."""


def _each(name: str) -> Rule:
    """One operation of the graph on each number."""
    return lambda rec, *given: rec.map(lambda *nodes: rec.graph.apply(name, *nodes), *given)


def _swapped(name: str) -> Rule:
    return lambda rec, a, b: rec.map(lambda x, y: rec.graph.apply(name, y, x), a, b)


def _scaled(name: str) -> Rule:
    """A sum or difference of which torch scales the second part."""

    def rule(rec: Recorder, a: Any, b: Any, *, alpha: float = 1) -> NDArray[Any]:
        scale = rec.graph.number(alpha)
        return rec.map(lambda x, y: rec.graph.apply(name, x, rec.graph.apply("times", scale, y)), a, b)

    return rule


def _quotient(rec: Recorder, a: Any, b: Any, *, rounding_mode: str | None = None) -> NDArray[Any]:
    if rounding_mode is not None:
        raise NotCompilableError("a quotient that is rounded has no derivative")
    return rec.map(lambda x, y: rec.graph.apply("over", x, y), a, b)


def _from_one(name: str) -> Rule:
    """A function f of 1 and the number: 1/x for "over"."""
    return lambda rec, a: rec.map(lambda x: rec.graph.apply(name, rec.graph.number(1.0), x), a)


def _power(rec: Recorder, base: Any, exponent: Any) -> NDArray[Any]:
    if isinstance(exponent, Tensor) or isinstance(base, (int, float)):
        raise NotCompilableError("a power must have a number as exponent: write exp(b log(a))")
    twice = round(2 * exponent)
    if twice != 2 * exponent or abs(twice) > 16:
        raise NotCompilableError(f"the power {exponent} is not known to it: whole and half numbers up to 8 are")
    return rec.map(lambda x: _power_of(rec.graph, x, abs(twice), twice < 0), base)


def _power_of(graph: Graph, x: Node, twice: int, turned: bool) -> Node:
    found = graph.apply("sqrt", x) if twice % 2 else graph.number(1.0)
    square, left = x, twice // 2
    while left:
        if left % 2:
            found = graph.apply("times", found, square)
        square, left = graph.apply("times", square, square), left // 2
    return graph.apply("over", graph.number(1.0), found) if turned else found


def _clamp(rec: Recorder, given: Any, low: Any = None, high: Any = None, **named: Any) -> NDArray[Any]:
    low, high = named.get("min", low), named.get("max", high)
    nodes = rec.nodes_of(given)
    if low is not None:
        nodes = _bounded(rec, "larger", nodes, low)
    return nodes if high is None else _bounded(rec, "smaller", nodes, high)


def _bounded(rec: Recorder, name: str, nodes: NDArray[Any], bound: Any) -> NDArray[Any]:
    """The larger or smaller of both; at the bound the derivative is the number's, as torch has it of a clamp."""
    bounds = rec.nodes_of(bound)
    return _filled(rec, f"{name}_or_first", nodes, bounds)


def _filled(rec: Recorder, operation: str, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return an operation on nodes that are at hand, shapes as NumPy spreads them."""
    found = np.empty(np.broadcast_shapes(one.shape, other.shape), dtype=object)
    ones, others = np.broadcast_to(one, found.shape), np.broadcast_to(other, found.shape)
    for place in np.ndindex(found.shape):
        found[place] = rec.graph.apply(operation, int(ones[place]), int(others[place]))
    return found


def _sign(rec: Recorder, given: Any) -> NDArray[Any]:
    graph = rec.graph
    one, minus, zero = graph.number(1.0), graph.number(-1.0), graph.number(0.0)

    def sign(x: Node) -> Node:
        below = graph.apply("select", graph.apply("less", x, zero), minus, zero)
        return graph.apply("select", graph.apply("less", zero, x), one, below)

    return rec.map(sign, given)


def _not_equal(rec: Recorder, a: Any, b: Any) -> NDArray[Any]:
    return rec.map(lambda x, y: rec.graph.apply("not", rec.graph.apply("equal", x, y)), a, b)


def _rectified(rec: Recorder, a: Any) -> NDArray[Any]:
    zero = rec.graph.number(0.0)
    return rec.map(
        lambda x: rec.graph.apply("select", rec.graph.apply("at_most", x, zero), zero, x), a
    )  # slope 0 at 0, as torch has it


def _product(rec: Recorder, a: Tensor, b: Tensor) -> NDArray[Any]:
    """A product of matrices or vectors, the sums written out."""
    left, right = rec.nodes_of(a), rec.nodes_of(b)
    shape = np.empty(left.shape) @ np.empty(right.shape)
    found = np.empty(np.shape(shape), dtype=object)
    rows = left if left.ndim > 1 else left[None]
    columns = right if right.ndim > 1 else right[:, None]
    matrix = np.empty((*rows.shape[:-1], columns.shape[-1]), dtype=object)
    for place in np.ndindex(matrix.shape):
        row, column = rows[place[:-1]], columns[(*place[:-2], slice(None), place[-1])]
        matrix[place] = rec.graph.total(rec.graph.apply("times", x, y) for x, y in zip(row, column, strict=True))
    found[...] = matrix.reshape(found.shape)
    return found


def _product_and_sum(rec: Recorder, added: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
    if (beta, alpha) != (1, 1):
        raise NotCompilableError("a product of matrices with factors is not known to it")
    return _filled(rec, "add", rec.nodes_of(added), _product(rec, a, b))


def _sum(rec: Recorder, given: Tensor, axes: Any = None, keepdim: bool = False, *, dtype: Any = None) -> NDArray[Any]:
    nodes = rec.nodes_of(given)
    chosen = range(nodes.ndim) if not axes and axes != 0 else np.atleast_1d(axes)
    where = tuple(int(axis) % max(nodes.ndim, 1) for axis in chosen) if nodes.ndim else ()
    shape = [1 if axis in where else size for axis, size in enumerate(nodes.shape)]
    order = [axis for axis in range(nodes.ndim) if axis not in where] + list(where)
    flat = nodes.transpose(order).reshape(int(np.prod(shape)), -1)
    found = np.empty(len(flat), dtype=object)
    for place, row in enumerate(flat):
        found[place] = rec.graph.total(row)
    left = [size for axis, size in enumerate(nodes.shape) if axis not in where]
    return found.reshape(shape if keepdim else left)


def _select(rec: Recorder, given: Tensor, axis: int = 0, index: int = 0) -> NDArray[Any]:
    return np.asarray(np.take(rec.nodes_of(given), index, axis), dtype=object)


def _slice(rec: Recorder, given: Tensor, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    nodes = rec.nodes_of(given)
    return nodes[(slice(None),) * (axis % nodes.ndim) + (slice(start, end, step),)]


def _pieces(rec: Recorder, given: Tensor, sizes: int | Sequence[int], axis: int = 0) -> list[NDArray[Any]]:
    nodes = rec.nodes_of(given)
    length = nodes.shape[axis]
    ends = np.arange(sizes, length, sizes) if isinstance(sizes, int) else np.cumsum(sizes)[:-1]
    return np.split(nodes, ends, axis)


def _unbound(rec: Recorder, given: Tensor, axis: int = 0) -> list[NDArray[Any]]:
    nodes = rec.nodes_of(given)
    return [np.asarray(np.take(nodes, k, axis), dtype=object) for k in range(nodes.shape[axis])]


def _squeezed(rec: Recorder, given: Tensor, axes: Any = None) -> NDArray[Any]:
    nodes = rec.nodes_of(given)
    chosen = range(nodes.ndim) if axes is None else [axis % max(nodes.ndim, 1) for axis in np.atleast_1d(axes)]
    return nodes.reshape([size for axis, size in enumerate(nodes.shape) if axis not in chosen or size != 1])


def _converted(rec: Recorder, given: Tensor, *, dtype: Any = None, **named: Any) -> NDArray[Any]:
    if given.dtype == torch.bool and dtype is not None and dtype.is_floating_point:
        one, zero = rec.graph.number(1.0), rec.graph.number(0.0)
        return rec.map(lambda x: rec.graph.apply("select", x, one, zero), given)
    if dtype not in {None, given.dtype}:
        raise NotCompilableError(f"a conversion to {dtype} is not known to it: let numbers keep their precision")
    return rec.nodes_of(given)


def _expanded(rec: Recorder, given: Tensor, shape: Sequence[int], **named: Any) -> NDArray[Any]:
    nodes = rec.nodes_of(given)
    known = (*[1] * (len(shape) - nodes.ndim), *nodes.shape)
    return np.broadcast_to(nodes, [old if new == -1 else new for old, new in zip(known, shape, strict=True)])


def _full(value: float | None) -> Rule:
    """A tensor of one number, of the shape of another."""

    def rule(rec: Recorder, like: Tensor, given: float = 0.0, **named: Any) -> NDArray[Any]:
        return np.full(tuple(like.shape), rec.graph.number(given if value is None else value), dtype=object)

    return rule


def _same(rec: Recorder, given: Tensor, **named: Any) -> NDArray[Any]:
    return rec.nodes_of(given)


OPERATIONS: dict[str, Rule] = {
    **{name: _each(name) for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "atan", "atan2", "tanh")},
    **{"mul": _each("times"), "neg": _each("negative"), "abs": _each("fabs"), "sigmoid": _each("logistic")},
    **{"add": _scaled("add"), "sub": _scaled("subtract"), "div": _quotient, "reciprocal": _from_one("over")},
    **{"minimum": _each("smaller"), "maximum": _each("larger"), "where": _each("select"), "pow": _power},
    **{"lt": _each("less"), "le": _each("at_most"), "gt": _swapped("less"), "ge": _swapped("at_most")},
    **{"eq": _each("equal"), "ne": _not_equal, "sign": _sign, "sgn": _sign, "relu": _rectified},
    **{"logical_and": _each("and"), "bitwise_and": _each("and"), "logical_or": _each("or"), "bitwise_or": _each("or")},
    **{"logical_not": _each("not"), "bitwise_not": _each("not"), "clamp": _clamp, "clamp_min": _clamp},
    "clamp_max": lambda rec, given, high: _clamp(rec, given, None, high),
    **{"mm": _product, "mv": _product, "dot": _product, "bmm": _product, "addmm": _product_and_sum, "sum": _sum},
    **{"select": _select, "slice": _slice, "split": _pieces, "split_with_sizes": _pieces, "unbind": _unbound},
    **{"squeeze": _squeezed, "expand": _expanded, "_to_copy": _converted},
    **{"zeros_like": _full(0.0), "ones_like": _full(1.0), "full_like": _full(None)},
    **dict.fromkeys(("alias", "clone", "detach", "lift_fresh", "contiguous"), _same),
    "unsqueeze": lambda rec, given, axis: np.expand_dims(rec.nodes_of(given), axis),
    "stack": lambda rec, given, axis=0: np.stack([rec.nodes_of(one) for one in given], axis),
    "cat": lambda rec, given, axis=0: np.concatenate([rec.nodes_of(one) for one in given], axis),
    "permute": lambda rec, given, axes: rec.nodes_of(given).transpose(axes),
    "t": lambda rec, given: rec.nodes_of(given).T,
    "transpose": lambda rec, given, one, other: np.swapaxes(rec.nodes_of(given), one, other),
    **{name: lambda rec, given, shape: rec.nodes_of(given).reshape(shape) for name in ("view", "_unsafe_view")},
}
"""By their names in torch (aten)."""
