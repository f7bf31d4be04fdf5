"""The space of parameters of a system: how each is drawn from the unit interval, and what networks see of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.errors import ConfigError, DataError

__all__ = ["Boolean", "Choice", "Continuous", "Dimension", "Integer", "ParameterSpace"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Dimension(ABC):
    """One parameter: from a number of the unit interval to its value, and to what networks see."""

    name: str
    """As equations have it."""
    unit: str = ""
    """Unit of the value."""

    @abstractmethod
    def values(self, unit: Floats) -> Floats:
        """Return the values at numbers in [0, 1); of a choice its place in the list."""

    @abstractmethod
    def units(self, values: Floats) -> Floats:
        """Return numbers in [0, 1) whose `values` are these; of what is not continuous the middle of those numbers."""

    @abstractmethod
    def embedded(self, unit: Floats) -> Floats:
        """Return what networks see.  [samples, width]"""

    @property
    def width(self) -> int:
        """Numbers that networks see."""
        return int(self.embedded(np.zeros(1)).shape[1])


@dataclass(frozen=True, kw_only=True)
class Continuous(Dimension):
    """A real number between two bounds.

    >>> Continuous(name="nu", low=1e-3, high=1e-1, log=True).values(np.array([0.0, 0.5])).round(6)
    array([0.001, 0.01 ])
    """

    low: float
    """Least value."""
    high: float
    """Largest value."""
    log: bool = False
    """Whether equal factors are equally likely."""
    angle: bool = False
    """Whether its ends are the same: networks see cosine and sine of the turn."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(f"parameter {self.name!r}: low must be less than high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ConfigError(f"parameter {self.name!r}: log needs low > 0, got {self.low}")
        if self.log and self.angle:
            raise ConfigError(f"parameter {self.name!r}: an angle cannot be drawn by its logarithm")

    def values(self, unit: Floats) -> Floats:
        """Return the values at numbers in [0, 1)."""
        if self.log:
            return np.asarray(self.low * (self.high / self.low) ** unit)
        return np.asarray(self.low + unit * (self.high - self.low))

    def units(self, values: Floats) -> Floats:
        """Return the inverse of `values`."""
        if self.log:
            return np.asarray(np.log(values / self.low) / math.log(self.high / self.low))
        return np.asarray((values - self.low) / (self.high - self.low))

    def embedded(self, unit: Floats) -> Floats:
        """Return numbers from -1 to 1; of an angle cosine and sine."""
        if self.angle:
            return np.stack((np.cos(2 * np.pi * unit), np.sin(2 * np.pi * unit)), axis=1)
        return (2 * unit - 1)[:, None]


@dataclass(frozen=True, kw_only=True)
class Integer(Dimension):
    """A whole number between two bounds, both included and all equally likely.

    >>> Integer(name="depth", low=1, high=3).values(np.array([0.0, 0.34, 0.99]))
    array([1., 2., 3.])
    """

    low: int
    """Least value."""
    high: int
    """Largest value."""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"parameter {self.name!r}: low must be less than high, got {self.low} and {self.high}")

    def values(self, unit: Floats) -> Floats:
        """Return the values at numbers in [0, 1)."""
        steps = self.high - self.low
        return np.asarray(self.low + np.minimum(np.floor(unit * (steps + 1)), steps))

    def units(self, values: Floats) -> Floats:
        """Return the middle of the numbers with these values."""
        return np.asarray((values - self.low + 0.5) / (self.high - self.low + 1))

    def embedded(self, unit: Floats) -> Floats:
        """Return numbers from -1 to 1."""
        return np.asarray(2 * (self.values(unit) - self.low) / (self.high - self.low) - 1)[:, None]


