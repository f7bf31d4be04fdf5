"""Timing of things side by side: A B A B, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["FEWEST", "Times", "Work", "alternate", "middle", "seconds"]

Work: TypeAlias = Callable[[], Mapping[str, float]]
"""Does something, and returns the seconds it took; more than one, by name, if it is done in parts."""
FEWEST = 2
"""Rounds that are made however long they take."""


@dataclass(frozen=True)
class Times:
    """Repeated measurements of one thing, in one unit."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Middle one, the figure that is printed."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """Smallest one: what an undisturbed machine would show."""
        return min(self.values)

    def __mul__(self, factor: float) -> Times:
        return Times(tuple(value * factor for value in self.values))

    def __add__(self, other: Times) -> Times:
        """Add what was measured in the same rounds."""
        return Times(tuple(a + b for a, b in zip(self.values, other.values, strict=True)))

    def plain(self) -> dict[str, float | list[float]]:
        """Return all as plain values."""
        return {"median": self.median, "least": self.least, "values": list(self.values)}


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def middle(work: Callable[[], object], again: int = 5) -> float:
    """Return the median of the seconds that ``work`` takes when called ``again`` times."""
    return statistics.median(seconds(work) for _ in range(again))


def alternate(works: Mapping[str, Work], rounds: int, limit: float) -> dict[str, Times]:
    """Call each of ``works`` once a round, in turn; each returns its own seconds by name.

    One round before is not counted: compilation and first use of memory fall into it. After ``limit`` seconds no new
    round is begun, but `FEWEST` are always made (or ``rounds``, if that is less).
    """
    begun = time.perf_counter()
    _one_round(works)
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        if number >= FEWEST and time.perf_counter() - begun > limit:
            break
        for name, value in _one_round(works):
            found.setdefault(name, []).append(value)
    return {name: Times(tuple(values)) for name, values in found.items()}


def _one_round(works: Mapping[str, Work]) -> list[tuple[str, float]]:
    """Name and seconds of everything, names joined by dots."""
    return [
        (".".join(part for part in (prefix, name) if part), value)
        for prefix, work in works.items()
        for name, value in work().items()
    ]
