"""Selection for active learning: the structures to label next, by uncertainty, by distance from what is known, or both.

Distances are those of fingerprints. `by="distance"` takes the structure farthest from all known and selected ones, one
after the other: T. F. Gonzalez, Theor. Comput. Sci. 38 (1985) 293; O. Sener, S. Savarese, ICLR (2018). No structure
is selected that is nearly the same as a known or a selected one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from potentia.checks import array_of_shape, choice, integer, number, require_finite
from potentia.errors import ConfigError, DataError, warn_user
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.duplicates import BLOCK, NEAR, typical_distance
from potentia.potentials.fingerprints import Fingerprints, fingerprints
from potentia.potentials.structure import Structure

__all__ = ["Selected", "select"]

WAYS = ("uncertainty", "distance", "both")
TIED = 1e-9
"""Scores that differ by less than this part of them are equal; the contents of the structures decide then."""

_CHOSEN = {
    "structure": "int64",
    "identifier": "str",
    "score": "float64",
    "uncertainty": "float64",
    "distance": "float64",
    "nearest": "int64",
    "nearest_is": "str",
}
_SKIPPED = {"structure": "int64", "identifier": "str", "distance": "float64", "nearest": "int64", "nearest_is": "str"}


class HasDescriptor(Protocol):
    """A potential or a committee of them."""

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of atoms."""


@dataclass(frozen=True, eq=False)
class Selected:
    """What `select` has found."""

    indices: NDArray[np.int64]
    """Places in the input, in the order of their selection.  [selected]"""
    table: pd.DataFrame
    """Why: a row for each of them. ``structure`` (place), ``identifier``; ``score``, what was the largest;
    ``uncertainty`` (NaN if none was given); ``distance`` to the nearest of those known or selected before (typical = 1,
    infinite if there was none); ``nearest``, its place (-1 if none), and ``nearest_is``, ``"known"`` or ``"selected"``.
    """
    skipped: pd.DataFrame
    """Which structures were left out as nearly the same as one of the same composition that is known or selected:
    ``structure``, ``identifier``, ``distance`` (typical = 1), ``nearest`` and ``nearest_is``."""

    def __len__(self) -> int:
        return len(self.indices)


def select(
    structures: Sequence[Structure],
    n: int,
    *,
    potential: HasDescriptor,
    by: str = "distance",
    uncertainty: ArrayLike | None = None,
    known: Sequence[Structure] | None = None,
    near: float = NEAR,
) -> Selected:
    """Select ``n`` of ``structures``, each time the one with the largest score.

    The order of the input makes no difference but among copies. Cost: a distance from each structure to each known and
    selected one, a block of them in memory at a time, and the features of a chunk of structures.

    Args:
        structures: What can be selected; no labels are needed.
        n: How many.
        potential: The potential or committee that shall learn from them: its descriptor is what sees them.
        by: The score: ``"distance"`` to the nearest known or selected structure, ``"uncertainty"``, or ``"both"``,
            their product.
        uncertainty: How uncertain each structure is, at least 0, in any unit: the energy spread per atom of a
            committee or its largest force spread, say.  [structures]
        known: Structures of the training; without any, distances begin at the first one selected, which is the
            structure farthest from the mean (or the most uncertain).
        near: Part of the typical distance below which structures of one composition are nearly the same; 0 leaves
            out exact copies only.

    Raises:
        ConfigError: a setting cannot be, or the uncertainty that ``by`` goes by is not given.
        DataError: a structure cannot be used, or an uncertainty is negative or not finite.

    Warns:
        PotentiaWarning: there are fewer than ``n`` that are not nearly the same.
    """
    choice("by", by, WAYS)
    number("near", near, low=0.0)
    if not len(structures):
        raise DataError("there are no structures to select from")
    integer("n", n, low=1, high=len(structures))
    doubt = _uncertainties(uncertainty, structures, by)
    pool = _Pool.of(list(known or ()), structures, potential.descriptor, near)
    rows: list[tuple[object, ...]] = []
    while len(rows) < n:
        score = _score(by, doubt, pool)
        if (k := pool.best(score)) is None:
            break
        rows.append((k, _name(structures, k), score[k], doubt[k], pool.distance[k] / pool.typical, *pool.nearest_of(k)))
        pool.take(k)
    if len(rows) < n:
        warn_user(
            f"only {len(rows)} of {n} wanted structures are selected: the other {len(structures) - len(rows)} are "
            "nearly the same as known or selected ones (see `skipped`). Give more structures, or lower near"
        )
    table = pd.DataFrame(rows, columns=list(_CHOSEN)).astype(_CHOSEN)
    return Selected(table["structure"].to_numpy(), table, _skipped(pool, structures))


