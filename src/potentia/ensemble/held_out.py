"""Errors of members beside their spreads on what was held out, quantity by quantity and along the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Errors", "HeldOut", "Words", "step_name"]

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
    time: str = "time"
    """Name of the axis of time, with the unit where it has one: ``"time (s)"``."""


@final
@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of the mean of one quantity beside the spreads of the members, behind what was given."""

    error: Floats
    """NaN where the truth is not known.  [pieces, steps, points]"""
    spread: Floats
    """[pieces, steps, points]"""
    group: NDArray[np.int64]
    """Number of what a piece follows from; those of one are not independent.  [pieces]"""
    steps: Sequence[str]
    """Which intervals a step has; several may have one.  [steps]"""
    unit: str
    """Of errors and spreads."""

    @property
    def names(self) -> list[str]:
        """Names of the steps of which something is known, each once, in order."""
        known = np.flatnonzero(~np.isnan(self.error).all((0, 2)))
        return list(dict.fromkeys(self.steps[k] for k in known.tolist()))

    def at(self, name: str) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Return errors and spreads of the steps of one name [known pieces, steps · points], and the pieces' groups."""
        here = np.array([step == name for step in self.steps])
        error, spread = (values[:, here].reshape(len(values), -1) for values in (self.error, self.spread))
        known = ~np.isnan(error).any(1)
        return error[known], spread[known], self.group[known]

    def rows(self) -> tuple[Floats, Floats, NDArray[np.str_], NDArray[np.int64]]:
        """Return error and spread [known pieces · steps, points] with the step and the group of each row."""
        n, steps, points = self.error.shape
        error, spread = (values.reshape(n * steps, points) for values in (self.error, self.spread))
        known = ~np.isnan(error).any(1)
        names, group = np.tile(np.array(self.steps), n), np.repeat(self.group, steps)
        return error[known], spread[known], names[known], group[known]


@final
@dataclass(frozen=True, eq=False)
class HeldOut:
    """What members say of held-out pieces, beside the truth: what calibrations are learned from and measured on."""

    errors: Mapping[str, Errors]
    """By quantity."""
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


def step_name(step: int) -> str:
    """Return what calibrations and tables call a lead time: so many steps behind what was given.

    >>> step_name(3)
    'step 3'
    """
    return f"step {step}"
