"""How close atoms of each pair of species come in data: below that, only a repulsion can know."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from potentia.potentials.formats.reading import StructureLike, read_structures
from potentia.potentials.neighbours import find_neighbours_of

__all__ = ["shortest_distances"]

CHUNK = 1024
"""Structures that are looked at together."""


def shortest_distances(
    structures: StructureLike | Iterable[StructureLike], reach: float = 3.0
) -> dict[tuple[str, str], float]:
    """Return the shortest distance (Å) between atoms of each pair of species.

    Pairs farther than ``reach`` (Å) are left out. The species of a pair are in alphabetical order, the
    shortest distance comes first.

    Raises:
        DataError: a structure cannot be read, or two of its atoms lie on each other.

    >>> from potentia import Structure
    >>> water = Structure([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], ["O", "H", "H"])
    >>> {pair: round(distance, 2) for pair, distance in shortest_distances(water).items()}
    {('H', 'O'): 0.96, ('H', 'H'): 1.52}
    """
    found: dict[tuple[str, str], float] = {}
    items = read_structures(structures).structures
    for begin in range(0, len(items), CHUNK):
        part = items[begin : begin + CHUNK]
        for structure, pairs in zip(part, find_neighbours_of(part, reach), strict=True):
            names, kinds = np.unique(structure.species, return_inverse=True)
            least = np.full((len(names), len(names)), np.inf)
            np.minimum.at(least, (kinds[pairs.centre], kinds[pairs.neighbour]), pairs.distance)
            for i, j in np.argwhere(np.triu(np.isfinite(least))):
                pair = str(names[i]), str(names[j])
                found[pair] = min(found.get(pair, np.inf), float(least[i, j]))
    return dict(sorted(found.items(), key=lambda item: item[1]))
