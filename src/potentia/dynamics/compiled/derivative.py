"""Derivatives of a graph as nodes of the same graph: backwards from its outputs, or as a table of partial derivatives.

Where a function has no derivative (an absolute value at 0, the smaller of equals) the value is the one torch gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from potentia.dynamics.compiled.graph import Graph, Node, operands_of

__all__ = ["Partials", "partials", "pull_back"]

Partials = dict[tuple[int, int], Node]
"""Number of the output and number of the input → derivative; what is missing is 0."""
Rule = Callable[[Graph, Node, Node, tuple[Node, ...]], tuple[Node | None, ...]]
"""Graph, derivative by the node, the node, its operands → derivatives by these, None where there is none."""


def pull_back(graph: Graph, cotangents: Mapping[Node, Node], inputs: Sequence[Node]) -> list[Node | None]:
    """Return the derivatives of Σ cotangent·output by the inputs, None where it depends on an input nowhere."""
    found: dict[Node, Node] = {}
    for output, cotangent in cotangents.items():
        found[output] = cotangent
    wanted = set(inputs)
    asking = _above(graph, set(inputs), max(cotangents, default=-1))
    for node in range(max(cotangents, default=-1), -1, -1):
        if node not in found or node not in asking or node in wanted:
            continue
        operation, *operands = graph.entries[node]
        if operation in {"input", "number"}:
            continue
        parts = RULES[operation](graph, found[node], node, tuple(operands))
        for operand, part in zip(operands, parts, strict=True):
            if part is not None and operand in asking:
                found[operand] = part if operand not in found else graph.apply("add", found[operand], part)
    return [found.get(node) for node in inputs]


def partials(graph: Graph, outputs: Sequence[Node], inputs: Sequence[Node]) -> Partials:
    """Return the derivatives of each output by each input that are not 0 everywhere."""
    found: Partials = {}
    one = graph.number(1.0)
    for row, output in enumerate(outputs):
        for column, node in enumerate(pull_back(graph, {output: one}, inputs)):
            if node is not None:
                found[row, column] = node
    return found


def _above(graph: Graph, inputs: set[Node], last: Node) -> set[Node]:
    """Return the inputs and all nodes that depend on one of them."""
    found = set(inputs)
    for node in range(last + 1):
        if any(operand in found for operand in operands_of(graph.entries[node])):
            found.add(node)
    return found


def _chosen(graph: Graph, condition: Node, a: Node, b: Node) -> Node:
    return graph.apply("select", condition, a, b)


def _add(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return d, d


def _subtract(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return d, graph.apply("negative", d)


def _times(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    a, b = given
    return graph.apply("times", d, b), graph.apply("times", d, a)


def _over(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    scaled = graph.apply("over", d, given[1])
    return scaled, graph.apply("negative", graph.apply("times", scaled, node))


def _negative(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return (graph.apply("negative", d),)


def _extreme(name: str) -> Rule:
    """The smaller or larger; equals share the derivative."""

    def rule(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
        a, b = given
        zero, half = graph.number(0.0), graph.apply("times", graph.number(0.5), d)
        kept = _chosen(graph, graph.apply("equal", a, b), half, d)
        first, second = (a, b) if name == "smaller" else (b, a)
        drop_a, drop_b = graph.apply("less", second, first), graph.apply("less", first, second)
        return _chosen(graph, drop_a, zero, kept), _chosen(graph, drop_b, zero, kept)

    return rule


def _bound(name: str) -> Rule:
    """A number kept within a bound: inside and at the bound the derivative is the number's."""

    def rule(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
        a, b = given if name == "smaller" else given[::-1]
        inside, zero = graph.apply("at_most", a, b), graph.number(0.0)
        outside = graph.apply("less", b, a)
        return _chosen(graph, inside, d, zero), _chosen(graph, outside, d, zero)

    return rule


def _fabs(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    zero = graph.number(0.0)
    below = _chosen(graph, graph.apply("less", given[0], zero), graph.apply("negative", d), zero)
    return (_chosen(graph, graph.apply("less", zero, given[0]), d, below),)


def _sqrt(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return (graph.apply("over", d, graph.apply("add", node, node)),)


def _exp(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return (graph.apply("times", d, node),)


def _log(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return (graph.apply("over", d, given[0]),)


def _sin(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return (graph.apply("times", d, graph.apply("cos", given[0])),)


def _cos(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return (graph.apply("negative", graph.apply("times", d, graph.apply("sin", given[0]))),)


def _tan(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return (graph.apply("times", d, graph.apply("add", graph.number(1.0), graph.apply("times", node, node))),)


def _atan(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    square = graph.apply("times", given[0], given[0])
    return (graph.apply("over", d, graph.apply("add", graph.number(1.0), square)),)


def _atan2(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    y, x = given
    square = graph.apply("add", graph.apply("times", y, y), graph.apply("times", x, x))
    scaled = graph.apply("over", d, square)
    zero = graph.number(0.0)
    scaled = _chosen(graph, graph.apply("equal", square, zero), zero, scaled)
    return graph.apply("times", scaled, x), graph.apply("negative", graph.apply("times", scaled, y))


def _tanh(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    slope = graph.apply("subtract", graph.number(1.0), graph.apply("times", node, node))
    return (graph.apply("times", d, slope),)


def _logistic(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    rest = graph.apply("subtract", graph.number(1.0), node)
    return (graph.apply("times", d, graph.apply("times", node, rest)),)


def _select(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    zero = graph.number(0.0)
    return None, _chosen(graph, given[0], d, zero), _chosen(graph, given[0], zero, d)


def _truth(graph: Graph, d: Node, node: Node, given: tuple[Node, ...]) -> tuple[Node | None, ...]:
    return tuple(None for _ in given)


RULES: dict[str, Rule] = {
    "add": _add,
    "subtract": _subtract,
    "times": _times,
    "over": _over,
    "negative": _negative,
    "smaller": _extreme("smaller"),
    "larger": _extreme("larger"),
    "smaller_or_first": _bound("smaller"),
    "larger_or_first": _bound("larger"),
    "fabs": _fabs,
    "sqrt": _sqrt,
    "exp": _exp,
    "log": _log,
    "sin": _sin,
    "cos": _cos,
    "tan": _tan,
    "atan": _atan,
    "atan2": _atan2,
    "tanh": _tanh,
    "logistic": _logistic,
    "select": _select,
    **dict.fromkeys(("less", "at_most", "equal", "not", "and", "or"), _truth),
}
"""By operation."""
