"""Extrapolation: which atoms have surroundings that training has not seen, in which feature, and how far out.

Two figures for each atom. The *excess* goes by the range of each feature over the training atoms of its species: how
far the worst feature is outside, in standard deviations of that feature; 0 inside. It says what is wrong, but ranges
make a box, and most of a box of many dimensions is empty. The *distance* is that of P. C. Mahalanobis (1936) from the
mean, so it sees combinations that have never occurred; its root mean square over the training atoms is 1. Its
covariance is shrunk as in Y. Chen et al., IEEE Trans. Signal Process. 58 (2010) 5016 (OAS).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from potentia.checks import array_of_shape, require_finite
from potentia.errors import ConfigError, DataError
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.feature_ranges import CHUNK, FeatureRanges, SpeciesRange
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise

__all__ = ["Extrapolated", "Extrapolation", "Outside"]

UNKNOWN = "species not in training"
"""What stands for the worst feature of an atom of such a species."""

_COLUMNS = {
    "structure": "int64",
    "identifier": "str",
    "atom": "int64",
    "species": "str",
    "feature": "str",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "excess": "float64",
    "features_outside": "int64",
    "distance": "float64",
}


@dataclass(frozen=True, eq=False)
class Outside:
    """How far some atoms are outside of what training has seen."""

    excess: NDArray[np.float64]
    """Of the worst feature, in its standard deviations over training; 0 inside, infinite for a species that training
    has not seen.  [atoms]"""
    feature: NDArray[np.int64]
    """The worst feature; -1 inside and for an unknown species.  [atoms]"""
    features_outside: NDArray[np.int64]
    """How many features are outside.  [atoms]"""
    value: NDArray[np.float64]
    """Of the worst feature; NaN inside and for an unknown species.  [atoms]"""
    distance: NDArray[np.float64]
    """From the mean of the training atoms of the species, in the whitened space of features: 1 is usual. Infinite for
    an unknown species, NaN where no feature varies in training.  [atoms]"""

    def __len__(self) -> int:
        return len(self.excess)

    def part(self, begin: int, end: int) -> Outside:
        """Return what is known of some of the atoms."""
        return Outside(**{name: values[begin:end] for name, values in vars(self).items()})

    @property
    def worst(self) -> int:
        """The atom with the largest excess; where none is outside, the one with the largest distance."""
        return int(np.lexsort((np.nan_to_num(self.distance, nan=-1.0), self.excess))[-1])


@dataclass(frozen=True, eq=False)
class Extrapolated:
    """How far the atoms of several structures are outside, as tables."""

    seen: FeatureRanges
    """What training has seen."""
    outside: list[Outside]
    """One for each structure."""
    species: Sequence[Sequence[str]]
    """Species of the atoms of each structure."""
    identifiers: list[str]
    """Name of each structure."""

    def table(self) -> pd.DataFrame:
        """Return a row for each atom that is outside, structure by structure.

        Columns: ``structure``, place in the input; ``identifier``, its name; ``atom``; ``species``; ``feature``, the
        worst; its ``value`` and the ends ``low`` and ``high`` of what training has seen; ``excess``;
        ``features_outside``; ``distance``. The last three are explained in `Outside`.
        """
        rows = []
        for k, found in enumerate(self.outside):
            for atom in np.flatnonzero(found.excess).tolist():
                species = self.species[k][atom]
                worst = (
                    name_of_worst(self.seen, found, atom),
                    found.value[atom],
                    *self._range(species, int(found.feature[atom])),
                )
                rest = (found.excess[atom], found.features_outside[atom], found.distance[atom])
                rows.append((k, self.identifiers[k], atom, species, *worst, *rest))
        return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)

    def columns(self) -> dict[str, Any]:
        """Return columns with a value for each structure, for tables of predictions.

        ``atoms_outside``, how many; ``worst_atom``, see `Outside.worst`; ``worst_feature``, empty where no atom is
        outside; ``worst_excess`` and ``worst_distance`` of this atom.
        """
        worst = [found.worst for found in self.outside]
        pairs = list(zip(self.outside, worst, strict=True))
        return {
            "atoms_outside": np.array([np.count_nonzero(found.excess) for found in self.outside], dtype=np.int64),
            "worst_atom": np.array(worst, dtype=np.int64),
            "worst_feature": pd.Series([name_of_worst(self.seen, found, atom) for found, atom in pairs], dtype=str),
            "worst_excess": np.array([found.excess[atom] for found, atom in pairs], dtype=np.float64),
            "worst_distance": np.array([found.distance[atom] for found, atom in pairs], dtype=np.float64),
        }

    def _range(self, species: str, feature: int) -> tuple[float, float]:
        """Return what training has seen of a feature."""
        if feature < 0:
            return np.nan, np.nan
        known = self.seen.species[species]
        return known.low[feature], known.high[feature]


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """Compares atoms with those of a training set.

    >>> from potentia import ChebyshevDescriptor
    >>> descriptor = ChebyshevDescriptor(["H"], rad_order=1, rad_cutoff=2.0, ang_order=0, ang_cutoff=2.0)
    >>> pairs = [Structure([[0, 0, 0], [length, 0, 0]], ["H", "H"]) for length in (0.7, 0.8, 1.2)]
    >>> outside = Extrapolation(descriptor, FeatureRanges.of_structures(pairs[:2], descriptor))
    >>> outside.table(pairs)[["structure", "atom", "feature", "excess"]].round(1)
       structure  atom   feature  excess
    0          2     0  radial 0     8.5
    1          2     1  radial 0     8.5
    """

    descriptor: Descriptor
    """The descriptor of atoms."""
    seen: FeatureRanges
    """What training has seen."""

    def __post_init__(self) -> None:
        names = self.descriptor.feature_names
        if self.seen.names != names:
            raise ConfigError(
                f"the ranges are of {len(self.seen.names)} features ({self.seen.names[0]} …), the descriptor has "
                f"{len(names)} ({names[0]} …): take those of the same potential"
            )

    def of(self, features: ArrayLike, species: Sequence[str]) -> Outside:
        """Return how far atoms are outside.

        Args:
            features: [atoms, features]
            species: Species of each atom.  [atoms]

        Raises:
            DataError: shapes differ, or a feature is not finite.
        """
        shape = (len(species), len(self.seen.names))
        values = array_of_shape("features", features, shape, "(atoms, features)")
        require_finite("features", values)
        kinds = np.array(species, dtype=np.str_)
        found = Outside(
            excess=np.full(len(values), np.inf),
            feature=np.full(len(values), -1),
            features_outside=np.zeros(len(values), dtype=np.int64),
            value=np.full(len(values), np.nan),
            distance=np.full(len(values), np.inf),
        )
        for name, known in self.seen.species.items():
            here = np.flatnonzero(kinds == name)
            self._compare(values[here], known, here, found)
        return found

    def excess(self, features: NDArray[np.float64], species: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the excess of atoms by the index of their species in the descriptor, in as little time as can be.

        Args:
            features: [atoms, features]
            species: [atoms]
        """
        found = np.full(len(features), np.inf)
        for k, name in enumerate(self.descriptor.species):
            here = species == k
            if name in self.seen.species:
                found[here] = self._beyond(features[here], self.seen.species[name]).max(axis=1, initial=0.0)
        return found

    def worst_features(self, features: NDArray[np.float64], species: NDArray[np.int64]) -> list[str]:
        """Return the name of the worst feature of each atom, empty where it is inside; arguments as for `excess`."""
        found = self.of(features, [self.descriptor.species[k] for k in species.tolist()])
        return [name_of_worst(self.seen, found, atom) for atom in range(len(found))]

    def of_structures(self, structures: Sequence[Structure]) -> list[Outside]:
        """Return how far the atoms of each structure are outside."""
        found = []
        for begin in range(0, len(structures), CHUNK):
            chunk = structures[begin : begin + CHUNK]
            found.extend(self.of_featurised(featurise(chunk, self.descriptor, [False] * len(chunk)), chunk))
        return found

    def of_featurised(self, part: Featurised, structures: Sequence[Structure]) -> list[Outside]:
        """Return the same from features that are there already."""
        values = part.features.values.double().cpu().numpy()
        ends = np.cumsum([0, *(structure.n_atoms for structure in structures)]).tolist()
        try:
            found = self.of(values, [name for structure in structures for name in structure.species])
        except DataError as error:
            bad = int(np.searchsorted(ends, np.flatnonzero(~np.isfinite(values).all(axis=1))[0], side="right")) - 1
            raise DataError(f"{error} ({structures[bad].label})") from None
        return [found.part(begin, end) for begin, end in pairwise(ends)]

    def table(self, structures: Sequence[Structure]) -> pd.DataFrame:
        """Return a row for each atom that is outside, structure by structure: see `Extrapolated.table`."""
        names = [s.name or s.source or f"structure_{k:06d}" for k, s in enumerate(structures)]
        species = [structure.species for structure in structures]
        return Extrapolated(self.seen, self.of_structures(structures), species, names).table()

    def _compare(
        self, values: NDArray[np.float64], known: SpeciesRange, here: NDArray[np.int64], found: Outside
    ) -> None:
        """Fill in what is found of the atoms ``here``, all of one species."""
        beyond = self._beyond(values, known)
        worst = beyond.argmax(axis=1)
        found.excess[here] = beyond.max(axis=1, initial=0.0)
        found.feature[here] = np.where(found.excess[here] > 0, worst, -1)
        found.features_outside[here] = (beyond > 0).sum(axis=1)
        found.value[here] = np.where(found.excess[here] > 0, values[np.arange(len(here)), worst], np.nan)
        length = np.linalg.norm((values - known.mean) @ known.whitening, axis=1)
        found.distance[here] = length if known.varies.any() else np.nan

    def _beyond(self, values: NDArray[np.float64], known: SpeciesRange) -> NDArray[np.float64]:
        """How far features are outside of what is known of them, in its units; 0 inside.  [atoms, features]"""
        tolerance = self.seen.rounding * np.maximum(np.abs(known.low), np.abs(known.high))
        beyond = np.maximum(known.low - values, values - known.high)
        return np.asarray(np.where(beyond > tolerance, beyond, 0.0) / known.unit)


def name_of_worst(seen: FeatureRanges, found: Outside, atom: int) -> str:
    """Return the name of the worst feature of an atom, empty where it is inside."""
    if found.feature[atom] >= 0:
        return seen.names[int(found.feature[atom])]
    return UNKNOWN if found.excess[atom] > 0 else ""
