"""Errors of members beside their spreads on what was held out, quantity by quantity and along the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Errors", "HeldOut", "Words"]

Floats: TypeAlias = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Words:
    """What a family calls its error bars and what they are learned from."""

    pieces: str
    """What is held out: ``"simulations"``."""
    quantity: str
    """Column of the tables: ``"channel"``."""
    of: str
    """What stands before the name of a quantity: ``"field"``."""
    by_step: str
    """Name of the table along the time: ``"lead_times"``."""
    steps: str
    """What it goes by: ``"step of the roll-out"``."""


@final
@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of the mean of one quantity beside the spreads of the members, behind what was given."""

    error: Floats
    """[pieces, steps, points]"""
    spread: Floats
    """[pieces, steps, points]"""
    group: NDArray[np.int64]
    """Number of what a piece follows from; those of one are not independent.  [pieces]"""
    steps: Sequence[str]
    """Which intervals a step has; several may have one.  [steps]"""

    @property
    def names(self) -> list[str]:
        """Names of the steps, each once, in order."""
        return list(dict.fromkeys(self.steps))

    def at(self, name: str) -> tuple[Floats, Floats]:
        """Return errors and spreads of the steps of one name.  [pieces, steps · points] both"""
        here = np.array([step == name for step in self.steps])
        error, spread = (values[:, here].reshape(len(values), -1) for values in (self.error, self.spread))
        return error, spread

    def rows(self) -> tuple[Floats, Floats, NDArray[np.str_], NDArray[np.int64]]:
        """Return error and spread [pieces · steps, points] with the step and the group of each row."""
        n, steps, points = self.error.shape
        error, spread = (values.reshape(n * steps, points) for values in (self.error, self.spread))
        return error, spread, np.tile(np.array(self.steps), n), np.repeat(self.group, steps)


@final
@dataclass(frozen=True, eq=False)
class HeldOut:
    """What members say of held-out pieces, beside the truth: what calibrations are learned from and measured on."""

    errors: Mapping[str, Errors]
    """By quantity."""
    unit: str
    """Of errors and spreads."""
    table: pd.DataFrame
    """What is told of each step, by its name: such as ``step`` and ``time``."""
    marks: Sequence[str]
    """A mark of each piece.  [pieces]"""
    edges: tuple[float, ...] = ()
    """Where steps are parts of a line, such as windows of time: their ends."""

    def __len__(self) -> int:
        return len(self.marks)

    @property
    def groups(self) -> int:
        """How many pieces are independent of each other."""
        return len(np.unique(next(iter(self.errors.values())).group))
