"""Averages of the weights on their way: smoother than the last weights, and often better.

An average object holds settings only; the averaged weights and their count are carried by the run, which scores them
and saves them as the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from potentia.checks import integer, number
from potentia.errors import ConfigError

__all__ = ["Average", "ExponentialAverage", "UniformAverage", "check_average"]


class Average(ABC):
    """A rule for how much the newest weights count."""

    start_epoch: int
    """Completed epochs before the first weights are taken in."""

    @abstractmethod
    def part(self, count: int) -> float:
        """Return the part of the newest weights where ``count`` weights have been taken in with them; 1 at first."""


@dataclass(frozen=True)
class ExponentialAverage(Average):
    """Average over about the last 1 / (1 − decay) steps (Morales-Brotons, Vogels and Hendrikx, arXiv:2411.18704).

    Until there are so many, all count alike, so that the first weights have no more to say than the others.
    """

    decay: float = 0.999
    """What stays of the average in a step, in (0, 1)."""
    start_epoch: int = 0
    """Completed epochs before the first weights are taken in."""

    def __post_init__(self) -> None:
        if not 0 < number("decay", self.decay) < 1:
            raise ConfigError(f"decay must be between 0 and 1, got {self.decay!r}")
        integer("start_epoch", self.start_epoch, low=0)

    def part(self, count: int) -> float:
        """Return the part of the newest weights."""
        return max(1 - self.decay, 1 / count)


@dataclass(frozen=True)
class UniformAverage(Average):
    """Average over all steps from an epoch on (Polyak and Juditsky, SIAM J. Control Optim. 30, 838 (1992)).

    With a constant rate towards the end it is stochastic weight averaging (Izmailov et al., arXiv:1803.05407).
    """

    start_epoch: int = 0
    """Completed epochs before the first weights are taken in."""

    def __post_init__(self) -> None:
        integer("start_epoch", self.start_epoch, low=0)

    def part(self, count: int) -> float:
        """Return the part of the newest weights."""
        return 1 / count


def check_average(average: object) -> None:
    """Refuse what is neither None nor an average of the weights."""
    if average is not None and not isinstance(average, Average):
        raise ConfigError(f"average must be ExponentialAverage(...) or another Average, got {average!r}")
