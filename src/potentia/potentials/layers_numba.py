"""One block of atoms through the layers of a network and back, in compiled loops.

Everything is a product of small matrices, C = C₀ + A·B, whose rows lie along SIMD vectors: `multiply` makes four rows
of C at a time in registers. So the inputs of each layer are rows [atoms, nodes], filled up with zeros to whole vectors;
y has them layer by layer, and in the same places stand a' and a'' of what made them, the derivatives of the output by
them, and so on. The weights are `packed` in both orders, by outputs (`DOWN`) and by inputs (`UP`).

A layer is a row of the table that `network_layout.Layout` makes; the last one of a network has one output, and no
activation.
"""

from __future__ import annotations

import numpy as np

from potentia.nn.activations import MTANH_SCALE, MTANH_SLOPE, TWIST_SLOPE
from potentia.potentials.descriptors.blocks_numba import compiled
from potentia.potentials.network_layout import (
    BIAS,
    BLOCK,
    DOWN,
    INPUTS,
    KIND,
    LINEAR,
    MTANH,
    NODES,
    OUTPUTS,
    SHIFT,
    SILU,
    TANH,
    TILE,
    UP,
    WEIGHT,
    WIDE_IN,
    WIDE_OUT,
)
from potentia.simd.exponentials import hyperbolic_tangent, logistic
from potentia.simd.lanes import LANES, add_to, load, spread, spread_from, store, total

__all__ = ["along_the_pulls", "back", "forward", "output", "pack", "pull", "read_features", "scaled", "unpack"]


@compiled
def activated(kind, x, one):
    """a(x), a'(x) and a''(x)."""
    zero = one - one
    two = one + one
    if kind == LINEAR:
        return x, spread(one), spread(zero)
    if kind <= SILU:  # and sigmoid
        s = logistic(x)
        rest = one - s
        slope = s * rest
        if kind == SILU:
            y = x * s
            return y, s + y * rest, slope * (two + x * (rest - s))
        return s, slope, slope * (rest - s)
    scale, bend, straight = one, one, zero
    if kind > TANH:  # mtanh and twist
        scale, bend = one * MTANH_SCALE, one * MTANH_SLOPE
        straight = one * TWIST_SLOPE if kind > MTANH else zero
    y = hyperbolic_tangent(x * bend)
    slope = (one - y * y) * (scale * bend)
    return y * scale + x * straight, slope + straight, y * slope * (-two * bend)


@compiled
def multiply(rows, inner, width, a, first_a, by_row, by_inner, b, first_b, c0, first_c0, row_c0, c, first_c):
    """Write C = C₀ + A·B, C [rows, width], B [inner, width] vectors; ``first_`` are where they begin.

    A is ``a[first_a + by_row·row + by_inner·k]``; of C₀ a row is ``row_c0`` vectors long, 0 for the same row each time.
    """
    for row in range(0, rows, TILE):
        for j in range(width):
            start = first_c0 + row * row_c0 + j
            c_0, c_1 = load(c0, start), load(c0, start + row_c0)
            c_2, c_3 = load(c0, start + 2 * row_c0), load(c0, start + 3 * row_c0)
            place = first_a + row * by_row
            for k in range(inner):
                vector = load(b, first_b + k * width + j)
                c_0 = c_0 + vector * spread_from(a, place)
                c_1 = c_1 + vector * spread_from(a, place + by_row)
                c_2 = c_2 + vector * spread_from(a, place + 2 * by_row)
                c_3 = c_3 + vector * spread_from(a, place + 3 * by_row)
                place += by_inner
            there = first_c + row * width + j
            store(c, there, c_0)
            store(c, there + width, c_1)
            store(c, there + 2 * width, c_2)
            store(c, there + 3 * width, c_3)


@compiled
def pack(layers, first, parameters, size):
    """Return the packed weights of all networks, filled up with zeros.  [networks, size]"""
    found = np.zeros((first.size - 1, size), parameters.dtype)
    for network in range(first.size - 1):
        packed = found[network]
        for index in range(first[network], first[network + 1]):
            layer = layers[index]
            n = layer[INPUTS]
            for o in range(layer[OUTPUTS]):
                packed[layer[SHIFT] + o] = parameters[layer[BIAS] + o]
                weights = parameters[layer[WEIGHT] + o * n : layer[WEIGHT] + (o + 1) * n]
                down, up = packed[layer[DOWN] + o * layer[WIDE_IN] :], packed[layer[UP] + o :]
                for i in range(n):
                    down[i] = weights[i]
                    up[i * layer[WIDE_OUT]] = weights[i]
    return found


@compiled
def unpack(layers, first, last, packed, parameters):
    """The other way, from the `DOWN` and `SHIFT` of some layers; parameters are counted from those of the first."""
    begin = layers[first, WEIGHT]
    for index in range(first, last):
        layer = layers[index]
        n = layer[INPUTS]
        for o in range(layer[OUTPUTS]):
            parameters[layer[BIAS] - begin + o] = packed[layer[SHIFT] + o]
            weights, down = parameters[layer[WEIGHT] - begin + o * n :], packed[layer[DOWN] + o * layer[WIDE_IN] :]
            for i in range(n):
                weights[i] = down[i]


@compiled
def read_features(values, atoms, order, begin, count, rows, mean, scale, y):
    """Write x = (G - mean)·scale of ``count`` atoms to the first layer of y; rows up to ``rows`` are zeros."""
    n = values.shape[1]
    wide = (n + LANES - 1) // LANES * LANES
    for row in range(rows):
        x = y[row * wide : (row + 1) * wide]
        x[:] = 0.0
        if row < count:
            features = values[atoms[order[begin + row]]]
            for k in range(n):
                x[k] = (features[k] - mean[k]) * scale[k]


