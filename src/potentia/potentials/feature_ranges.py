"""What training has seen: range, mean and covariance of each feature over the atoms of each species.

Sums of pieces are the whole, so the ranges of any data set are found a piece at a time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.potentials.datasets.base import PotentialDataset
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, featurise
from potentia.storage import read_json, write_json

__all__ = ["FeatureRanges", "SpeciesRange"]

CONSTANT = 1e-10
"""A feature whose standard deviation is below this, or below this part of its mean, does not vary."""
CHUNK = 128
"""Structures whose features are in memory at a time."""
KIND, VERSION = "feature ranges", 1

_ARRAYS = ("low", "high", "mean", "scatter")


@dataclass(frozen=True, eq=False)
class SpeciesRange:
    """The features of all training atoms of one species."""

    count: int
    """Number of atoms, at least 1."""
    low: NDArray[np.float64]
    """Smallest values.  [features]"""
    high: NDArray[np.float64]
    """Largest values.  [features]"""
    mean: NDArray[np.float64]
    """[features]"""
    scatter: NDArray[np.float64]
    """Sum over atoms of the products of deviations from the mean.  [features, features]"""

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> SpeciesRange:
        """Return the range of ``values`` [atoms, features], at least one atom."""
        mean = values.mean(axis=0)
        off = values - mean
        return cls(len(values), values.min(axis=0), values.max(axis=0), mean, off.T @ off)

    def __add__(self, other: SpeciesRange) -> SpeciesRange:
        count = self.count + other.count
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(step, step) * (self.count * other.count / count)
        mean = self.mean + step * (other.count / count)
        return SpeciesRange(count, np.minimum(self.low, other.low), np.maximum(self.high, other.high), mean, scatter)

    @cached_property
    def std(self) -> NDArray[np.float64]:
        """Standard deviations.  [features]"""
        return np.sqrt(np.diagonal(self.scatter) / self.count)

    @cached_property
    def varies(self) -> NDArray[np.bool_]:
        """Whether a feature is not the same on all atoms.  [features]"""
        return np.asarray(self.std > CONSTANT * np.maximum(1.0, np.abs(self.mean)))

    @cached_property
    def unit(self) -> NDArray[np.float64]:
        """What excess is counted in: the standard deviation; where a feature never varied, the RMS of the others.

        1 where none varied, as on a single atom.  [features]
        """
        some = self.std[self.varies]
        return np.where(self.varies, self.std, math.sqrt(np.mean(some**2)) if len(some) else 1.0)

    @cached_property
    def whitening(self) -> NDArray[np.float64]:
        """Turns deviations from the mean into vectors whose length is the distance.  [features, directions]

        In standard deviations, with the correlation matrix R shrunk to (1 - ρ) R + ρ, ρ by OAS.
        """
        n_varying = int(self.varies.sum())
        scale = 1 / self.std[self.varies]
        correlation = self.scatter[np.ix_(self.varies, self.varies)] / self.count * np.outer(scale, scale)
        values, vectors = np.linalg.eigh(correlation)
        values = np.maximum(values, 0.0)
        shrunk = (1 - (part := _oas(values, self.count))) * values + part
        matrix = np.zeros((len(self.mean), n_varying))
        matrix[self.varies] = scale[:, None] * vectors / np.sqrt(shrunk * (values / shrunk).sum())
        return matrix


@dataclass(frozen=True, eq=False)
class FeatureRanges:
    """The features of a training set, species by species; ``+`` joins those of two sets.

    >>> from potentia import ChebyshevDescriptor
    >>> descriptor = ChebyshevDescriptor(["H"], rad_order=1, rad_cutoff=2.0, ang_order=0, ang_cutoff=2.0)
    >>> pairs = [Structure([[0, 0, 0], [length, 0, 0]], ["H", "H"]) for length in (0.7, 0.8)]
    >>> seen = FeatureRanges.of_structures(pairs, descriptor)
    >>> seen.species["H"].count, seen.names, seen.species["H"].high.round(3)
    (4, ('radial 0', 'radial 1', 'angular 0'), array([ 0.727, -0.131,  0.   ]))
    """

    names: tuple[str, ...]
    """What the features are called.  [features]"""
    rounding: float
    """Differences below this part of a feature are none."""
    species: dict[str, SpeciesRange]
    """Only those that have occurred."""

    @classmethod
    def of(cls, parts: Iterable[Featurised]) -> FeatureRanges:
        """Return the ranges of featurised structures, the parts one after the other.

        Raises:
            DataError: there are none.
        """
        return cls.sum(cls.of_atoms(part) for part in parts)

    @classmethod
    def of_structures(cls, structures: Sequence[Structure], descriptor: Descriptor) -> FeatureRanges:
        """Return the ranges of structures, the features of a chunk in memory at a time."""
        return cls.of(_featurised(structures, descriptor))

    @classmethod
    def of_dataset(cls, dataset: PotentialDataset) -> FeatureRanges:
        """Return the ranges of a data set, from the features that it has, a chunk in memory at a time."""
        chunks = (range(begin, min(begin + CHUNK, len(dataset))) for begin in range(0, len(dataset), CHUNK))
        return cls.of(dataset.featurised(chunk, [False] * len(chunk)) for chunk in chunks)

    @classmethod
    def joint(cls, several: Sequence[FeatureRanges]) -> FeatureRanges:
        """Return the ranges of all together; those of the same atoms count once."""
        different: list[FeatureRanges] = []
        for ranges in several:
            if not any(ranges.equals(known) for known in different):
                different.append(ranges)
        return cls.sum(different)

    @classmethod
    def sum(cls, several: Iterable[FeatureRanges]) -> FeatureRanges:
        """Return the ranges of all together, taken one after the other.

        Raises:
            DataError: there are none.
        """
        found = None
        for ranges in several:
            found = ranges if found is None else found + ranges
        if found is None or not found.species:
            raise DataError("there are no structures to take the ranges of features from")
        return found

    def equals(self, other: FeatureRanges) -> bool:
        """Whether both are the same to the last bit."""
        return (self.names, self.rounding, list(self.species)) == (
            other.names, other.rounding, list(other.species),
        ) and all(
            known.count == again.count and all(np.array_equal(vars(known)[a], vars(again)[a]) for a in _ARRAYS)
            for known, again in zip(self.species.values(), other.species.values(), strict=True)
        )  # fmt: skip

    @classmethod
    def of_atoms(cls, part: Featurised, atoms: Tensor | slice = slice(None)) -> FeatureRanges:
        """Return the ranges of some atoms, by their places in ``part``."""
        values = part.features.values[atoms].double().cpu().numpy()
        kind = part.geometry.species[atoms].cpu().numpy()
        descriptor = part.descriptor
        found = {
            name: SpeciesRange.of(values[kind == k]) for k, name in enumerate(descriptor.species) if (kind == k).any()
        }
        return cls(descriptor.feature_names, math.sqrt(torch.finfo(descriptor.dtype).eps), found)

    def __add__(self, other: FeatureRanges) -> FeatureRanges:
        if self.names != other.names:
            raise ConfigError(
                f"ranges of different features cannot be joined: {len(self.names)} ({self.names[0]} …) and "
                f"{len(other.names)} ({other.names[0]} …)"
            )
        species = dict(self.species)
        for name, new in other.species.items():
            species[name] = species[name] + new if name in species else new
        return FeatureRanges(self.names, max(self.rounding, other.rounding), species)

    def to_state(self) -> dict[str, Any]:
        """Return all of it as nested plain values and tensors, for the file of a potential."""
        species = {
            name: {"count": known.count, **{key: torch.from_numpy(vars(known)[key].copy()) for key in _ARRAYS}}
            for name, known in self.species.items()
        }
        return {"names": list(self.names), "rounding": self.rounding, "species": species}

    def to_plain(self) -> dict[str, Any]:
        """Return `to_state` with lists for tensors."""
        species = {
            name: {"count": known.count, **{key: vars(known)[key].tolist() for key in _ARRAYS}}
            for name, known in self.species.items()
        }
        return {"names": list(self.names), "rounding": self.rounding, "species": species}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> FeatureRanges:
        """Return the ranges that `to_state` has written down; lists do as well as tensors."""
        species = {
            str(name): SpeciesRange(int(known["count"]), *(_array(known[key]) for key in _ARRAYS))
            for name, known in state["species"].items()
        }
        return cls(tuple(state["names"]), float(state["rounding"]), species)

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, whole or not at all: for use beside potentials that are exported."""
        write_json(path, KIND, self.to_plain(), VERSION)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> FeatureRanges:
        """Read a file of `to_json`.

        Raises:
            FileFormatError: the file is cut off, foreign, or of a newer version.
        """
        found = read_json(path, KIND, VERSION)
        try:
            return cls.from_state(found)
        except KeyError as error:
            raise FileFormatError(f"{path} lacks {error} where each species has some: write it again") from None


def _array(values: Any) -> NDArray[np.float64]:
    """Return a copy of a tensor or of nested lists."""
    return np.array(torch.as_tensor(values, dtype=torch.float64).cpu().numpy())


def _featurised(structures: Sequence[Structure], descriptor: Descriptor) -> Iterator[Featurised]:
    for begin in range(0, len(structures), CHUNK):
        chunk = structures[begin : begin + CHUNK]
        yield featurise(chunk, descriptor, [False] * len(chunk))


def _oas(eigenvalues: NDArray[np.float64], count: int) -> float:
    """Return how far a covariance of ``count`` samples is to be shrunk: 0 not at all, 1 to a multiple of unity."""
    p = len(eigenvalues)
    if p < 2:
        return 0.0
    square, trace = float((eigenvalues**2).sum()), float(eigenvalues.sum())
    above = (1 - 2 / p) * square + trace**2
    below = (count + 1 - 2 / p) * (square - trace**2 / p)
    return 1.0 if above >= below else above / below
