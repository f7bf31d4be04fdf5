"""How good error bars of operators are at each lead time: raw and calibrated, beside the errors of held-out fields."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.calibration import Calibration, NormalCalibration
from potentia.checks import choice
from potentia.coverage import coverage_table
from potentia.ensemble import SpreadCalibration
from potentia.error_bars import ErrorBars
from potentia.errors import DataError
from potentia.operators.committee.prediction import CommitteePrediction, step_name
from potentia.operators.dataset import Samples
from potentia.seeding import stream

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CalibrateResult", "Errors", "MeasuredBars", "errors_of", "measured"]

Floats: TypeAlias = NDArray[np.float64]

CELLS = 64
"""Of a field with more points so many are looked at, drawn for each simulation: points beside each other are alike."""
LEVELS = (0.68, 0.95)
"""Shares of the errors that one and two standard deviations of a normal distribution hold."""
RAW = NormalCalibration(1.0)
"""The spread itself, taken for the standard deviation."""
EVERY_STEP = "all"


@final
@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of the mean of one channel beside the spreads of the members, behind the initial fields."""

    error: Floats
    """[samples, steps, points]"""
    spread: Floats
    """[samples, steps, points]"""
    group: NDArray[np.int64]
    """Number of the set of parameters; those of one are not independent.  [samples]"""

    @property
    def steps(self) -> list[str]:
        """Names of the lead times."""
        return [step_name(step + 1) for step in range(self.error.shape[1])]

    def rows(self) -> tuple[Floats, Floats, NDArray[np.str_], NDArray[np.int64]]:
        """Return error and spread [samples · steps, points] with the step and the group of each row."""
        n, steps, points = self.error.shape
        error, spread = (values.reshape(n * steps, points) for values in (self.error, self.spread))
        return error, spread, np.tile(self.steps, n), np.repeat(self.group, steps)


def errors_of(predicted: CommitteePrediction, samples: Samples) -> dict[str, Errors]:
    """Return the errors of each channel at points that are drawn."""
    whole = (predicted.fields, predicted.fields_std, samples.fields)
    found, spread, truth = (
        one.reshape(*one.shape[:3], -1)[:, 1:] for one in whole
    )  # [samples, steps, channels, points]
    n, points = len(found), found.shape[-1]
    if points > CELLS:
        order = stream(0, "points of error bars").random((n, points)).argsort(1)[:, :CELLS]
        places = np.sort(order, axis=1)[:, None, None]
        found, spread, truth = (np.take_along_axis(one, places, axis=3) for one in (found, spread, truth))
    error, wide = found.astype(np.float64) - truth, spread.astype(np.float64)
    return {
        channel: Errors(error[:, :, k], wide[:, :, k], samples.group) for k, channel in enumerate(predicted.channels)
    }