@compiled
def scaled(given, scale, taken):
    """Write given·scale to the first of ``taken``."""
    for k in range(scale.size):
        taken[k] = given[k] * scale[k]


@compiled
def forward(layers, first, last, rows, packed, one, y, slope, curvature):
    """Fill y from its first layer on, slope and curvature."""
    for index in range(first, last):
        layer = layers[index]
        width = layer[WIDE_OUT] // LANES
        here, there = layer[NODES], (layer[NODES] + BLOCK * layer[WIDE_IN]) // LANES
        multiply(
            rows, layer[INPUTS], width, y, here, layer[WIDE_IN], 1, packed, layer[UP] // LANES,
            packed, layer[SHIFT] // LANES, 0, y, there,
        )  # fmt: skip
        for k in range(there, there + rows * width):
            value, one_slope, bend = activated(layer[KIND], load(y, k), one)
            store(y, k, value)
            store(slope, k, one_slope)
            store(curvature, k, bend)


@compiled
def output(layer, row, packed, nodes):
    """Σ of the weights of the output times one row of ``nodes``."""
    width = layer[WIDE_IN] // LANES
    place, weight = layer[NODES] // LANES + row * width, layer[DOWN] // LANES
    found = load(nodes, place) * load(packed, weight)
    for j in range(1, width):
        found = found + load(nodes, place + j) * load(packed, weight + j)
    return total(found)


@compiled
def pull(layers, first, last, lowest, rows, packed, zeros, slope, pulls, bent):
    """Fill pulls, the derivatives of the output by the inputs of layers down to ``lowest``, and bent = pulls·slope.

    ``last`` is the layer of the output.
    """
    top = layers[last]
    width = top[WIDE_IN] // LANES
    for row in range(rows):
        for j in range(width):
            store(pulls, top[NODES] // LANES + row * width + j, load(packed, top[DOWN] // LANES + j))
    for index in range(last - 1, first - 1, -1):
        layer = layers[index]
        there = layer[NODES] + BLOCK * layer[WIDE_IN]
        for k in range(there // LANES, (there + rows * layer[WIDE_OUT]) // LANES):
            store(bent, k, load(pulls, k) * load(slope, k))
        if index >= lowest:
            multiply(
                rows, layer[OUTPUTS], layer[WIDE_IN] // LANES, bent, there, layer[WIDE_OUT], 1,
                packed, layer[DOWN] // LANES, zeros, 0, 0, pulls, layer[NODES] // LANES,
            )  # fmt: skip


@compiled
def add_outer(layer, count, left, place, right, sums):
    """Add Σ left ⊗ right over ``count`` atoms to the weights of a layer; left [atoms, outputs] begins at ``place``."""
    width = layer[WIDE_IN] // LANES
    weights = layer[DOWN] // LANES
    rows = (layer[OUTPUTS] + TILE - 1) // TILE * TILE
    multiply(
        rows, count, width, left, place, 1, layer[WIDE_OUT], right, layer[NODES] // LANES,
        sums, weights, width, sums, weights,
    )  # fmt: skip


@compiled
def along_the_pulls(layers, first, last, rows, count, packed, zeros, slope, pulls, bent, up, sums):
    """Carry ``up``, a direction of the inputs, to the output: what it gives to weights, and to a' in place of pulls."""
    for index in range(first, last):
        layer = layers[index]
        width = layer[WIDE_OUT] // LANES
        there = layer[NODES] + BLOCK * layer[WIDE_IN]
        add_outer(layer, count, bent, there, up, sums)
        multiply(
            rows, layer[INPUTS], width, up, layer[NODES], layer[WIDE_IN], 1, packed, layer[UP] // LANES,
            zeros, 0, 0, up, there // LANES,
        )  # fmt: skip
        for k in range(there // LANES, there // LANES + rows * width):
            turned = load(up, k)
            store(pulls, k, turned * load(pulls, k))
            store(up, k, turned * load(slope, k))


@compiled
def back(
    layers, first, last, rows, count, packed, zeros, by_value, directed, y, slope, curvature, by_slope, up, down, sums,
):  # fmt: skip
    """Carry ``by_value`` [atoms] and, where ``directed``, what ``by_slope`` and ``up`` hold back to all weights."""
    top = layers[last]
    width = top[WIDE_IN] // LANES
    for row in range(rows):
        for j in range(width):
            here = top[NODES] // LANES + row * width + j
            store(down, here, load(packed, top[DOWN] // LANES + j) * by_value[row])
            add_to(sums, top[DOWN] // LANES + j, load(y, here) * by_value[row])
            if directed:
                add_to(sums, top[DOWN] // LANES + j, load(up, here))
        sums[top[SHIFT]] += by_value[row]
    for index in range(last - 1, first - 1, -1):
        layer = layers[index]
        width = layer[WIDE_OUT] // LANES
        there = layer[NODES] + BLOCK * layer[WIDE_IN]
        for row in range(rows):
            for j in range(width):
                k = there // LANES + row * width + j
                by_sum = load(down, k) * load(slope, k)
                if directed:
                    by_sum = by_sum + load(by_slope, k) * load(curvature, k)
                store(down, k, by_sum)
                add_to(sums, layer[SHIFT] // LANES + j, by_sum)
        add_outer(layer, count, down, there, y, sums)
        if index > first:
            multiply(
                rows, layer[OUTPUTS], layer[WIDE_IN] // LANES, down, there, layer[WIDE_OUT], 1,
                packed, layer[DOWN] // LANES, zeros, 0, 0, down, layer[NODES] // LANES,
            )  # fmt: skip
