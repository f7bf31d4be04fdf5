"""Features that count: clusters on a periodic grid, and the complexity of a binary sequence."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

__all__ = ["clusters", "lempel_ziv"]


def clusters(active: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of clusters of active points in each field, and the size of the largest.  [fields] each

    Points are neighbours along the axes, also across the periodic border.

    Args:
        active: [fields, *grid]

    >>> clusters(np.array([[True, False, True, True], [False, True, False, True]]))
    (array([1, 2]), array([3, 1]))
    """
    n_axes = active.ndim - 1
    links = np.zeros((3,) * active.ndim, dtype=bool)  # none along the fields
    links[1] = ndimage.generate_binary_structure(n_axes, 1)
    labels, found = ndimage.label(active, structure=links)
    whole = _joined_over_borders(labels, found)
    sizes = np.bincount(whole[labels.ravel()], minlength=found + 1)
    field_of = np.zeros(found + 1, dtype=np.int64)
    places = np.nonzero(labels)
    field_of[whole[labels[places]]] = places[0]
    real = np.unique(whole[1:]) if found else np.zeros(0, dtype=np.int64)
    count = np.bincount(field_of[real], minlength=len(active))
    largest = np.zeros(len(active), dtype=np.int64)
    np.maximum.at(largest, field_of[real], sizes[real])
    return count, largest


def _joined_over_borders(labels: NDArray[np.int32], found: int) -> NDArray[np.int64]:
    """Return for each label the least one of those that it touches across a border; 0 stays 0."""
    pairs = [np.stack((labels.take(0, axis).ravel(), labels.take(-1, axis).ravel())) for axis in range(1, labels.ndim)]
    first, second = np.concatenate(pairs, axis=1)
    touching = (first > 0) & (second > 0)
    edges = (np.ones(touching.sum()), (first[touching], second[touching]))
    graph = sparse.coo_matrix(edges, shape=(found + 1, found + 1))
    part = sparse.csgraph.connected_components(graph, directed=False)[1]
    _, least = np.unique(part, return_index=True)
    whole: NDArray[np.int64] = least[part]
    return whole


def lempel_ziv(bits: NDArray[np.bool_]) -> float:
    """Return the number of phrases of Lempel and Ziv (1976) over n/log2 n, which a coin has about.

    A phrase ends where what it has so far is not to be found before its own last letter.

    >>> round(lempel_ziv(np.array([0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1], dtype=bool)) * 16 / 4)
    6
    """
    text, n = bits.astype(np.uint8).tobytes(), len(bits)
    phrases, begin, length = 0, 0, 1
    while begin + length <= n:
        if text.find(text[begin : begin + length], 0, begin + length - 1) < 0:
            phrases, begin, length = phrases + 1, begin + length, 1
        else:
            length += 1
    phrases += begin < n  # what is left repeats something
    return phrases * math.log2(n) / n