@final
@dataclass(frozen=True, eq=False)
class MeasuredBars:
    """What share of errors the error bars of a committee hold, on simulations that they were not learned from."""

    samples: int
    """Simulations that were measured on."""
    left_out: int
    """Simulations that the calibration was learned from, and that were therefore left out."""
    coverage: pd.DataFrame
    """By ``channel``, ``error_bars`` (``"raw"``, the spread as a standard deviation, or ``"calibrated"``) and
    ``level``, over all lead times: ``coverage``, its standard ``error``, mean ``half_width``, number ``n``."""
    by_step: pd.DataFrame
    """By ``channel`` and ``step``, with its ``time``: ``RMSE`` of the mean, ``spread`` (root mean square), and the
    coverage of raw and of calibrated error bars at 68 and 95 %: ``raw_68`` …"""
    bars: Mapping[str, ErrorBars]
    """Channel → calibrated error bars, by lead time too; empty where they are not calibrated."""
    errors: Mapping[str, Errors]
    """Channel → what was measured on."""

    def drawn(self) -> list[ErrorBars]:
        """Return the error bars of each channel over all lead times, and of the first, the middle and the last one."""
        return [
            replace(bars, coverage=_some_steps(bars.coverage, self.errors[channel].steps))
            for channel, bars in self.bars.items()
        ]

    def plot(self, channel: str | None = None, outfile: str | os.PathLike[str] | None = None) -> Figure:
        """Draw coverage over level, and widths over the widths needed, of a channel (the first, if None).

        Raises:
            DataError: they are not calibrated.
            ConfigError: there is no such channel.
        """
        if not self.bars:
            raise DataError("error bars are drawn once they are calibrated: call `calibrate` first")
        names = tuple(self.bars)
        place = 0 if channel is None else names.index(choice("channel", channel, names))
        return self.drawn()[place].plot(outfile)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return ``"coverage"`` and ``"lead_times"``; where calibrated, ``"calibration"``, a row for each channel."""
        found = {"coverage": self.coverage, "lead_times": self.by_step}
        if not self.bars:
            return found
        rows = [{"channel": name, "level": one.level, **one.plain()} for name, one in self.bars.items()]
        return {"calibration": pd.DataFrame(rows), **found}

    def __str__(self) -> str:
        head = f"measured on {self.samples} simulations"
        shown = self.coverage.to_string(index=False, float_format="{:.4g}".format)
        return "\n".join([head, shown, *map(str, self.drawn())])


@final
@dataclass(frozen=True, eq=False)
class CalibrateResult:
    """What the calibration of a committee has learned, and how good it is on other simulations."""

    calibration: SpreadCalibration
    """What the committee keeps."""
    measured: MeasuredBars
    """On the simulations that it was not learned from."""
    learned_from: list[int]
    """Places of the samples that it was learned from."""
    measured_on: list[int]
    """Places of the samples that it was measured on."""

    def __str__(self) -> str:
        return f"learned from {len(self.learned_from)} simulations\n{self.measured}"


def measured(
    predicted: CommitteePrediction, samples: Samples, calibration: SpreadCalibration | None, left_out: int = 0
) -> MeasuredBars:
    """Measure error bars, raw and where there is a calibration calibrated, on ``samples`` it was not learned from."""
    errors = errors_of(predicted, samples)
    kinds: dict[str, Mapping[str, Calibration]] = {"raw": dict.fromkeys(errors, RAW)}
    levels = list(LEVELS)
    if calibration is not None:
        kinds["calibrated"] = calibration.of
        levels = sorted({*LEVELS, calibration.level})
    frames, by_step = [], []
    for channel, found in errors.items():
        error, spread, step, group = found.rows()
        tables = {kind: coverage_table(error, spread, of[channel], levels, step, group) for kind, of in kinds.items()}
        for kind, table in tables.items():
            over_all = table[table["group"] == EVERY_STEP].drop(columns="group")
            frames.append(over_all.assign(channel=channel, error_bars=kind))
        by_step.append(_by_step(channel, found, tables, predicted.time_step))
    columns = ["channel", "error_bars", "level", "coverage", "error", "half_width", "n"]
    return MeasuredBars(
        samples=len(samples),
        left_out=left_out,
        coverage=pd.concat(frames, ignore_index=True)[columns],
        by_step=pd.concat(by_step, ignore_index=True),
        bars={} if calibration is None else {name: _bars(name, one, calibration) for name, one in errors.items()},
        errors=errors,
    )


def _bars(channel: str, found: Errors, calibration: SpreadCalibration) -> ErrorBars:
    error, spread, step, group = found.rows()
    known = (calibration.of[channel], calibration.level, step, group)
    return ErrorBars.measured(f"field {channel}", "unit of the data", error, spread, *known)


def _by_step(channel: str, found: Errors, tables: Mapping[str, pd.DataFrame], time_step: float) -> pd.DataFrame:
    """Return a row for each lead time of a channel."""
    steps = np.arange(1, found.error.shape[1] + 1)
    columns = {
        "channel": channel,
        "step": steps,
        "time": steps * time_step,
        "RMSE": np.sqrt(np.square(found.error).mean((0, 2))),
        "spread": np.sqrt(np.square(found.spread).mean((0, 2))),
    }
    for kind, table in tables.items():
        wide = table.pivot(index="group", columns="level", values="coverage").loc[found.steps]
        columns |= {f"{kind}_{100 * level:.0f}": wide[level].to_numpy() for level in LEVELS}
    return pd.DataFrame(columns)


def _some_steps(coverage: pd.DataFrame, steps: Sequence[str]) -> pd.DataFrame:
    """Return the rows over all lead times, and those of the first, the middle and the last one."""
    chosen = dict.fromkeys((EVERY_STEP, steps[0], steps[len(steps) // 2], steps[-1]))
    return pd.concat([coverage[coverage["group"] == name] for name in chosen], ignore_index=True)
