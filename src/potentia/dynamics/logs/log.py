"""A log: columns of numbers over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.checks import did_you_mean
from potentia.errors import DataError

__all__ = ["Log"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Log:
    """What was recorded in one go; a control is held from its row to the next."""

    name: str
    """By which tables and splits call it."""
    time: Floats = field(repr=False)
    """Of the rows, ascending (s).  [rows]"""
    columns: Mapping[str, Floats] = field(repr=False)
    """Name → values; what is missing is NaN.  [rows] each"""
    source: str = ""
    """File that it came from."""
    text: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Column of that file that is no numbers → what stands in it."""

    def __post_init__(self) -> None:
        time = np.array(self.time, dtype=np.float64)
        if time.ndim != 1 or not len(time):
            raise DataError(f"{self.where}: the time must have shape [rows], with at least one row, got {time.shape}")
        columns = {key: np.array(value, dtype=np.float64) for key, value in self.columns.items()}
        for key, value in columns.items():
            if value.shape != time.shape:
                raise DataError(f"{self.where}: column {key!r} has shape {value.shape}, the time has {time.shape}")
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "columns", columns)
        self._check_time()

    def __len__(self) -> int:
        return len(self.time)

    @property
    def where(self) -> str:
        """Return how messages call it."""
        return self.source or f"log {self.name!r}"

    def column(self, name: str) -> Floats:
        """Return a column.  [rows]

        Raises:
            DataError: there is none of this name.
        """
        if name in self.text and name not in self.columns:
            raise DataError(f"{self.where}: column {name!r} is text{self.text[name]}; it must be numbers")
        if name not in self.columns:
            raise DataError(
                f"{self.where} has no column {name!r}{did_you_mean(name, self.columns)} (where a file calls it "
                "otherwise, say so in a ColumnMap, or in columns.yaml beside it)"
            )
        return self.columns[name]

    def _check_time(self) -> None:
        if not np.isfinite(self.time).all():
            row = int(np.flatnonzero(~np.isfinite(self.time))[0])
            raise DataError(f"{self.where}: the time is not finite in row {row}: leave that row out")
        steps = np.diff(self.time)
        if len(steps) and steps.min() <= 0:
            row = int(np.flatnonzero(steps <= 0)[0])
            what = "is there twice" if steps[row] == 0 else "goes back"
            raise DataError(
                f"{self.where}: the time {what}, {float(self.time[row])!r} s in row {row} and "
                f"{float(self.time[row + 1])!r} s after it: leave one of the rows out, or cut the log there"
            )
