"""Structures of the test part that the training part holds already, exactly or nearly.

Two structures are compared by their fingerprints. How near is too near goes by the set itself: nearer than 1/50 of the
distance that two of its structures of one composition typically have. If energies change evenly over that distance, two
such structures differ in energy by 1/50 of the spread of the set, as little as a good potential errs: the test
structure then tests memory. (In three published sets, energies of pairs up to this distance differ in the middle by
0.06 to 2 % of their standard deviation, but by a third among 21 large cells, where a mean over many atoms sees little.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.checks import number
from potentia.data import Split
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.fingerprints import Fingerprints, fingerprints
from potentia.potentials.structure import Structure
from potentia.seeding import stream

__all__ = ["Duplicates", "duplicates", "duplicates_among", "typical_distance"]

NEAR = 0.02
"""Part of the typical distance below which two structures are nearly the same."""
BLOCK = 1_000_000
"""Distances held in memory at a time (8 bytes each)."""
MOST_PAIRS = 2_000
"""No more pairs of a composition than this tell the typical distance; else four for each of its structures."""
LABELS_AGREE = 1e-3
"""Energies of one structure that differ by more than this (eV/atom) are told."""

_COLUMNS = {
    "test": "int64",
    "train": "int64",
    "distance": "float64",
    "energy_difference": "float64",
    "exact": "bool",
    "n_train": "int64",
}


@dataclass(frozen=True, eq=False)
class Duplicates:
    """What `duplicates` found."""

    table: pd.DataFrame
    """A row for each test structure with a training structure too near, the nearest first: ``test`` and ``train``
    (places in the input, of the nearest), ``distance`` (typical = 1), ``energy_difference`` (test − train, eV/atom; NaN
    without labels), ``exact`` (the same to the descriptor but for rounding; the distance is 0 then), ``n_train`` (how
    many training structures are too near)."""
    n_test: int
    """Number of test structures."""
    threshold: float
    """Distance below which structures are nearly the same, in units of the typical one."""

    @property
    def finding(self) -> str | None:
        """A sentence for a warning; None if there is nothing to tell."""
        if self.table.empty:
            return None
        first = self.table.iloc[0]
        off = int((self.table["energy_difference"].abs()[self.table["exact"]] > LABELS_AGREE).sum())
        labels = f", {off} of them with energies more than {1000 * LABELS_AGREE:g} meV/atom apart" if off else ""
        return (
            f"{len(self.table)} of {self.n_test} test structures are nearly in the training part as well "
            f"({int(self.table['exact'].sum())} exactly{labels}), such as test structure {first['test']} and training "
            f"structure {first['train']}: the test error tells too little of new structures. Leave copies out, or "
            "split by holdout_groups or holdout_blocks"
        )


def duplicates(
    structures: Sequence[Structure], split: Split, descriptor: Descriptor, *, threshold: float = NEAR
) -> Duplicates:
    """Look for structures of the test part that are nearly in the training part.

    Found are copies that are moved, rotated, renumbered, shifted by lattice vectors or repeated. The features of a
    chunk of structures are in memory at a time, and a block of distances.

    Args:
        structures: All structures.
        split: Which of them are for training and for test.
        descriptor: The descriptor of atoms.
        threshold: Part of the typical distance below which structures are nearly the same; 0 for exact copies only.
    """
    if not len(split.train) or not len(split.test):
        return _sorted([], split, number("threshold", threshold, low=0.0))
    energies = [np.nan if s.energy is None else s.energy / s.n_atoms for s in structures]
    known = fingerprints(structures, descriptor)
    return duplicates_among(known, np.array(energies, dtype=np.float64), split, threshold=threshold)


def duplicates_among(
    known: Fingerprints, energy_per_atom: NDArray[np.float64], split: Split, *, threshold: float = NEAR
) -> Duplicates:
    """Look for the same as `duplicates` where fingerprints are known already.

    Args:
        known: Fingerprints of all structures.
        energy_per_atom: Their energies, eV/atom; NaN where there is none.  [structures]
        split: Which of them are for training and for test.
        threshold: Part of the typical distance below which structures are nearly the same; 0 for exact copies only.
    """
    limit = number("threshold", threshold, low=0.0)
    typical = typical_distance(known, np.concatenate((split.train, split.test)))
    reach = max(limit * typical, known.rounding)
    rows = [
        (
            test,
            train,
            0.0 if exact else distance / typical,
            energy_per_atom[test] - energy_per_atom[train],
            exact,
            count,
        )
        for test, train, distance, exact, count in _nearest(known, split, reach)
    ]
    return _sorted(rows, split, limit)


def _sorted(rows: Sequence[tuple[object, ...]], split: Split, threshold: float) -> Duplicates:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_COLUMNS)
    typed = zip(_COLUMNS.items(), columns, strict=True)
    table = pd.DataFrame({name: np.array(values, dtype=kind) for (name, kind), values in typed})
    table = table.sort_values(["distance", "test"], ignore_index=True)
    return Duplicates(table, n_test=len(split.test), threshold=threshold)


def _nearest(known: Fingerprints, split: Split, reach: float) -> Iterator[tuple[int, int, float, bool, int]]:
    """Yield test structure, nearest training structure, distance, whether it is a copy, and how many are in reach."""
    from scipy.spatial.distance import cdist  # takes long to import: only who looks for copies pays it

    train, test = (_by_composition(known, part) for part in (split.train, split.test))
    for composition, held_out in test.items():
        others = train.get(composition, np.empty(0, dtype=np.int64))
        if not len(others):
            continue
        step = max(1, BLOCK // len(others))
        for begin in range(0, len(held_out), step):
            part = held_out[begin : begin + step]
            distance = cdist(known.values[part], known.values[others])  # [test, train]
            nearest = distance.argmin(axis=1)
            count = (distance <= reach).sum(axis=1)
            for k in np.flatnonzero(count).tolist():
                found = float(distance[k, nearest[k]])
                yield int(part[k]), int(others[nearest[k]]), found, found <= known.rounding, int(count[k])


def _by_composition(known: Fingerprints, part: NDArray[np.int64]) -> dict[tuple[int, ...], NDArray[np.int64]]:
    places: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for k in part.tolist():
        places[known.compositions[k]].append(k)
    return {composition: np.array(found, dtype=np.int64) for composition, found in places.items()}


def typical_distance(known: Fingerprints, structures: NDArray[np.int64]) -> float:
    """Return the median distance of random pairs of one composition that are not copies; 1 if there are none."""
    found = []
    for composition, places in _by_composition(known, structures).items():
        size = min(MOST_PAIRS, 4 * len(places))
        draws = stream(0, "pairs of structures", *composition).integers(len(places), size=(2, size))
        first, second = places[draws]
        distance = np.linalg.norm(known.values[first] - known.values[second], axis=1)
        found.append(distance[distance > known.rounding])
    distances = np.concatenate([np.empty(0), *found])
    return float(np.median(distances)) if len(distances) else 1.0
