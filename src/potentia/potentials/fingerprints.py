"""Fingerprints: a structure as mean and standard deviation of the features of its atoms, species by species.

They do not change when a structure is moved, rotated or repeated, its atoms are renumbered, or shifted by lattice
vectors, because neither do the features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.geometry import Geometry
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise

__all__ = ["Fingerprints", "fingerprints", "fingerprints_of"]

CONSTANT = 1e-10
"""A feature whose standard deviation is below this, or below this part of its mean, says nothing."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What is compared of structures. Only those of one composition can be; supercells are of one composition."""

    values: NDArray[np.float64]
    """In units of the spread of the atoms; the distance of two is the root mean square difference of means and
    standard deviations over features.  [structures, 2 · species · features]"""
    compositions: list[tuple[int, ...]]
    """Atoms of each species in the formula unit.  [structures]"""
    rounding: float
    """Distances below this are zero but for rounding."""


def fingerprints(structures: Sequence[Structure], descriptor: Descriptor, chunk: int = 128) -> Fingerprints:
    """Return the fingerprints of ``structures``, the features of a chunk in memory at a time."""
    begins = range(0, len(structures), chunk)
    return fingerprints_of(
        featurise(structures[begin : begin + chunk], descriptor, [False] * len(structures[begin : begin + chunk]))
        for begin in begins
    )


def fingerprints_of(parts: Iterable[Featurised]) -> Fingerprints:
    """Return the fingerprints of structures whose features are known, the parts one after the other."""
    found, rounding = [], 0.0
    for part in parts:
        values = part.features.values.cpu().numpy()
        found.append(_moments(part.geometry, values, part.descriptor.n_species))
        rounding = _rounding(part.descriptor)
    means, stds, counts = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return _in_spreads(means, stds, counts, rounding)


def _rounding(descriptor: Descriptor) -> float:
    """Return the relative size of rounding in features, with a wide margin: √ε."""
    return math.sqrt(torch.finfo(descriptor.dtype).eps)


def _moments(
    geometry: Geometry, values: NDArray[np.floating], n_species: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return mean and standard deviation [structures, species, features] and number [structures, species] of atoms."""
    wide = values.astype(np.float64)
    kind = (geometry.owner * n_species + geometry.species).cpu().numpy()  # [atoms]
    counts = np.bincount(kind, minlength=geometry.n_structures * n_species)
    divisor = np.maximum(counts, 1)[:, None]
    mean = _sums(wide, kind, len(counts)) / divisor
    std = np.sqrt(_sums((wide - mean[kind]) ** 2, kind, len(counts)) / divisor)  # in two passes: exact where all agree
    shape = (geometry.n_structures, n_species, values.shape[1])
    return mean.reshape(shape), std.reshape(shape), counts.reshape(shape[:2])


def _sums(values: NDArray[np.float64], kind: NDArray[np.int64], n_kinds: int) -> NDArray[np.float64]:
    order = np.argsort(kind, kind="stable")
    present, first = np.unique(kind[order], return_index=True)
    sums = np.zeros((n_kinds, values.shape[1]))
    sums[present] = np.add.reduceat(values[order], first, axis=0)
    return sums


def _in_spreads(
    means: NDArray[np.float64], stds: NDArray[np.float64], counts: NDArray[np.int64], rounding: float
) -> Fingerprints:
    """Divide by the spread of the atoms of all structures together, and weigh species by their part of the atoms."""
    weight = (counts / np.maximum(counts.sum(axis=0), 1))[:, :, None]  # [structures, species, 1]
    centre = (weight * means).sum(axis=0)  # [species, features]
    spread = np.sqrt((weight * (stds**2 + (means - centre) ** 2)).sum(axis=0))
    varies = spread > CONSTANT * np.maximum(1.0, np.abs(centre))
    scale = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
    part = counts / counts.sum(axis=1, keepdims=True)  # [structures, species]
    share = np.sqrt(part / np.maximum(varies.sum(axis=1), 1))[:, :, None]
    both = np.concatenate(((means - centre) * scale, stds * scale), axis=2) * share
    size = np.sqrt((((np.abs(centre) + spread) * scale) ** 2).mean()) if varies.any() else 1.0
    return Fingerprints(
        values=both.reshape(len(both), -1),
        compositions=[tuple(n // reduce(math.gcd, row) for n in row) for row in counts.tolist()],
        rounding=rounding * float(size),
    )
