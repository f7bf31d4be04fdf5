"""Learning-rate schedules: pure functions of how far the run is and of a few numbers that it carries and saves."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from potentia.checks import integer, number
from potentia.errors import ConfigError

__all__ = ["Cosine", "Plateau", "Schedule", "StepDecay"]


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
        if not number("total_epochs", self.total_epochs, low=0) > self.warmup_epochs:
            raise ConfigError(
                f"total_epochs must be greater than warmup_epochs={self.warmup_epochs!r}, got {self.total_epochs!r}"
            )
        number("initial_fraction", self.initial_fraction, low=0, high=1)
        number("final_fraction", self.final_fraction, low=0, high=1)

    def rate(self, first: float, state: Mapping[str, float], epochs: float) -> float:
        """Return the rate at this moment of the run."""
        if epochs < self.warmup_epochs:
            return first * (self.initial_fraction + (1 - self.initial_fraction) * epochs / self.warmup_epochs)
        gone = min((epochs - self.warmup_epochs) / (self.total_epochs - self.warmup_epochs), 1.0)
        return first * (self.final_fraction + (1 - self.final_fraction) * (1 + math.cos(math.pi * gone)) / 2)


def _check_factor(factor: float) -> None:
    if not 0 < number("factor", factor) < 1:
        raise ConfigError(f"factor must be between 0 and 1, got {factor!r}")
