"""Errors over epochs on a logarithmic scale, train and test, one panel for each quantity."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.typing import LineStyleType
from numpy.typing import NDArray

from potentia.checks import did_you_mean
from potentia.errors import ConfigError
from potentia.plots.style import GREY, TEXT_SIZE, colour, finish, heading, new_figure, note, quiet, rounded

__all__ = ["ErrorPanel", "error_curves"]

_OF_TRAINING = 0
"""Place of the colour of the training part; what was held out has another one in all panels."""
_DASHES: tuple[LineStyleType, ...] = ("-", (0, (3, 1.5)), (0, (1, 1.2)))


@dataclass(frozen=True, kw_only=True)
class ErrorPanel:
    """One quantity in `error_curves`."""

    quantity: str
    """What the errors are of, for example ``"energy"``."""
    unit: str
    """Unit on the axis."""
    columns: Mapping[str, Mapping[str, str]]
    """Measure → split → column, as in ``{"RMSE": {"train": "RMSE_train", "test": "RMSE_test"}}``: a colour for each
    split, a dash for each measure."""
    marked: str | None = None
    """The column whose lowest value is marked."""
    factor: float = 1.0
    """From the columns' unit to ``unit``, for example 1000 from eV to meV."""


@dataclass(frozen=True)
class _Curve:
    """A curve that has at least one point."""

    column: str
    label: str
    colour: str
    dash: LineStyleType
    epochs: NDArray[np.int64]
    values: NDArray[np.float64]  # in the unit of the panel


def error_curves(
    frame: pd.DataFrame,
    panels: Sequence[ErrorPanel],
    *,
    rate: str | None = None,
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw the panels above each other over the epochs that the index of ``frame`` counts.

    A point that is not finite and positive is left out; a column with no other points makes no curve.

    Args:
        frame: One row for each epoch.
        panels: What to draw.
        rate: Column of the learning rate, drawn as a narrow strip below; without it no strip.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        ConfigError: a column is not in the frame, or the file cannot be written there.
    """
    heights = [3.0] * len(panels) + [0.9] * (rate is not None)
    figure = new_figure(7.2, 0.5 + sum(heights))
    rows = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel in zip(rows, panels, strict=False):
        _draw_panel(axes, frame, panel)
    if rate is not None:
        _draw_rate(rows[-1], frame, rate)
    last = rows[-1]
    last.set_xlabel("epoch", color=GREY, size=TEXT_SIZE)
    last.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    first, end = (float(frame.index[0]), float(frame.index[-1])) if len(frame) else (0.0, 1.0)
    margin = 0.01 * (end - first) or 0.5
    last.set_xlim(first - margin, end + margin)
    figure.align_ylabels(list(rows))
    return finish(figure, outfile)


def _draw_panel(axes: Axes, frame: pd.DataFrame, panel: ErrorPanel) -> None:
    curves = _curves(frame, panel)
    quiet(axes)
    axes.set_ylabel(f"{panel.quantity} error ({panel.unit})" if panel.unit else panel.quantity)
    if not curves:
        axes.set_yticks([])
        heading(axes, panel.quantity[:1].upper() + panel.quantity[1:], [])
        note(axes, "no finite error in any epoch" if len(frame) else "no epoch was completed")
        return
    axes.set_yscale("log")
    for curve in curves:
        marker = "o" if len(curve.epochs) <= 25 else None
        axes.plot(curve.epochs, curve.values, color=curve.colour, ls=curve.dash, lw=1.4, marker=marker, ms=3)
    _readable_log_scale(axes)
    _label_ends(axes, curves)
    lines = [_mark_lowest(axes, curve, panel.unit) for curve in curves if curve.column == panel.marked]
    heading(axes, panel.quantity[:1].upper() + panel.quantity[1:], lines)


def _curves(frame: pd.DataFrame, panel: ErrorPanel) -> list[_Curve]:
    found = []
    for dash, (measure, splits) in zip(_DASHES, panel.columns.items(), strict=False):
        for k, (split, column) in enumerate(splits.items()):
            values = panel.factor * _column(frame, column)
            seen = np.isfinite(values) & (values > 0)
            if seen.any():
                epochs = frame.index.to_numpy()[seen]
                found.append(
                    _Curve(
                        column,
                        f"{split} {measure}",
                        colour(_OF_TRAINING if split == "train" else max(k, 1)),
                        dash,
                        epochs,
                        values[seen],
                    )
                )
    return found


def _column(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    if column not in frame:
        raise ConfigError(f"no column {column!r} in this table{did_you_mean(column, map(str, frame.columns))}")
    return frame[column].to_numpy(dtype=np.float64)


def _readable_log_scale(axes: Axes) -> None:
    """Put plain numbers on the axis, also where it spans less than a decade."""
    low, high = axes.get_ylim()
    decades = np.log10(high / low)
    steps = (1.0,) if decades > 4 else (1.0, 2.0, 5.0)
    if decades > 0.8:
        axes.yaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _label_ends(axes: Axes, curves: Sequence[_Curve]) -> None:
    """Write name and last value to the right of each curve, moved apart where they would overlap."""
    low, high = np.log10(axes.get_ylim())
    ends = np.array([(np.log10(curve.values[-1]) - low) / (high - low) for curve in curves])  # fraction of the axis
    for curve, height in zip(curves, _apart(ends, 0.075), strict=True):
        text = f"{curve.label} {rounded(curve.values[-1])}"
        axes.text(1.015, height, text, transform=axes.transAxes, va="center", color=curve.colour, size=TEXT_SIZE)


def _apart(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Return the heights, nowhere closer than ``gap`` to each other, in the same order and around the same mean."""
    order = np.argsort(heights)
    moved = heights[order]
    steps = gap * np.arange(len(moved))
    moved = np.maximum.accumulate(moved - steps) + steps
    result = np.empty_like(heights)
    result[order] = moved - (moved.mean() - heights.mean())
    return result


def _mark_lowest(axes: Axes, curve: _Curve, unit: str) -> tuple[str, str]:
    """Put a ring around the lowest point, and return the line that says what it is."""
    k = int(np.argmin(curve.values))
    epoch, value = curve.epochs[k], curve.values[k]
    axes.plot(epoch, value, "o", ms=7, mfc="none", mec=curve.colour, mew=1.4, zorder=4)
    return f"lowest {curve.label}: {rounded(value)}{unit and ' '}{unit} in epoch {epoch}", curve.colour


def _draw_rate(axes: Axes, frame: pd.DataFrame, column: str) -> None:
    quiet(axes)
    axes.set_ylabel("learning\nrate")
    values = _column(frame, column)
    axes.plot(frame.index, values, color=GREY, lw=1.4, drawstyle="steps-mid")
    if (values > 0).any():
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        few = (
            MaxNLocator(2) if high < 3 * low else LogLocator(subs=(1.0, 3.0) if high < 30 * low else (1.0,), numticks=4)
        )
        axes.yaxis.set_major_locator(few)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if len(values):
        axes.text(
            1.015, 0.5, f"last {values[-1]:.2g}", transform=axes.transAxes, va="center", color=GREY, size=TEXT_SIZE
        )
