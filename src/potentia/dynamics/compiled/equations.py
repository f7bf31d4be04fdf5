"""A model's equations as programs: what a roll-out evaluates, and the derivatives of that.

What depends on parameters and constants alone is computed once for a window: the *prepared* numbers. The equations of a
step get states, controls and these. Rows of the inputs of a program, one behind the other:

=============  ==============================================
states         where the rates are wanted
used           controls that the step uses
prepared       from parameters and constants
length         of the step (s)
given          controls before limits
cotangent      of what the program returns, for derivatives
=============  ==============================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from potentia.dynamics.compiled.derivative import Partials, partials, pull_back
from potentia.dynamics.compiled.graph import Entry, Graph, Node, Program, operands_of

__all__ = ["Equations", "split"]


@dataclass(frozen=True, eq=False)
class Equations:
    """Programs of a model in one precision; made by `split`."""

    n_states: int
    n_controls: int
    n_params: int
    """Entries of all parameters."""
    n_constants: int
    prepare: Program
    """Parameters, constants → prepared numbers."""
    rates: Program
    """Rates of change of the states."""
    limit: Program
    """Controls that the step may use, of the given ones."""

    @cached_property
    def digest(self) -> str:
        """Equal for equal equations."""
        sizes = (self.n_states, self.n_controls, self.n_params, self.n_constants)
        text = repr((sizes, self.prepare, self.rates, self.limit))
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def n_prepared(self) -> int:
        """Prepared numbers."""
        return len(self.prepare.outputs)

    @property
    def first_used(self) -> int:
        """Row of the first control that the step uses."""
        return self.n_states

    @property
    def first_prepared(self) -> int:
        """Row of the first prepared number."""
        return self.n_states + self.n_controls

    @property
    def length_row(self) -> int:
        """Row of the length of the step."""
        return self.first_prepared + self.n_prepared

    @property
    def first_given(self) -> int:
        """Row of the first control before limits."""
        return self.length_row + 1

    @property
    def first_cotangent(self) -> int:
        """Row of the first cotangent."""
        return self.first_given + self.n_controls

    @property
    def n_rows(self) -> int:
        """Rows of the inputs of a step."""
        return self.first_cotangent + max(self.n_states, self.n_controls)

    @property
    def n_preparing(self) -> int:
        """Rows of the inputs of `prepare` and its derivative: parameters, constants, cotangents."""
        return self.n_params + self.n_constants + self.n_prepared

    @cached_property
    def finish(self) -> Program:
        """States, all of them NaN if one is not finite."""
        graph = Graph()
        states = [graph.input(row) for row in range(self.n_states)]
        blot = graph.total(graph.apply("times", graph.number(0.0), state) for state in states)
        return Program(graph, [graph.apply("add", state, blot) for state in states])

    @cached_property
    def rates_back(self) -> Program:
        """Cotangents of the rates → those of states, used controls and prepared numbers."""
        inputs = range(self.length_row)
        return _backwards(self.rates, inputs, self.first_cotangent)

    @cached_property
    def limit_back(self) -> Program:
        """Cotangents of the used controls → those of states, given controls and prepared numbers."""
        return _backwards(self.limit, self._of_limit, self.first_cotangent)

    @cached_property
    def prepare_back(self) -> Program:
        """Cotangents of the prepared numbers → those of the parameters."""
        return _backwards(self.prepare, range(self.n_params), self.n_params + self.n_constants)

    @property
    def _of_limit(self) -> list[int]:
        """Rows that the limit depends on, but for the length of the step."""
        given = range(self.first_given, self.first_cotangent)
        return [*range(self.n_states), *given, *range(self.first_prepared, self.length_row)]

    @cached_property
    def rates_table(self) -> Program:
        """Partial derivatives of the rates, as `rates_push` wants them, behind the rates."""
        return _table(self.rates, range(self.length_row))[0]

    @cached_property
    def rates_push(self) -> Program:
        """Table of partial derivatives, tangents of states, used controls, prepared numbers → tangents of the rates."""
        places = _table(self.rates, range(self.length_row))[1]
        return _push(places, self.n_states, self.n_states)

    @cached_property
    def limit_table(self) -> Program:
        """Partial derivatives of the limit, behind the used controls."""
        return _table(self.limit, self._of_limit)[0]

    @cached_property
    def limit_push(self) -> Program:
        """Table, tangents of states, given controls, prepared numbers → tangents of the used controls."""
        return _push(_table(self.limit, self._of_limit)[1], self.n_controls, self.n_controls)

    @cached_property
    def prepare_table(self) -> Program:
        """Derivatives of each prepared number by each parameter: parameter by parameter, also zeros."""
        graph = Graph()
        outputs = graph.copy(self.prepare)
        found = partials(graph, outputs, [graph.input(row) for row in range(self.n_params)])
        zero = graph.number(0.0)
        pairs = ((row, column) for column in range(self.n_params) for row in range(len(outputs)))
        return Program(graph, [found.get(pair, zero) for pair in pairs])

    @property
    def n_table(self) -> int:
        """Rows of a table, the values before it included."""
        return max(len(self.rates_table.outputs), len(self.limit_table.outputs))


def _backwards(program: Program, inputs: Iterable[int], first_cotangent: int) -> Program:
    graph = Graph()
    outputs = graph.copy(program)
    cotangents: dict[Node, Node] = {}
    for number, output in enumerate(outputs):
        one = graph.input(first_cotangent + number)
        cotangents[output] = graph.apply("add", cotangents[output], one) if output in cotangents else one
    zero = graph.number(0.0)
    found = pull_back(graph, cotangents, [graph.input(row) for row in inputs])
    return Program(graph, [zero if node is None else node for node in found])


def _table(program: Program, inputs: Sequence[int]) -> tuple[Program, Partials]:
    """Return the program of values and partial derivatives, and which those are."""
    graph = Graph()
    outputs = graph.copy(program)
    found = partials(graph, outputs, [graph.input(row) for row in inputs])
    return Program(graph, [*outputs, *found.values()]), found


def _push(places: Partials, n_outputs: int, first: int) -> Program:
    """Return Σ table·tangent; the table begins behind ``first`` values, tangents are numbered after `SECOND`."""
    graph = Graph()
    terms: list[list[Node]] = [[] for _ in range(n_outputs)]
    for number, (row, column) in enumerate(places):
        tangent = graph.input(SECOND + column)
        terms[row].append(graph.apply("times", graph.input(first + number), tangent))
    return Program(graph, [graph.total(row) for row in terms])


SECOND = 1 << 20
"""From here on, inputs are rows of the second array that a program is given."""


def split(graph: Graph, rates: Sequence[Node], limit: Sequence[Node], sizes: Mapping[str, int]) -> Equations:
    """Return the equations of a graph whose inputs are states, controls, length, parameters, constants.

    A quotient by what is prepared becomes a product with the prepared inverse.
    """
    n_states, n_controls, n_params = sizes["states"], sizes["controls"], sizes["params"]
    first = n_states + n_controls + 1
    fixed = _fixed(graph, first)
    preparing, wanted = Graph(), _Wanted()
    in_preparing = _copy_fixed(graph, fixed, preparing, first)
    length = n_states + n_controls  # replaced below, when the number of prepared numbers is known
    middle = Graph()

    def prepared(node: Node, inverse: bool) -> Node:
        source = in_preparing[node]
        source = preparing.apply("over", preparing.number(1.0), source) if inverse else source
        return middle.input(SECOND + wanted.place(source))

    copied = _copy_rest(graph, fixed, middle, prepared)
    given = [middle.input(n_states + number) for number in range(n_controls)]
    ends = [copied(node) for node in (*rates, *limit)] if limit else [*(copied(node) for node in rates), *given]
    n_prepared = len(wanted.nodes)

    def row(limits: bool) -> Callable[[int], int]:
        def place(number: int) -> int:
            if number >= SECOND:
                return n_states + n_controls + number - SECOND
            if number == length:
                return n_states + n_controls + n_prepared
            moved = limits and number >= n_states
            return number + n_controls + n_prepared + 1 if moved else number

        return place

    parts = [Program(middle, ends[:n_states]), Program(middle, ends[n_states:])]
    step, limited = (_moved(part, row(limits)) for part, limits in zip(parts, (False, True), strict=True))
    prepare = Program(preparing, wanted.nodes)
    return Equations(n_states, n_controls, n_params, sizes["constants"], prepare, step, limited)


class _Wanted:
    """Prepared numbers in the order in which they were asked for."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def place(self, node: Node) -> int:
        if node not in self.nodes:
            self.nodes.append(node)
        return self.nodes.index(node)


