"""What drives a simulated system: signals drawn at random, and controls that make a state follow one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.checks import did_you_mean, number
from potentia.errors import ConfigError

__all__ = ["Chirp", "Constant", "Follow", "Recorded", "Signal", "Smooth", "Steps"]

Floats: TypeAlias = NDArray[np.float64]

WAVES = 6
"""Sines in a smooth signal."""


class Signal(ABC):
    """A number that changes with time, drawn for each run."""

    @abstractmethod
    def draw(self, times: Floats, runs: int, rng: np.random.Generator) -> Floats:
        """Return its values at times [rows] (s) in so many runs.  [runs, rows]"""

    def applied(self, drawn: Floats, states: Mapping[str, Floats]) -> Floats:
        """Return what is held from a row on, given what was drawn for it and the states of the row.  [runs] all"""
        return drawn


@dataclass(frozen=True, kw_only=True)
class Constant(Signal):
    """One level for each run, drawn between two bounds."""

    low: float
    """Lower bound."""
    high: float
    """Upper bound; equal to ``low`` for a level that is known."""

    def __post_init__(self) -> None:
        _require_range(self.low, self.high)

    def draw(self, times: Floats, runs: int, rng: np.random.Generator) -> Floats:
        """Return the levels, the same at all times.  [runs, rows]"""
        levels = rng.uniform(self.low, self.high, (runs, 1))
        return np.repeat(levels, len(times), axis=1)


@dataclass(frozen=True, kw_only=True)
class Smooth(Signal):
    """A band-limited random signal: sines of random frequency and phase, bent so that it stays within its bounds."""

    low: float
    """Lower bound, never crossed."""
    high: float
    """Upper bound."""
    period: float = 2.0
    """Of the fastest sine (s); the slowest takes eight times as long."""

    def __post_init__(self) -> None:
        _require_range(self.low, self.high)
        _require_positive("period", self.period)

    def draw(self, times: Floats, runs: int, rng: np.random.Generator) -> Floats:
        """Return values between the bounds.  [runs, rows]"""
        frequencies = rng.uniform(1 / 8, 1, (runs, WAVES, 1)) / self.period
        phases = rng.uniform(0, 1, (runs, WAVES, 1))
        waves = np.sin(2 * np.pi * (frequencies * times + phases)).sum(1) / np.sqrt(WAVES / 2)  # spread 1
        return _between(self.low, self.high, np.tanh(waves))


@dataclass(frozen=True, kw_only=True)
class Steps(Signal):
    """Random levels, each held for a time."""

    low: float
    """Lower bound of a level."""
    high: float
    """Upper bound."""
    hold: float = 1.0
    """How long a level stays (s)."""

    def __post_init__(self) -> None:
        _require_range(self.low, self.high)
        _require_positive("hold", self.hold)

    def draw(self, times: Floats, runs: int, rng: np.random.Generator) -> Floats:
        """Return the levels.  [runs, rows]"""
        which = np.floor((times - times[0]) / self.hold + 1e-9).astype(int)
        return rng.uniform(self.low, self.high, (runs, int(which[-1]) + 1))[:, which]


@dataclass(frozen=True, kw_only=True)
class Chirp(Signal):
    """A sine between two bounds whose frequency grows steadily over the run; the phase is random."""

    low: float
    """Lower bound, which it touches."""
    high: float
    """Upper bound, which it touches."""
    first: float = 0.1
    """Frequency at the start (Hz)."""
    last: float = 2.0
    """Frequency at the end (Hz)."""

    def __post_init__(self) -> None:
        _require_range(self.low, self.high)
        _require_positive("first", self.first)
        _require_positive("last", self.last)

    def draw(self, times: Floats, runs: int, rng: np.random.Generator) -> Floats:
        """Return the sine.  [runs, rows]"""
        since = times - times[0]
        growth = (self.last - self.first) / max(since[-1], np.finfo(np.float64).tiny)
        turns = self.first * since + growth * since**2 / 2
        return _between(self.low, self.high, np.sin(2 * np.pi * (turns + rng.uniform(0, 1, (runs, 1)))))


@dataclass(frozen=True, kw_only=True)
class Recorded(Signal):
    """Values that are given, the same in each run."""

    values: tuple[float, ...]
    """One for each row."""

    def draw(self, times: Floats, runs: int, rng: np.random.Generator) -> Floats:
        """Return the values.  [runs, rows]

        Raises:
            ConfigError: there are not enough of them.
        """
        if len(self.values) < len(times):
            raise ConfigError(f"a recorded signal has {len(self.values)} values, the run has {len(times)} rows")
        return np.tile(np.array(self.values[: len(times)], dtype=np.float64), (runs, 1))


@dataclass(frozen=True, kw_only=True)
class Follow(Signal):
    """A control that is a rate of a state, such as an acceleration: it makes the state follow a signal."""

    state: str
    """Name of the state."""
    reference: Signal
    """What the state is to follow, in its unit."""
    gain: float = 2.0
    """Control over distance from the reference (1/s where the control is the rate of the state)."""
    low: float | None = None
    """Least control; None for any."""
    high: float | None = None
    """Greatest control; None for any."""

    def __post_init__(self) -> None:
        _require_positive("gain", self.gain)

    def draw(self, times: Floats, runs: int, rng: np.random.Generator) -> Floats:
        """Return the reference.  [runs, rows]"""
        return self.reference.draw(times, runs, rng)

    def applied(self, drawn: Floats, states: Mapping[str, Floats]) -> Floats:
        """Return the control that moves the state towards the reference.  [runs]

        Raises:
            ConfigError: the model has no such state.
        """
        if self.state not in states:
            raise ConfigError(f"a control follows the state {self.state!r}{did_you_mean(self.state, states)}")
        wanted: Floats = self.gain * (drawn - states[self.state])
        return wanted.clip(-np.inf if self.low is None else self.low, self.high)


def _between(low: float, high: float, unit: Floats) -> Floats:
    """Return low where ``unit`` is −1, high where it is 1."""
    return (low + high) / 2 + (high - low) / 2 * unit


def _require_range(low: float, high: float) -> None:
    if number("low", low) > number("high", high):
        raise ConfigError(f"low must not be greater than high, got {low} and {high}")


def _require_positive(name: str, value: float) -> None:
    if number(name, value) <= 0:
        raise ConfigError(f"{name} must be greater than 0, got {value}")
