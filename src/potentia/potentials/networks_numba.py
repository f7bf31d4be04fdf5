"""All networks in compiled loops: energies with their gradient by the features, and weight gradients.

The atoms come in pieces of one network, cut the same for any number of threads. A thread works on a piece from start to
end; what pieces add to the weights is added up in their order: no bit depends on threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from potentia.potentials.descriptors.blocks_numba import compiled, threaded
from potentia.potentials.layers_numba import (
    along_the_pulls,
    back,
    forward,
    output,
    pack,
    pull,
    read_features,
    scaled,
    unpack,
)
from potentia.potentials.network_layout import BIAS, BLOCK, NODES, SHIFT, TILE, WEIGHT, WIDE_IN

__all__ = ["NETWORK", "cut", "energies", "weight_gradients"]

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


@compiled
def _energies_of_piece(
    begin, end, layers, first, last, sizes, packed, values, atoms, order, mean, scale, energy,
    atomic, by_feature,
):  # fmt: skip
    real, n_nodes = values.dtype, sizes[BLOCK_NODES]
    one = mean.dtype.type(1)
    zeros = np.zeros(n_nodes, real)
    directed, slopes = by_feature.size > 0, scale / energy[E_SCALING]
    y, slope, curvature = np.empty(n_nodes, real), np.empty(n_nodes, real), np.empty(n_nodes, real)
    pulls, bent = np.empty(n_nodes, real), np.empty(n_nodes, real)
    base, wide = layers[first, NODES], layers[first, WIDE_IN]
    for start in range(begin, end, BLOCK):
        count = min(BLOCK, end - start)
        rows = (count + TILE - 1) // TILE * TILE
        read_features(values, atoms, order, start, count, rows, mean, scale, y)
        forward(layers, first, last, rows, packed, one, y, slope, curvature)
        for row in range(count):
            found = output(layers[last], row, packed, y) + packed[layers[last, SHIFT]]
            atomic[order[start + row]] = found / energy[E_SCALING] + energy[E_SHIFT]
        if directed:
            pull(layers, first, last, first, rows, packed, zeros, slope, pulls, bent)
            for row in range(count):
                scaled(pulls[base + row * wide :], slopes, by_feature[order[start + row]])


@threaded
def energies(
    layers, first, sizes, parameters, values, atoms, order, pieces, mean, scale, energy, atomic, by_feature,
):  # fmt: skip
    """Fill atomic [atoms] and, unless it is empty, by_feature [atoms, features]: energies and their gradient."""
    packed = pack(layers, first, parameters, sizes[PACKED])
    for k in prange(pieces.shape[0]):
        s = pieces[k, NETWORK]
        _energies_of_piece(
            pieces[k, BEGIN], pieces[k, END], layers, first[s], first[s + 1] - 1, sizes, packed[s],
            values, atoms, order, mean, scale, energy, atomic, by_feature,
        )  # fmt: skip


@compiled
def _gradients_of_piece(
    begin, end, layers, first, last, sizes, packed, values, atoms, order, mean, scale, energy, owner,
    by_energy, change, out,
):  # fmt: skip
    real, n_nodes = values.dtype, sizes[BLOCK_NODES]
    one = mean.dtype.type(1)
    zeros = np.zeros(n_nodes, real)
    directed, slopes = change.size > 0, scale / energy[E_SCALING]
    y, slope, curvature = np.empty(n_nodes, real), np.empty(n_nodes, real), np.empty(n_nodes, real)
    pulls, bent = np.empty(n_nodes, real), np.empty(n_nodes, real)
    up, down, by_value = np.empty(n_nodes, real), np.empty(n_nodes, real), np.empty(BLOCK, real)
    sums = np.zeros(sizes[SUMS], real)
    base, wide = layers[first, NODES], layers[first, WIDE_IN]
    for start in range(begin, end, BLOCK):
        count = min(BLOCK, end - start)
        rows = (count + TILE - 1) // TILE * TILE
        read_features(values, atoms, order, start, count, rows, mean, scale, y)
        forward(layers, first, last, rows, packed, one, y, slope, curvature)
        by_value[:] = 0.0
        for row in range(count):
            by_value[row] = by_energy[owner[order[start + row]]] / energy[E_SCALING]
        if directed:
            up[base : base + rows * wide] = 0.0
            for row in range(count):
                scaled(change[order[start + row]], slopes, up[base + row * wide :])
            pull(layers, first, last, first + 1, rows, packed, zeros, slope, pulls, bent)
            along_the_pulls(layers, first, last, rows, count, packed, zeros, slope, pulls, bent, up, sums)
        back(
            layers, first, last, rows, count, packed, zeros, by_value, directed, y, slope, curvature, pulls, up,
            down, sums,
        )  # fmt: skip
    unpack(layers, first, last + 1, sums, out)


@compiled
def _add_up(layers, first, pieces, by_piece, out):
    """Sum the weight gradients of pieces, in their order."""
    out[:] = 0.0
    for k in range(pieces.shape[0]):
        s = pieces[k, NETWORK]
        begin, end = layers[first[s], WEIGHT], layers[first[s + 1] - 1, BIAS] + 1
        whole, part = out[begin:end], by_piece[k]
        for p in range(end - begin):
            whole[p] += part[p]


@threaded
def weight_gradients(
    layers, first, sizes, parameters, values, atoms, order, pieces, mean, scale, energy, owner,
    by_energy, change, by_piece, out,
):  # fmt: skip
    """Fill out [parameters] with the derivative of Σ by_energy·energy + Σ change·dE/dG, without the latter if empty.

    ``owner`` [atoms] says which of ``by_energy`` [structures] an atom has; ``by_piece`` [pieces, largest network] is
    for work.
    """
    packed = pack(layers, first, parameters, sizes[PACKED])
    for k in prange(pieces.shape[0]):
        s = pieces[k, NETWORK]
        _gradients_of_piece(
            pieces[k, BEGIN], pieces[k, END], layers, first[s], first[s + 1] - 1, sizes, packed[s],
            values, atoms, order, mean, scale, energy, owner, by_energy, change, by_piece[k],
        )  # fmt: skip
    _add_up(layers, first, pieces, by_piece, out)