class _Pool:
    """Candidates with their distance to the nearest of those known or selected, and which of them are too near."""

    def __init__(
        self,
        points: NDArray[np.float64],
        composition: NDArray[np.int64],
        n_known: int,
        typical: float,
        reach: float,
    ) -> None:
        self.points = points  # [known + candidates, coordinates]
        self.composition = composition  # [known + candidates]
        self.n_known = n_known
        self.typical = typical
        self.reach = reach
        size = len(points) - n_known
        self.distance = np.full(size, np.inf)
        self.nearest = np.full(size, -1)  # place among known and candidates
        self.copy_distance = np.full(size, np.inf)  # of the nearest of the same composition
        self.copy = np.full(size, -1)
        self.free = np.ones(size, dtype=bool)
        self.order = _by_content(points[n_known:])

    @classmethod
    def of(
        cls, known: Sequence[Structure], structures: Sequence[Structure], descriptor: Descriptor, near: float
    ) -> _Pool:
        """Compare all candidates with all that is known."""
        found = fingerprints([*known, *structures], descriptor)
        names = {unit: k for k, unit in enumerate(dict.fromkeys(found.compositions))}
        order = _by_content(found.values)  # so that the typical distance does not go by the order of the input
        in_order = Fingerprints(found.values[order], [found.compositions[k] for k in order], found.rounding)
        typical = typical_distance(in_order, np.arange(len(in_order.compositions)))
        code = np.array([names[unit] for unit in found.compositions])
        pool = cls(_coordinates(found), code, len(known), typical, max(near * typical, found.rounding))
        step = max(1, BLOCK // len(structures))
        for begin in range(0, len(known), step):
            pool.compare(np.arange(begin, min(begin + step, len(known))))
        return pool

    def compare(self, places: NDArray[np.int64]) -> None:
        """Bring the distances up to date with structures that are known or selected from now on."""
        from scipy.spatial.distance import cdist  # takes long to import: only who selects pays it

        candidates = self.points[self.n_known :]
        distance = cdist(candidates, self.points[places])  # [candidates, places]
        _update(self.distance, self.nearest, distance, places)
        same = self.composition[self.n_known :, None] == self.composition[places]
        _update(self.copy_distance, self.copy, np.where(same, distance, np.inf), places)

    def best(self, score: NDArray[np.float64]) -> int | None:
        """Return the candidate with the largest score that is no copy; None if there is none."""
        allowed = self.free & (self.copy_distance > self.reach)
        if not allowed.any():
            return None
        highest = score[allowed].max()
        tied = allowed & (score >= highest - TIED * abs(highest) if np.isfinite(highest) else score == highest)
        return int(self.order[np.argmax(tied[self.order])])

    def take(self, k: int) -> None:
        """Select a candidate."""
        self.free[k] = False
        self.compare(np.array([self.n_known + k]))

    def nearest_of(self, k: int, *, copy: bool = False) -> tuple[int, str]:
        """Return place and list of the nearest structure (of the same composition)."""
        place = int((self.copy if copy else self.nearest)[k])
        if place < 0:
            return -1, ""
        return (place, "known") if place < self.n_known else (place - self.n_known, "selected")


def _update(
    best: NDArray[np.float64], which: NDArray[np.int64], distance: NDArray[np.float64], places: NDArray[np.int64]
) -> None:
    column = distance.argmin(axis=1)
    found = distance[np.arange(len(distance)), column]
    closer = found < best
    best[closer] = found[closer]
    which[closer] = places[column[closer]]


def _score(by: str, doubt: NDArray[np.float64], pool: _Pool) -> NDArray[np.float64]:
    """Return the score of each candidate."""
    away = pool.distance / pool.typical
    if not np.isfinite(away).any():  # nothing is known and nothing selected yet
        candidates = pool.points[pool.n_known :]
        from_mean = np.linalg.norm(candidates - candidates.mean(axis=0), axis=1) / pool.typical
        away = from_mean if by == "distance" else np.ones(len(doubt))
    return {"distance": away, "uncertainty": doubt, "both": doubt * away}[by]


def _coordinates(found: Fingerprints) -> NDArray[np.float64]:
    """Return what distances are taken in: fingerprints, and beside them the root of each species' part of the atoms.

    Among structures of one composition the second makes no difference; else it is in the same units, those of the
    fingerprints of a species being weighed by it.
    """
    counts = np.array(found.compositions, dtype=np.float64)  # [structures, species]
    return np.concatenate((found.values, np.sqrt(counts / counts.sum(axis=1, keepdims=True))), axis=1)


def _by_content(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order of the rows that goes by what is in them, but for rounding."""
    return np.asarray(np.lexsort(np.round(values, 6).T[::-1]), dtype=np.int64)


def _uncertainties(uncertainty: ArrayLike | None, structures: Sequence[Structure], by: str) -> NDArray[np.float64]:
    if uncertainty is None:
        if by != "distance":
            raise ConfigError(f"by={by!r} needs the uncertainty of each structure, or take by='distance'")
        return np.full(len(structures), math.nan)
    doubt = array_of_shape("uncertainty", uncertainty, (len(structures),), "(structures,)")
    require_finite("uncertainty", doubt)
    if (doubt < 0).any():
        first = int(np.argmax(doubt < 0))
        raise DataError(f"uncertainty must not be negative, got {doubt[first]:g} for structure {first}")
    return doubt


def _skipped(pool: _Pool, structures: Sequence[Structure]) -> pd.DataFrame:
    rows = [
        (k, _name(structures, k), pool.copy_distance[k] / pool.typical, *pool.nearest_of(k, copy=True))
        for k in np.flatnonzero(pool.free & (pool.copy_distance <= pool.reach)).tolist()
    ]
    return pd.DataFrame(rows, columns=list(_SKIPPED)).astype(_SKIPPED)


def _name(structures: Sequence[Structure], k: int) -> str:
    return structures[k].name or structures[k].source or f"structure_{k:06d}"