def _fixed(graph: Graph, first: int) -> set[Node]:
    """Return the nodes that depend on inputs from ``first`` on alone, and on one of these."""
    found: set[Node] = set()
    moving: set[Node] = set()
    for node, entry in enumerate(graph.entries):
        if entry[0] == "input":
            (found if entry[1] >= first else moving).add(node)
        elif any(operand in moving for operand in operands_of(entry)):
            moving.add(node)
        elif any(operand in found for operand in operands_of(entry)):
            found.add(node)
    return found


def _copy_fixed(graph: Graph, fixed: set[Node], target: Graph, first: int) -> dict[Node, Node]:
    found: dict[Node, Node] = {}
    for node, entry in enumerate(graph.entries):
        if entry[0] == "number":
            found[node] = target.number(entry[1])
        elif node in fixed:
            operands = [found[operand] for operand in operands_of(entry)]
            found[node] = target.input(entry[1] - first) if entry[0] == "input" else target.apply(entry[0], *operands)
    return found


def _copy_rest(
    graph: Graph, fixed: set[Node], target: Graph, prepared: Callable[[Node, bool], Node]
) -> Callable[[Node], Node]:
    """Return what puts a node that moves, and all it needs, into another graph."""
    found: dict[Node, Node] = {}
    truths = _truths(graph)

    def build(node: Node) -> Node:
        entry: Entry = graph.entries[node]
        if node in fixed and node not in truths:
            return prepared(node, False)
        if entry[0] == "number":
            return target.number(entry[1])
        if entry[0] == "input":
            return target.input(entry[1])
        if entry[0] == "over" and entry[2] in fixed:
            return target.apply("times", found[entry[1]], prepared(entry[2], True))
        return target.apply(entry[0], *(found[operand] for operand in operands_of(entry)))

    def copied(node: Node) -> Node:
        for one in _needed_by(graph, node, fixed - truths):
            if one not in found:
                found[one] = build(one)
        return found[node]

    return copied


def _needed_by(graph: Graph, node: Node, known: set[Node]) -> list[Node]:
    """Return the node and what it is made of, oldest first; what is known is not looked into."""
    found: set[Node] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(() if one in known else operands_of(graph.entries[one]))
    return sorted(found)


def _truths(graph: Graph) -> set[Node]:
    """Return the truth values, which are no numbers to be prepared."""
    kinds = {"less", "at_most", "equal", "not", "and", "or"}
    return {node for node, entry in enumerate(graph.entries) if entry[0] in kinds}


def _moved(program: Program, place: Callable[[int], int]) -> Program:
    graph = Graph()
    return Program(graph, graph.copy(program, lambda number: graph.input(place(number))))
