"""Whether error bars can be trusted: coverage over the level asked for, and widths over the widths needed."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from potentia.checks import did_you_mean
from potentia.errors import ConfigError
from potentia.plots.lines import plain_log_ticks
from potentia.plots.style import GREY, colour, finish, fitted, heading, label, new_figure, note, quiet

__all__ = ["reliability"]

ROOM = 3.3
"""Words above and below one of the axes (inches)."""


def reliability(
    coverage: pd.DataFrame,
    sizes: pd.DataFrame,
    *,
    quantity: str,
    unit: str,
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw the observed coverage over the level of each group, and the half-widths given over those needed.

    On the diagonals, error bars are right; below the left one they are too narrow, below the right one as well.

    Args:
        coverage: Columns ``group``, ``level``, ``coverage`` and ``n``, as `coverage_table` returns them.
        sizes: Columns ``half_width`` and ``needed`` of bins from narrow to wide, as `coverage_by_size` returns them.
        quantity: What the errors are of.
        unit: Unit of the widths.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        ConfigError: a column is missing, or the file cannot be written there.
    """
    _require(coverage, "group", "level", "coverage", "n")
    _require(sizes, "half_width", "needed")
    figure = new_figure(8.0, 4.2)
    left, right = figure.subplots(1, 2)
    lines = fitted(_draw_coverage(left, coverage), ROOM)
    figure.set_figheight(4.2 + 0.17 * len(lines))
    heading(left, f"Coverage of {quantity} errors", lines, ROOM)
    _draw_widths(right, sizes, unit)
    heading(right, "Width of the error bars", [(f"{len(sizes)} bins, from narrow to wide", GREY)], ROOM)
    return finish(figure, outfile)


def _draw_coverage(axes: Axes, coverage: pd.DataFrame) -> list[tuple[str, str]]:
    """Draw a curve for each group, and return the lines that say how far off it is."""
    quiet(axes)
    axes.set_box_aspect(1)
    axes.set(xlabel="level of the error bars", ylabel="share of the errors within", xlim=(0, 1), ylim=(0, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.plot((0, 1), (0, 1), color=GREY, lw=0.9, zorder=1)
    if coverage.empty:
        note(axes, "no data")
    lines = []
    for k, (name, part) in enumerate(coverage.groupby("group", sort=False)):
        curve = part.sort_values("level")
        axes.plot(curve["level"], curve["coverage"], "o-", color=colour(k), ms=3.5, lw=1.4)
        worst = curve.iloc[int(np.argmax(np.abs(curve["coverage"] - curve["level"])))]
        text = f"{100 * worst['coverage']:.1f} % at {100 * worst['level']:g} %"
        lines.append((f"{name}  farthest off: {text}, {int(curve['n'].max()):,} errors", colour(k)))
    return lines


def _draw_widths(axes: Axes, sizes: pd.DataFrame, unit: str) -> None:
    quiet(axes)
    axes.set_box_aspect(1)
    axes.set_xlabel(label(f"half-width that would have been right ({unit})", 0.9 * ROOM))
    axes.set_ylabel(label(f"half-width given ({unit})", 0.9 * ROOM))
    needed, given = (sizes[name].to_numpy(dtype=np.float64) for name in ("needed", "half_width"))
    seen = np.isfinite(needed) & np.isfinite(given) & (needed > 0) & (given > 0)
    if not seen.any():
        axes.set(xticks=[], yticks=[])
        note(axes, "no width that is finite and not zero")
        return
    low, high = _limits(np.concatenate((needed[seen], given[seen])))
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.plot((low, high), (low, high), color=GREY, lw=0.9, zorder=1)
    axes.plot(needed[seen], given[seen], "o-", color=colour(0), ms=3.5, lw=1.4)
    for axis in (axes.xaxis, axes.yaxis):
        plain_log_ticks(axis)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return ends that hold all values, at least a factor of three apart."""
    low, high = float(values.min()), float(values.max())
    margin = max(1.15, float(np.sqrt(3 * low / high)))
    return low / margin, high * margin


def _require(table: pd.DataFrame, *columns: str) -> None:
    for column in columns:
        if column not in table:
            raise ConfigError(f"no column {column!r} in this table{did_you_mean(column, map(str, table.columns))}")
