"""How good error bars are along a prediction: raw and calibrated, beside the errors of what was held out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
import pandas as pd

from potentia.calibration import Calibration, NormalCalibration
from potentia.checks import choice
from potentia.coverage import coverage_table
from potentia.ensemble.calibration import SpreadCalibration
from potentia.ensemble.held_out import Errors, HeldOut, Words
from potentia.error_bars import ErrorBars
from potentia.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CalibrateResult", "MeasuredBars", "measured"]

LEVELS = (0.68, 0.95)
"""Shares of the errors that one and two standard deviations of a normal distribution hold."""
RAW = NormalCalibration(1.0)
"""The spread itself, taken for the standard deviation."""
EVERY_STEP = "all"


@final
@dataclass(frozen=True, eq=False)
class MeasuredBars:
    """What share of errors the error bars of a committee hold, on pieces that they were not learned from."""

    samples: int
    """Pieces, such as simulations or trajectories, that were measured on."""
    left_out: int
    """Pieces that the calibration was learned from, and that were therefore left out."""
    coverage: pd.DataFrame
    """By quantity, ``error_bars`` (``"raw"``, the spread as a standard deviation, or ``"calibrated"``) and ``level``,
    over all steps: ``coverage``, its standard ``error``, mean ``half_width``, number ``n``."""
    by_step: pd.DataFrame
    """By quantity and step, with its ``time``: ``RMSE`` of the mean, ``spread`` (root mean square), and the coverage of
    raw and of calibrated error bars at 68 and 95 %: ``raw_68`` …"""
    bars: Mapping[str, ErrorBars]
    """Quantity → calibrated error bars, by step too; empty where they are not calibrated."""
    errors: Mapping[str, Errors]
    """Quantity → what was measured on."""
    words: Words
    """What the family calls all that."""

    def drawn(self) -> list[ErrorBars]:
        """Return the error bars of each quantity over all steps, and of the first, the middle and the last one."""
        return [
            replace(bars, coverage=_some_steps(bars.coverage, self.errors[quantity].names))
            for quantity, bars in self.bars.items()
        ]

    def plot(self, quantity: str | None = None, outfile: str | os.PathLike[str] | None = None) -> Figure:
        """Draw coverage over level, and widths over the widths needed, of a quantity (the first, if None).

        Raises:
            DataError: they are not calibrated.
            ConfigError: there is no such quantity.
        """
        if not self.bars:
            raise DataError("error bars are drawn once they are calibrated: call `calibrate` first")
        names = tuple(self.bars)
        place = 0 if quantity is None else names.index(choice(self.words.quantity, quantity, names))
        return self.drawn()[place].plot(outfile)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return ``"coverage"`` and that by step; where calibrated, ``"calibration"``, a row for each quantity."""
        found = {"coverage": self.coverage, self.words.by_step: self.by_step}
        if not self.bars:
            return found
        counts = {"measured_on": self.samples, "left_out": self.left_out}
        rows = [
            {self.words.quantity: name, "level": one.level, **counts, **one.plain()} for name, one in self.bars.items()
        ]
        return {"calibration": pd.DataFrame(rows), **found}

    def __str__(self) -> str:
        head = f"measured on {self.samples} {self.words.pieces}"
        shown = self.coverage.to_string(index=False, float_format="{:.4g}".format)
        return "\n".join([head, shown, *map(str, self.drawn())])


@final
@dataclass(frozen=True, eq=False)
class CalibrateResult:
    """What the calibration of a committee has learned, and how good it is on other pieces."""

    calibration: SpreadCalibration
    """What the committee keeps."""
    measured: MeasuredBars
    """On the pieces that it was not learned from."""
    learned_from: list[int]
    """Places of the samples that it was learned from."""
    measured_on: list[int]
    """Places of the samples that it was measured on."""

    def __str__(self) -> str:
        return f"learned from {len(self.learned_from)} {self.measured.words.pieces}\n{self.measured}"


def measured(held: HeldOut, calibration: SpreadCalibration | None, words: Words, left_out: int = 0) -> MeasuredBars:
    """Measure error bars, raw and where there is a calibration calibrated, on pieces it was not learned from."""
    errors = held.errors
    kinds: dict[str, Mapping[str, Calibration]] = {"raw": dict.fromkeys(errors, RAW)}
    levels = list(LEVELS)
    if calibration is not None:
        kinds["calibrated"] = calibration.of
        levels = sorted({*LEVELS, calibration.level})
    frames, by_step = [], []
    for quantity, found in errors.items():
        error, spread, step, group = found.rows()
        tables = {kind: coverage_table(error, spread, of[quantity], levels, step, group) for kind, of in kinds.items()}
        for kind, table in tables.items():
            over_all = table[table["group"] == EVERY_STEP].drop(columns="group")
            frames.append(over_all.assign(**{words.quantity: quantity, "error_bars": kind}))
        by_step.append(_by_step({words.quantity: quantity}, found, tables, held.table))
    columns = [words.quantity, "error_bars", "level", "coverage", "error", "half_width", "n"]
    return MeasuredBars(
        samples=len(held),
        left_out=left_out,
        coverage=pd.concat(frames, ignore_index=True)[columns],
        by_step=pd.concat(by_step, ignore_index=True),
        bars={} if calibration is None else {name: _bars(name, held, calibration, words) for name in errors},
        errors=errors,
        words=words,
    )


def _bars(quantity: str, held: HeldOut, calibration: SpreadCalibration, words: Words) -> ErrorBars:
    error, spread, step, group = held.errors[quantity].rows()
    known = (calibration.of[quantity], calibration.level, step, group)
    return ErrorBars.measured(f"{words.of} {quantity}", held.errors[quantity].unit, error, spread, *known)


def _by_step(
    quantity: Mapping[str, str], found: Errors, tables: Mapping[str, pd.DataFrame], steps: pd.DataFrame
) -> pd.DataFrame:
    """Return a row for each step of a quantity."""
    pairs = [found.at(name) for name in found.names]
    columns = {
        **quantity,
        **{str(name): steps.loc[found.names, name].to_numpy() for name in steps.columns},
        "RMSE": [float(np.sqrt(np.square(error).mean())) for error, _, _ in pairs],
        "spread": [float(np.sqrt(np.square(spread).mean())) for _, spread, _ in pairs],
    }
    for kind, table in tables.items():
        wide = table.pivot(index="group", columns="level", values="coverage").loc[found.names]
        columns |= {f"{kind}_{100 * level:.0f}": wide[level].to_numpy() for level in LEVELS}
    return pd.DataFrame(columns)


def _some_steps(coverage: pd.DataFrame, steps: Sequence[str]) -> pd.DataFrame:
    """Return the rows over all steps, and those of the first, the middle and the last one."""
    chosen = dict.fromkeys((EVERY_STEP, steps[0], steps[len(steps) // 2], steps[-1]))
    return pd.concat([coverage[coverage["group"] == name] for name in chosen], ignore_index=True)
