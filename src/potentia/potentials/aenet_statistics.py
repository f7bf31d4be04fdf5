"""Statistics of features, as ænet's files carry them for information; no energy depends on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from potentia.checks import array_of_shape, did_you_mean, require_finite
from potentia.errors import ConfigError
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.formats.aenet_records import Reals
from potentia.potentials.structure import Structure
from potentia.potentials.surface import featurise

__all__ = ["FeatureStatistics", "given_statistics", "imported_statistics", "measured_statistics"]

_NAMES = ("min", "max", "avg", "cov")
_CHUNK = 128
"""Structures featurised at a time."""


@dataclass(frozen=True)
class FeatureStatistics:
    """Statistics of raw features over the atoms of a species."""

    low: Reals
    """Lowest value of each feature.  [features]"""
    high: Reals
    """Highest value.  [features]"""
    n_atoms: int
    """Number of atoms, 0 if unknown."""
    mean: Reals | None = None
    """Mean, None if unknown.  [features]"""
    square: Reals | None = None
    """Mean square, None if unknown.  [features]"""

    def plain(self) -> dict[str, Any]:
        """Return the statistics as plain values, under the names that ænet uses."""
        values = dict(zip(_NAMES, (self.low, self.high, self.mean, self.square), strict=True))
        return {"atoms": self.n_atoms} | {name: v.tolist() for name, v in values.items() if v is not None}


def given_statistics(stats: Mapping[str, ArrayLike], n_features: int) -> FeatureStatistics:
    """Return the statistics of a user's: ``min`` and ``max``, with ``avg`` and ``cov`` if they are known.

    Raises:
        ConfigError: a name is unknown, or one of the first two is missing.
        DataError: an entry is no row of finite numbers, one for each feature.
    """
    for name in stats:
        if name not in _NAMES:
            raise ConfigError(f"descriptor_stats has the unknown entry {name!r}{did_you_mean(name, _NAMES)}")
    values: dict[str, Reals] = {}
    for name, entry in stats.items():
        label = f"descriptor_stats[{name!r}]"
        values[name] = array_of_shape(label, entry, (n_features,), "(features,)")
        require_finite(label, values[name])
    if "min" not in values or "max" not in values:
        raise ConfigError(f"descriptor_stats must have 'min' and 'max', got {', '.join(values) or 'nothing'}")
    return FeatureStatistics(values["min"], values["max"], 0, values.get("avg"), values.get("cov"))


def imported_statistics(record: Mapping[str, Any]) -> dict[str, FeatureStatistics]:
    """Return by species what the files of ænet said that a potential was read from; nothing for other potentials."""
    stored = record.get("imported", {}).get("statistics", {})
    return {
        species: FeatureStatistics(np.array(stats["min"]), np.array(stats["max"]), stats["atoms"])
        for species, stats in stored.items()
    }


def measured_statistics(structures: Sequence[Structure], descriptor: Descriptor) -> dict[str, FeatureStatistics]:
    """Return the statistics over the atoms of each species that occurs in ``structures``."""
    rows: dict[str, list[Reals]] = {species: [] for species in descriptor.species}  # low, high, Σ, Σ² of each chunk
    counts = dict.fromkeys(descriptor.species, 0)
    for begin in range(0, len(structures), _CHUNK):
        part = structures[begin : begin + _CHUNK]
        featurised = featurise(part, descriptor, [False] * len(part))
        values, owner = featurised.features.values.double().cpu().numpy(), featurised.geometry.species.cpu().numpy()
        for k, species in enumerate(descriptor.species):
            own = values[owner == k]  # [atoms of it, features]
            if len(own):
                counts[species] += len(own)
                rows[species].append(np.stack([own.min(0), own.max(0), own.sum(0), (own**2).sum(0)]))
    found = {}
    for species, n in counts.items():
        if n:
            parts = np.stack(rows[species])  # [chunks, 4, features]
            mean, square = parts[:, 2].sum(0) / n, parts[:, 3].sum(0) / n
            found[species] = FeatureStatistics(parts[:, 0].min(0), parts[:, 1].max(0), n, mean, square)
    return found
