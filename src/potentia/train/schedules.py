"""Learning-rate schedules: pure functions of a few numbers, which the run carries and saves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from potentia.checks import integer, number
from potentia.errors import ConfigError

__all__ = ["Plateau", "Schedule"]


class Schedule(Protocol):
    """A rule for the learning rate; a schedule object holds settings only and never changes."""

    def start(self) -> dict[str, float]:
        """Return the numbers that the run carries, before the first epoch."""
        ...

    def after_epoch(self, state: Mapping[str, float], value: float) -> dict[str, float]:
        """Return the numbers after one more epoch, which ended with the monitored ``value`` (NaN: none)."""
        ...

    def rate(self, first: float, state: Mapping[str, float]) -> float:
        """Return the learning rate where training began with the rate ``first``."""
        ...


@dataclass(frozen=True)
class Plateau:
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
        if not 0 < number("factor", self.factor) < 1:
            raise ConfigError(f"factor must be between 0 and 1, got {self.factor!r}")
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

    def rate(self, first: float, state: Mapping[str, float]) -> float:
        """Return the rate after all reductions so far."""
        reduced = first * math.pow(self.factor, state["reductions"])
        return min(first, max(reduced, self.min_lr))
