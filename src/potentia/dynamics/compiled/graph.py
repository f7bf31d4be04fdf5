"""Equations as a graph: operations on numbers in the order of computing, equal ones once, those on constants done.

A node is a number; what it stands for is an entry ``(operation, *operands)`` of the graph's list. Operands are nodes,
but for ``("input", k)`` and ``("number", value)``. Truth values are nodes as well, made by comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["ARITHMETIC", "Entry", "Graph", "Node", "Program", "operands_of"]

Node: TypeAlias = int
Entry: TypeAlias = tuple[Any, ...]

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "times": np.multiply,
    "over": np.divide,
    "negative": np.negative,
    "smaller": np.minimum,
    "larger": np.maximum,
    "smaller_or_first": np.minimum,
    "larger_or_first": np.maximum,
    "fabs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "less": np.less,
    "at_most": np.less_equal,
    "equal": np.equal,
    "not": np.logical_not,
    "and": np.logical_and,
    "or": np.logical_or,
    "select": np.where,
}
"""What each operation is, in NumPy. ``_or_first``: the derivative where both are equal is that of the first alone."""
COMMUTE = frozenset({"add", "times", "equal", "and", "or"})


class Graph:
    """Grows by one node with each operation; never changes one."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._known: dict[Entry, Node] = {}

    def input(self, place: int) -> Node:
        """Return the input of this number."""
        return self._node(("input", place))

    def number(self, value: float | bool) -> Node:
        """Return a constant."""
        kept = value if isinstance(value, bool) else float(value)
        if isinstance(kept, float) and math.isnan(kept):
            kept = math.nan  # one and the same object, so that it is found again
        return self._node(("number", kept, math.copysign(1.0, kept), type(kept).__name__))

    def apply(self, operation: str, *operands: Node) -> Node:
        """Return the node of an operation; simpler ones where constants allow it exactly."""
        values = [self._value(operand) for operand in operands]
        if all(value is not None for value in values):
            with np.errstate(all="ignore"):
                found = ARITHMETIC[operation](*values)
            return self.number(bool(found) if np.asarray(found).dtype == bool else float(found))
        if operation in COMMUTE:
            operands = tuple(sorted(operands))
            values = [self._value(operand) for operand in operands]
        simpler = self._simpler(operation, operands, values)
        return self._node((operation, *operands)) if simpler is None else simpler

    def total(self, nodes: Iterable[Node]) -> Node:
        """Return the sum; 0 of nothing."""
        found: Node | None = None
        for node in nodes:
            found = node if found is None else self.apply("add", found, node)
        return self.number(0.0) if found is None else found

    def copy(self, program: Program, inputs: Callable[[int], Node] | None = None) -> list[Node]:
        """Return the nodes of a program's outputs, which are put into this graph; ``inputs`` says where its own go."""
        found: list[Node] = []
        for operation, *operands in program.entries:
            if operation == "input":
                found.append(self.input(operands[0]) if inputs is None else inputs(operands[0]))
            elif operation == "number":
                found.append(self.number(operands[0]))
            else:
                found.append(self.apply(operation, *(found[operand] for operand in operands)))
        return [found[node] for node in program.outputs]

    def _node(self, entry: Entry) -> Node:
        if entry not in self._known:
            self._known[entry] = len(self.entries)
            self.entries.append(entry)
        return self._known[entry]

    def _value(self, node: Node) -> float | bool | None:
        entry = self.entries[node]
        return entry[1] if entry[0] == "number" else None

    def _simpler(self, operation: str, operands: Sequence[Node], values: Sequence[Any]) -> Node | None:
        """Return what needs no operation: x + 0, x·1, x/1, −(−x), a choice between equals."""
        neutral = {"add": 0.0, "times": 1.0}.get(operation)
        if neutral is not None:
            for value, other in zip(values, reversed(operands), strict=True):
                if value is not None and value == neutral:
                    return other
        if operation == "times" and -1.0 in values:
            return self.apply("negative", operands[1 - values.index(-1.0)])
        if (operation == "subtract" and values[1] == 0) or (operation == "over" and values[1] == 1):
            return operands[0]
        entry = self.entries[operands[0]]
        if operation == "negative" and entry[0] == "negative":
            return int(entry[1])
        if operation == "select":
            if values[0] is not None:
                return operands[1] if values[0] else operands[2]
            if operands[1] == operands[2]:
                return operands[1]
        return None


class Program:
    """Outputs of a graph with what they need, in order; equal programs have equal text."""

    def __init__(self, graph: Graph, outputs: Sequence[Node]) -> None:
        needed = _needed(graph, outputs)
        place = {node: number for number, node in enumerate(needed)}
        self.entries: tuple[Entry, ...] = tuple(_renumbered(graph.entries[node], place) for node in needed)
        self.outputs: tuple[int, ...] = tuple(place[node] for node in outputs)

    def __repr__(self) -> str:
        return f"{self.entries} -> {self.outputs}"

    def __call__(self, inputs: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """Return the outputs, by NumPy; inputs are arrays of one shape."""
        found: list[Any] = []
        with np.errstate(all="ignore"):
            for operation, *operands in self.entries:
                if operation == "input":
                    found.append(inputs[operands[0]])
                elif operation == "number":
                    found.append(operands[0])
                else:
                    found.append(ARITHMETIC[operation](*(found[operand] for operand in operands)))
        shape = np.shape(inputs[0]) if inputs else ()
        return [np.broadcast_to(found[node], shape) for node in self.outputs]

    @property
    def operations(self) -> int:
        """How many operations it takes; an elementary function counts as one."""
        return sum(entry[0] not in {"input", "number"} for entry in self.entries)


def _needed(graph: Graph, outputs: Iterable[Node]) -> list[Node]:
    found: set[Node] = set()
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(operands_of(graph.entries[node]))
    return sorted(found)  # an operand is older than what is made of it


def operands_of(entry: Entry) -> tuple[Node, ...]:
    """Return the nodes that an entry is made of."""
    return () if entry[0] in {"input", "number"} else entry[1:]


def _renumbered(entry: Entry, place: dict[Node, int]) -> Entry:
    if entry[0] in {"input", "number"}:
        return entry[:2]
    return (entry[0], *(place[node] for node in entry[1:]))
