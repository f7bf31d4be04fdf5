"""Where the weights and nodes of networks stand in the arrays of the compiled passes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from potentia.simd.lanes import LANES

__all__ = ["Layout", "Shape", "layout_of"]

Shape = tuple[int, tuple[tuple[int, str], ...]]
"""Inputs of a network, and nodes and activation of each of its hidden layers."""

LINEAR, SIGMOID, SILU, TANH, MTANH, TWIST = range(6)
ACTIVATIONS = {"linear": LINEAR, "tanh": TANH, "sigmoid": SIGMOID, "silu": SILU, "mtanh": MTANH, "twist": TWIST}
"""The activations that there is compiled code for."""
INPUTS, OUTPUTS, WIDE_IN, WIDE_OUT, KIND, WEIGHT, BIAS, DOWN, UP, SHIFT, NODES = range(11)
"""Columns of `Layout.layers`."""
BLOCK = 16
"""Atoms whose nodes are worked on together: they stay in the nearest cache."""
TILE = 4
"""Rows of a product that are made together."""


@dataclass(frozen=True)
class Layout:
    """The layers of some networks, one after the other, as a table."""

    layers: NDArray[np.int64]
    """Inputs, outputs, both filled up to whole vectors; number of the activation; where weights and biases begin in all
    parameters laid end to end; where weights by outputs, by inputs and biases begin in the packed weights of the
    network; and where the nodes of the inputs begin in those of a block.  [layers, columns]"""
    first: NDArray[np.int64]
    """First layer of each network, and the number of layers.  [networks + 1]"""
    n_parameters: int
    """Of the largest network."""
    sizes: NDArray[np.int64]
    """Numbers of the largest network's packed weights without those by inputs, which stand behind, and with them; and
    of one block of nodes.  [3]"""


@lru_cache(maxsize=64)
def layout_of(shapes: tuple[Shape, ...]) -> Layout | None:
    """Return the table for networks of these shapes, None if one has an activation without compiled code."""
    if any(name not in ACTIVATIONS for _, hidden in shapes for _, name in hidden):
        return None
    rows: list[list[int]] = []
    first, parameters, largest = [0], 0, [0, 0, 0, 0]
    for n_inputs, hidden in shapes:
        sizes = list(pairwise([n_inputs, *(n for n, _ in hidden), 1]))
        kinds = [*(ACTIVATIONS[name] for _, name in hidden), LINEAR]
        begin, sums, node = parameters, 0, 0
        bias = begin + sum(n * m for n, m in sizes)
        up = sum(_filled(m, TILE) * _filled(n, LANES) + _filled(m, LANES) for n, m in sizes)
        n_sums = up
        for (n, m), kind in zip(sizes, kinds, strict=True):
            wide, wide_out = _filled(n, LANES), _filled(m, LANES)
            shift = sums + _filled(m, TILE) * wide
            rows.append([n, m, wide, wide_out, kind, parameters, bias, sums, up, shift, node])
            parameters, bias, sums = parameters + n * m, bias + m, shift + wide_out
            up, node = up + n * wide_out, node + BLOCK * wide
        parameters = bias
        first.append(len(rows))
        sizes_now = (parameters - begin, n_sums, up, node)
        largest = [max(one, other) for one, other in zip(largest, sizes_now, strict=True)]
    return Layout(
        np.array(rows, dtype=np.int64),
        np.array(first, dtype=np.int64),
        largest[0],
        np.array(largest[1:], dtype=np.int64),
    )


def _filled(n: int, whole: int) -> int:
    return (n + whole - 1) // whole * whole
