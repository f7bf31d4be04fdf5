"""Learning-rate schedules: pure functions of how far the run is and of a few numbers that it carries and saves."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from potentia.checks import integer, number
from potentia.errors import ConfigError

__all__ = ["Cosine", "Plateau", "Polynomial", "Schedule", "StepDecay", "Warmup"]


class Schedule(ABC):
    """A rule for the learning rate, asked before each batch; a schedule holds settings only and never changes."""

    def start(self) -> dict[str, float]:
        """Return the numbers that the run carries, before the first epoch."""
        return {}

    def after_epoch(self, state: Mapping[str, float], value: float) -> dict[str, float]:
        """Return the numbers after one more epoch, which ended with the monitored ``value`` (NaN: none)."""
        return dict(state)

    @abstractmethod
    def rate(self, first: float, state: Mapping[str, float], epochs: float) -> float:
        """Return the learning rate of the next batch where training began with the rate ``first``.

        ``epochs`` have been completed, the present one by the part of its batches: 2.5 is half of the third.
        """


@dataclass(frozen=True)
class Plateau(Schedule):
    """Less learning rate when the monitored error no longer falls, in the way of torch's ReduceLROnPlateau."""

    patience: int = 10
    """Epochs without improvement that are put up with; the next one reduces."""
    factor: float = 0.5
    """The learning rate is multiplied by this, in (0, 1)."""
    min_lr: float = 1e-6
    """The learning rate is not reduced below this."""

    threshold: ClassVar[float] = 1e-4
    """An improvement is at least this part of the best value."""

    def __post_init__(self) -> None:
        integer("patience", self.patience, low=0)
        _check_factor(self.factor)
        number("min_lr", self.min_lr, low=0)

    def start(self) -> dict[str, float]:
        """Return the numbers before the first epoch."""
        return {"best": math.inf, "waited": 0, "reductions": 0}

    def after_epoch(self, state: Mapping[str, float], value: float) -> dict[str, float]:
        """Count the epochs without improvement; an epoch without a value counts for nothing."""
        if math.isnan(value):
            return dict(state)
        if value < state["best"] * (1 - self.threshold):
            return {**state, "best": value, "waited": 0}
        if state["waited"] < self.patience:
            return {**state, "waited": state["waited"] + 1}
        return {**state, "waited": 0, "reductions": state["reductions"] + 1}

    def rate(self, first: float, state: Mapping[str, float], epochs: float) -> float:
        """Return the rate after all reductions so far."""
        reduced = first * math.pow(self.factor, state["reductions"])
        return min(first, max(reduced, self.min_lr))


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Less learning rate every so many epochs."""

    every_epochs: int = 100
    """Epochs between reductions."""
    factor: float = 0.5
    """The learning rate is multiplied by this, in (0, 1)."""

    def __post_init__(self) -> None:
        integer("every_epochs", self.every_epochs, low=1)
        _check_factor(self.factor)

    def rate(self, first: float, state: Mapping[str, float], epochs: float) -> float:
        """Return the rate after all reductions so far."""
        return first * math.pow(self.factor, math.floor(epochs) // self.every_epochs)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Up on a line from batch to batch, then down on half a cosine (Loshchilov and Hutter, arXiv:1608.03983).

    >>> schedule = Cosine(total_epochs=12, warmup_epochs=2, initial_fraction=0.1)
    >>> [round(schedule.rate(1.0, {}, epochs), 3) for epochs in (0, 1, 2, 7, 12, 20)]
    [0.1, 0.55, 1.0, 0.5, 0.0, 0.0]
    """

    total_epochs: float
    """After so many epochs the way down ends; the rate stays as it is then."""
    warmup_epochs: float = 1.0
    """So many epochs, or parts of one, the way up takes; 0 for none."""
    initial_fraction: float = 0.1
    """The way up begins at this part of the first rate, in [0, 1]."""
    final_fraction: float = 0.0
    """The way down ends at this part of the first rate, in [0, 1]; at 0 the weights rest after ``total_epochs``."""

    def __post_init__(self) -> None:
        number("warmup_epochs", self.warmup_epochs, low=0)
        _check_total(self.total_epochs, self.warmup_epochs)
        number("initial_fraction", self.initial_fraction, low=0, high=1)
        number("final_fraction", self.final_fraction, low=0, high=1)

    def rate(self, first: float, state: Mapping[str, float], epochs: float) -> float:
        """Return the rate at this moment of the run."""
        if epochs < self.warmup_epochs:
            return first * _on_the_way_up(self.initial_fraction, epochs / self.warmup_epochs)
        gone = min((epochs - self.warmup_epochs) / (self.total_epochs - self.warmup_epochs), 1.0)
        return first * (self.final_fraction + (1 - self.final_fraction) * (1 + math.cos(math.pi * gone)) / 2)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """Up on a line from batch to batch, then down to zero as a power of what is left.

    >>> schedule = Polynomial(total_epochs=10, power=2.0)
    >>> [round(schedule.rate(1.0, {}, epochs), 3) for epochs in (0, 5, 9, 10, 20)]
    [1.0, 0.25, 0.01, 0.0, 0.0]
    """

    total_epochs: float
    """After so many epochs the rate is zero."""
    power: float = 0.9
    """At 1 the way is a line; less falls later, more sooner."""
    warmup_epochs: float = 0.0
    """So many epochs, or parts of one, the way up takes; 0 for none."""
    initial_fraction: float = 0.1
    """The way up begins at this part of the first rate, in [0, 1]."""

    def __post_init__(self) -> None:
        number("power", self.power, low=0)
        number("warmup_epochs", self.warmup_epochs, low=0)
        _check_total(self.total_epochs, self.warmup_epochs)
        number("initial_fraction", self.initial_fraction, low=0, high=1)

    def rate(self, first: float, state: Mapping[str, float], epochs: float) -> float:
        """Return the rate at this moment of the run."""
        if epochs < self.warmup_epochs:
            return first * _on_the_way_up(self.initial_fraction, epochs / self.warmup_epochs)
        left = (self.total_epochs - epochs) / (self.total_epochs - self.warmup_epochs)
        return first * math.pow(max(left, 0.0), self.power)


@dataclass(frozen=True)
class Warmup(Schedule):
    """Up on a line from batch to batch, and constant from there on."""

    epochs: float = 1.0
    """So many epochs, or parts of one, the way up takes."""
    initial_fraction: float = 0.1
    """It begins at this part of the first rate, in [0, 1]."""

    def __post_init__(self) -> None:
        number("epochs", self.epochs, low=0)
        number("initial_fraction", self.initial_fraction, low=0, high=1)

    def rate(self, first: float, state: Mapping[str, float], epochs: float) -> float:
        """Return the rate at this moment of the run."""
        return first if epochs >= self.epochs else first * _on_the_way_up(self.initial_fraction, epochs / self.epochs)


def _on_the_way_up(begin: float, gone: float) -> float:
    """Return the part of the rate where a part of the way up from ``begin`` to 1 is gone."""
    return begin + (1 - begin) * gone


def _check_total(total_epochs: float, warmup_epochs: float) -> None:
    if not number("total_epochs", total_epochs, low=0) > warmup_epochs:
        raise ConfigError(f"total_epochs must be greater than warmup_epochs={warmup_epochs!r}, got {total_epochs!r}")


def _check_factor(factor: float) -> None:
    if not 0 < number("factor", factor) < 1:
        raise ConfigError(f"factor must be between 0 and 1, got {factor!r}")
