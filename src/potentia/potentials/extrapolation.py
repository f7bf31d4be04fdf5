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

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from potentia.checks import array_of_shape, require_finite
from potentia.errors import ConfigError, DataError
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.feature_ranges import CHUNK, FeatureRanges, SpeciesRange
from potentia.potentials.structure import Structure
from potentia.potentials.surface import featurise

__all__ = ["Extrapolation", "Outside"]

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
    distance: NDArray[np.float64]
    """From the mean of the training atoms of the species, in the whitened space of features: 1 is usual. Infinite for
    an unknown species, NaN where no feature varies in training.  [atoms]"""

    def __len__(self) -> int:
        return len(self.excess)


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
            distance=np.full(len(values), np.inf),
        )
        for name, known in self.seen.species.items():
            here = np.flatnonzero(kinds == name)
            self._compare(values[here], known, here, found)
        return found

    def of_structures(self, structures: Sequence[Structure]) -> list[Outside]:
        """Return how far the atoms of each structure are outside."""
        return [outside for outside, _ in self._found(structures)]

    def table(self, structures: Sequence[Structure]) -> pd.DataFrame:
        """Return a row for each atom that is outside, structure by structure.

        Columns: ``structure``, place in the input; ``identifier``, its name; ``atom``; ``species``; ``feature``, the
        worst; its ``value`` and the ends ``low`` and ``high`` of what training has seen; ``excess``;
        ``features_outside``; ``distance``. The last three are explained in `Outside`.
        """
        rows = []
        for k, (structure, (outside, values)) in enumerate(zip(structures, self._found(structures), strict=True)):
            identifier = structure.name or structure.source or f"structure_{k:06d}"
            for atom in np.flatnonzero(outside.excess).tolist():
                species = structure.species[atom]
                worst = self._worst(species, int(outside.feature[atom]), values[atom])
                rest = (outside.excess[atom], outside.features_outside[atom], outside.distance[atom])
                rows.append((k, identifier, atom, species, *worst, *rest))
        return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)

    def _worst(self, species: str, feature: int, values: NDArray[np.float64]) -> tuple[str, float, float, float]:
        """Return name, value and range of a feature."""
        if feature < 0:
            return UNKNOWN, np.nan, np.nan, np.nan
        known = self.seen.species[species]
        return self.seen.names[feature], values[feature], known.low[feature], known.high[feature]

    def _found(self, structures: Sequence[Structure]) -> list[tuple[Outside, NDArray[np.float64]]]:
        found = []
        for begin in range(0, len(structures), CHUNK):
            chunk = structures[begin : begin + CHUNK]
            part = featurise(chunk, self.descriptor, [False] * len(chunk))
            values = part.features.values.double().cpu().numpy()
            first = part.geometry.atom_start.tolist()
            for k, structure in enumerate(chunk):
                own = values[first[k] : first[k + 1]]
                found.append((self._named(own, structure), own))
        return found

    def _named(self, values: NDArray[np.float64], structure: Structure) -> Outside:
        try:
            return self.of(values, structure.species)
        except DataError as error:
            raise DataError(f"{error} ({structure.label})") from None

    def _compare(
        self, values: NDArray[np.float64], known: SpeciesRange, here: NDArray[np.int64], found: Outside
    ) -> None:
        """Fill in what is found of the atoms ``here``, all of one species."""
        tolerance = self.seen.rounding * np.maximum(np.abs(known.low), np.abs(known.high))
        beyond = np.maximum(known.low - values, values - known.high)  # [atoms, features]
        beyond = np.where(beyond > tolerance, beyond, 0.0) / known.unit
        worst = beyond.argmax(axis=1)
        found.excess[here] = beyond.max(axis=1, initial=0.0)
        found.feature[here] = np.where(found.excess[here] > 0, worst, -1)
        found.features_outside[here] = (beyond > 0).sum(axis=1)
        length = np.linalg.norm((values - known.mean) @ known.whitening, axis=1)
        found.distance[here] = length if known.varies.any() else np.nan
