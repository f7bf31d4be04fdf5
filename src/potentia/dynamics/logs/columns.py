"""What the columns of a file are called here, and in which unit they are: ``columns.yaml`` beside the logs.

.. code-block:: yaml

    time: {column: "time(ms)", unit: ms}
    columns:
      x: "x(m)"
      psi: {column: heading, unit: deg}
      v: {column: [vx, vy], formula: hypot}
      beta: {column: [vy, vx], formula: atan2}
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.checks import choice, did_you_mean, number
from potentia.config import from_dict
from potentia.dynamics.logs.angles import unwrapped
from potentia.dynamics.logs.log import Log
from potentia.dynamics.logs.tables import Table
from potentia.errors import ConfigError, DataError
from potentia.study import read_yaml

__all__ = ["UNITS", "Column", "ColumnMap", "read_column_map"]

Floats: TypeAlias = NDArray[np.float64]

UNITS: dict[str, float] = {
    **dict.fromkeys(("", "s", "m", "rad", "m/s", "rad/s", "m/s^2", "rad/s^2", "N", "Pa", "V", "kg"), 1.0),
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    "min": 60.0,
    "mm": 1e-3,
    "cm": 1e-2,
    "km": 1e3,
    "deg": np.pi / 180,
    "deg/s": np.pi / 180,
    "rpm": np.pi / 30,
    "km/h": 1 / 3.6,
    "mph": 0.44704,
    "g": 9.80665,
    "kPa": 1e3,
    "%": 1e-2,
}
"""Unit of a column → its size in SI."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """Where a quantity comes from: ``formula(column) * unit * factor + offset``."""

    column: str | tuple[str, str]
    """Name in the file; two for the formulas that need two."""
    unit: str = ""
    """Of the file: one of `UNITS`."""
    factor: float = 1.0
    """For units that have no name, and for signs."""
    offset: float = 0.0
    """In SI; added last."""
    formula: Literal["same", "hypot", "atan2", "rate", "turn_rate"] = "same"
    """``"hypot"`` (vx, vy) → speed; ``"atan2"`` (vy, vx) → slip angle; ``"rate"``: the change to the next row over the
    time to it, which is exactly the control that was held where the column is a state that it moves (last row: NaN);
    ``"turn_rate"``: the same of a heading, through full turns."""

    def __post_init__(self) -> None:
        choice("formula", self.formula, ("same", "hypot", "atan2", "rate", "turn_rate"))
        if self.unit not in UNITS:
            known = did_you_mean(self.unit, [unit for unit in UNITS if unit])
            raise ConfigError(f"there is no unit {self.unit!r} for a column{known}")
        number("factor", self.factor)
        number("offset", self.offset)
        two = self.formula in {"hypot", "atan2"}
        if two == isinstance(self.column, str):
            needed = "two columns" if two else "one column"
            raise ConfigError(f"formula {self.formula!r} needs {needed}, got {self.column!r}")
        if self.formula == "atan2" and self.unit:
            raise ConfigError(f"formula 'atan2' gives rad: leave the unit out, got {self.unit!r}")

    @property
    def sources(self) -> tuple[str, ...]:
        """Names in the file."""
        return (self.column,) if isinstance(self.column, str) else tuple(self.column)

    def values(self, table: Table, time: Floats) -> Floats:
        """Return the quantity.  [rows]"""
        found = [table.column(name) for name in self.sources]
        match self.formula:
            case "same":
                raw = found[0]
            case "hypot":
                raw = np.hypot(*found)
            case "atan2":
                raw = np.arctan2(*found)
            case "rate":
                raw = np.append(np.diff(found[0]) / np.diff(time), np.nan)
            case "turn_rate":
                size = UNITS[self.unit]
                raw = np.append(np.diff(unwrapped(found[0] * size) / size) / np.diff(time), np.nan)
        return np.asarray(raw * (UNITS[self.unit] * self.factor) + self.offset, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """What the columns of files mean; what is not named keeps its name and its numbers."""

    time: Column | str = "time"
    """The time, in s unless it says otherwise."""
    dt: float | None = None
    """Time from row to row (s) of files without a column of it; None where there is one."""
    columns: Mapping[str, Column | str] = field(default_factory=dict)
    """State, control or feature → where it comes from."""

    def __post_init__(self) -> None:
        if self.dt is not None and number("dt", self.dt) <= 0:
            raise ConfigError(f"dt must be greater than 0 (s), got {self.dt}")

    def log_of(self, table: Table, name: str) -> Log:
        """Return the log of a table; columns that others are made of are not in it again.

        Raises:
            DataError: a column is missing, is no numbers, or the time is no time.
        """
        time = self._time_of(table)
        chosen = {key: _column(one) for key, one in self.columns.items()}
        used = {source for one in chosen.values() for source in one.sources}
        if self.dt is None:
            used.update(_column(self.time).sources)
        kept = {key: value for key, value in table.columns.items() if key not in used}
        made = {key: one.values(table, time) for key, one in chosen.items()}
        if not chosen and table.misfits:
            key, reason = next(iter(table.misfits.items()))
            raise DataError(f"{table.path}: {key!r} {reason}")
        return Log(name, time, {**kept, **made}, str(table.path), table.text)

    def _time_of(self, table: Table) -> Floats:
        if self.dt is not None:
            return np.arange(table.rows, dtype=np.float64) * np.float64(self.dt)
        one = _column(self.time)
        if one.sources[0] not in {*table.columns, *table.text, *table.misfits}:
            hint = "; or, where rows are equally far apart and there is no such column, give dt"
            raise DataError(
                f"{table.path} has no column {one.sources[0]!r} for the time"
                f"{did_you_mean(one.sources[0], table.columns)}{hint}"
            )
        return one.values(table, np.zeros(0))


def read_column_map(path: str | os.PathLike[str]) -> ColumnMap:
    """Read a map from a YAML file.

    Raises:
        ConfigError: a name is unknown, or a value cannot be.
        FileFormatError: it is no YAML.
    """
    try:
        return from_dict(ColumnMap, read_yaml(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _column(one: Column | str) -> Column:
    return Column(column=one) if isinstance(one, str) else one