@dataclass(frozen=True, kw_only=True)
class Choice(Dimension):
    """One of several words; its value is the place in the list.

    >>> policy = Choice(name="policy", options=("leaky", "convex"), weights=(3.0, 1.0))
    >>> policy.values(np.array([0.0, 0.74, 0.76]))
    array([0., 0., 1.])
    """

    options: tuple[str, ...]
    """What there is to choose from."""
    weights: tuple[float, ...] = ()
    """How often each is drawn, in any unit; equally often if empty."""

    def __post_init__(self) -> None:
        if len(self.options) < 2 or len(set(self.options)) < len(self.options):
            raise ConfigError(f"parameter {self.name!r}: options must be two or more different words")
        if self.weights and (len(self.weights) != len(self.options) or not all(w > 0 for w in self.weights)):
            raise ConfigError(f"parameter {self.name!r}: weights must be {len(self.options)} numbers greater than 0")

    def values(self, unit: Floats) -> Floats:
        """Return the places in the list at numbers in [0, 1)."""
        return np.searchsorted(self._ends()[:-1], unit, side="right").astype(np.float64)

    def units(self, values: Floats) -> Floats:
        """Return the middle of the numbers with these places."""
        ends = self._ends()
        places = values.astype(np.int64)
        return np.asarray((np.concatenate(([0.0], ends))[places] + ends[places]) / 2)

    def embedded(self, unit: Floats) -> Floats:
        """Return 1 at the chosen place and 0 at the others."""
        return np.eye(len(self.options))[self.values(unit).astype(np.int64)]

    def _ends(self) -> Floats:
        weights = np.array(self.weights or (1.0,) * len(self.options))
        ends: Floats = np.cumsum(weights / weights.sum())
        return ends


@dataclass(frozen=True, kw_only=True)
class Boolean(Dimension):
    """Yes (1) or no (0), equally likely."""

    def values(self, unit: Floats) -> Floats:
        """Return 1 from one half on."""
        return (unit >= 0.5).astype(np.float64)

    def units(self, values: Floats) -> Floats:
        """Return the middle of the numbers with these values."""
        return np.asarray(0.25 + 0.5 * values)

    def embedded(self, unit: Floats) -> Floats:
        """Return -1 or 1."""
        return np.asarray(2 * self.values(unit) - 1)[:, None]


@dataclass(frozen=True)
class ParameterSpace:
    """Parameters in their order."""

    dimensions: tuple[Dimension, ...]
    """Each with a name of its own."""

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ConfigError(f"parameters must have different names, twice there: {', '.join(twice)}")

    def __len__(self) -> int:
        return len(self.dimensions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(one.name for one in self.dimensions)

    @property
    def width(self) -> int:
        """Numbers that networks see."""
        return sum(one.width for one in self.dimensions)

    def values(self, unit: ArrayLike) -> Floats:
        """Return the values at points of the unit cube.  [samples, parameters]"""
        points = self._points(unit)
        if not ((points >= 0) & (points < 1)).all():
            raise DataError("points of the unit cube must lie in [0, 1)")
        columns = [one.values(points[:, k]) for k, one in enumerate(self.dimensions)]
        return np.stack(columns, axis=1) if columns else points

    def units(self, values: ArrayLike) -> Floats:
        """Return points of the unit cube with these values.  [samples, parameters]"""
        points = self._points(values)
        columns = [one.units(points[:, k]) for k, one in enumerate(self.dimensions)]
        return np.stack(columns, axis=1) if columns else points

    def embed(self, values: ArrayLike) -> Floats:
        """Return what networks see of parameters.  [samples, width]"""
        unit = self.units(values)
        columns = [one.embedded(unit[:, k]) for k, one in enumerate(self.dimensions)]
        return np.concatenate(columns, axis=1) if columns else unit

    def array(self, values: Mapping[str, ArrayLike]) -> Floats:
        """Return parameters given by name as rows; a number stands for all samples.  [samples, parameters]"""
        missing = [name for name in self.names if name not in values]
        unknown = [name for name in values if name not in self.names]
        if missing or unknown:
            raise ConfigError(
                f"parameters must be {', '.join(self.names) or 'none'}; missing: {', '.join(missing) or 'none'}; "
                f"unknown: {', '.join(unknown) or 'none'}"
            )
        columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(values[name], dtype=float)) for name in self.names))
        return np.stack(columns, axis=1)

    def _points(self, points: ArrayLike) -> Floats:
        array = np.asarray(points, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != len(self):
            raise DataError(f"parameters must have shape [samples, {len(self)}] for {self.names}, got {array.shape}")
        if not np.isfinite(array).all():
            sample, column = (int(k) for k in np.argwhere(~np.isfinite(array))[0])
            raise DataError(f"parameter {self.names[column]!r} of sample {sample} is not finite")
        return array
