"""All networks in compiled loops: energies with their gradient by the features, and weight gradients.

The atoms come in pieces of one network, cut the same for any number of threads. A thread works on a piece from start to
end; what pieces add to the weights is added up in their order: no bit depends on threads.
"""

from __future__ import annotations

import numpy as np

from potentia.potentials.descriptors.blocks_numba import compiled, shared
from potentia.potentials.layers_numba import (
    along_the_pulls,
    back,
    forward,
    output,
    pull,
    read_features,
    scaled,
    unpack,
)
from potentia.potentials.network_layout import BIAS, BLOCK, NODES, SHIFT, TILE, WEIGHT, WIDE_IN
from potentia.simd.sharing import take

__all__ = ["NETWORK", "PACKED", "add_up", "cut", "energies", "weight_gradients"]

NETWORK, BEGIN, END = range(3)
"""Columns of pieces."""
MOST = 64
"""About so many pieces at most."""
E_SCALING, E_SHIFT = range(2)
SUMS, PACKED, BLOCK_NODES = range(3)
"""Places in ``sizes``, of which `Layout` tells."""
LEAST = 32
"""So many atoms make a piece, if a network has them."""


@compiled
def cut(network, n_networks):
    """Return places of atoms by ``network`` [atoms], and their pieces [pieces, columns].  [atoms]"""
    n = network.size
    begin = np.zeros(n_networks + 1, np.int64)
    for k in range(n):
        begin[network[k] + 1] += 1
    for s in range(n_networks):
        begin[s + 1] += begin[s]
    order, place = np.empty(n, np.int64), begin.copy()
    for k in range(n):
        s = network[k]
        order[place[s]] = k
        place[s] += 1
    size = max(n // MOST // BLOCK + 1, LEAST // BLOCK) * BLOCK
    pieces = np.empty((n // size + n_networks, 3), np.int64)
    found = 0
    for s in range(n_networks):
        for first in range(begin[s], begin[s + 1], size):
            pieces[found, NETWORK] = s
            pieces[found, BEGIN], pieces[found, END] = first, min(first + size, begin[s + 1])
            found += 1
    return order, pieces[:found]


@shared
def energies(
    taken, layers, first, sizes, packed, values, atoms, order, pieces, mean, scale, energy, atomic, by_feature,
):  # fmt: skip
    """Fill atomic [atoms] and, unless it is empty, by_feature [atoms, features]: energies and their gradient."""
    real, n_nodes = values.dtype, sizes[BLOCK_NODES]
    one = mean.dtype.type(1)
    zeros = np.zeros(n_nodes, real)
    directed, slopes = by_feature.size > 0, scale / energy[E_SCALING]
    y, slope, curvature = np.empty(n_nodes, real), np.empty(n_nodes, real), np.empty(n_nodes, real)
    pulls, bent = np.empty(n_nodes, real), np.empty(n_nodes, real)
    k = take(taken, 1)
    while k < pieces.shape[0]:
        s, begin, end = pieces[k, NETWORK], pieces[k, BEGIN], pieces[k, END]
        bottom, top, weights = first[s], first[s + 1] - 1, packed[s]
        base, wide = layers[bottom, NODES], layers[bottom, WIDE_IN]
        for start in range(begin, end, BLOCK):
            count = min(BLOCK, end - start)
            rows = (count + TILE - 1) // TILE * TILE
            read_features(values, atoms, order, start, count, rows, mean, scale, y)
            forward(layers, bottom, top, rows, weights, one, y, slope, curvature)
            for row in range(count):
                found = output(layers[top], row, weights, y) + weights[layers[top, SHIFT]]
                atomic[order[start + row]] = found / energy[E_SCALING] + energy[E_SHIFT]
            if directed:
                pull(layers, bottom, top, bottom, rows, weights, zeros, slope, pulls, bent)
                for row in range(count):
                    scaled(pulls[base + row * wide :], slopes, by_feature[order[start + row]])
        k = take(taken, 1)


@shared
def weight_gradients(
    taken, layers, first, sizes, packed, values, atoms, order, pieces, mean, scale, energy, owner,
    by_energy, change, by_piece,
):  # fmt: skip
    """Fill by_piece [pieces, largest network] with what each gives to the derivative of Σ by_energy·energy by weights.

    The derivative of Σ change·dE/dG is added, unless ``change`` [atoms, features] is empty. ``owner`` [atoms] says
    which of ``by_energy`` [structures] an atom has.
    """
    real, n_nodes = values.dtype, sizes[BLOCK_NODES]
    one = mean.dtype.type(1)
    zeros = np.zeros(n_nodes, real)
    directed, slopes = change.size > 0, scale / energy[E_SCALING]
    y, slope, curvature = np.empty(n_nodes, real), np.empty(n_nodes, real), np.empty(n_nodes, real)
    pulls, bent = np.empty(n_nodes, real), np.empty(n_nodes, real)
    up, down, by_value = np.empty(n_nodes, real), np.empty(n_nodes, real), np.empty(BLOCK, real)
    sums = np.empty(sizes[SUMS], real)
    k = take(taken, 1)
    while k < pieces.shape[0]:
        s, begin, end = pieces[k, NETWORK], pieces[k, BEGIN], pieces[k, END]
        bottom, top, weights = first[s], first[s + 1] - 1, packed[s]
        base, wide = layers[bottom, NODES], layers[bottom, WIDE_IN]
        sums[:] = 0.0
        for start in range(begin, end, BLOCK):
            count = min(BLOCK, end - start)
            rows = (count + TILE - 1) // TILE * TILE
            read_features(values, atoms, order, start, count, rows, mean, scale, y)
            forward(layers, bottom, top, rows, weights, one, y, slope, curvature)
            by_value[:] = 0.0
            for row in range(count):
                by_value[row] = by_energy[owner[order[start + row]]] / energy[E_SCALING]
            if directed:
                up[base : base + rows * wide] = 0.0
                for row in range(count):
                    scaled(change[order[start + row]], slopes, up[base + row * wide :])
                pull(layers, bottom, top, bottom + 1, rows, weights, zeros, slope, pulls, bent)
                along_the_pulls(layers, bottom, top, rows, count, weights, zeros, slope, pulls, bent, up, sums)
            back(
                layers, bottom, top, rows, count, weights, zeros, by_value, directed, y, slope, curvature, pulls,
                up, down, sums,
            )  # fmt: skip
        unpack(layers, bottom, top + 1, sums, by_piece[k])
        k = take(taken, 1)


@compiled
def add_up(layers, first, pieces, by_piece, out):
    """Sum the weight gradients of pieces, in their order.  out [parameters]"""
    out[:] = 0.0
    for k in range(pieces.shape[0]):
        s = pieces[k, NETWORK]
        begin, end = layers[first[s], WEIGHT], layers[first[s + 1] - 1, BIAS] + 1
        whole, part = out[begin:end], by_piece[k]
        for p in range(end - begin):
            whole[p] += part[p]
