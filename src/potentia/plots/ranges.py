"""Where the middle and the tails of several distributions lie, one row for each, on one logarithmic axis."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from potentia.checks import did_you_mean
from potentia.errors import ConfigError
from potentia.plots.lines import plain_log_ticks
from potentia.plots.style import GREY, colour, finish, heading, new_figure, note, quiet

__all__ = ["RANGE_COLUMNS", "range_rows"]

RANGE_COLUMNS = ("name", "low", "quarter", "median", "three_quarters", "high", "mean")
"""Columns of the frame that `range_rows` draws."""


def range_rows(
    frame: pd.DataFrame,
    *,
    title: str,
    label: str,
    ends: tuple[str, str],
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw a thin line from ``low`` to ``high``, a thick one between the quarters, median and mean as marks.

    Args:
        frame: A row for each distribution, with the columns `RANGE_COLUMNS`.
        title: In bold above it.
        label: Of the axis, with its unit.
        ends: What ``low`` and ``high`` are, for the legend: ``("5 %", "99 %")``.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        ConfigError: a column is missing, or the file cannot be written there.
    """
    for column in RANGE_COLUMNS:
        if column not in frame:
            raise ConfigError(f"no column {column!r} in this table{did_you_mean(column, map(str, frame.columns))}")
    figure = new_figure(7.2, 1.3 + 0.28 * max(len(frame), 3))
    axes = figure.subplots()
    quiet(axes)
    axes.set_xlabel(label)
    heading(axes, title, [(f"line {ends[0]} to {ends[1]}, bar 25 % to 75 %, ring median, cross mean", GREY)])
    place = np.arange(len(frame))
    axes.set_yticks(place, frame["name"].astype(str).tolist())
    axes.set_ylim(len(frame) - 0.4, -0.6)
    known: Mapping[str, NDArray[np.float64]] = {c: frame[c].to_numpy(np.float64) for c in RANGE_COLUMNS[1:]}
    positive = np.concatenate([values[np.isfinite(values) & (values > 0)] for values in known.values()])
    if not positive.size:
        note(axes, "no value above zero")
        return finish(figure, outfile)
    axes.set_xscale("log")
    floor = max(positive.min(), positive.max() * 1e-9)
    at = {name: np.clip(values, floor, None) for name, values in known.items()}
    axes.hlines(place, at["low"], at["high"], color=colour(0), lw=1.2)
    axes.hlines(place, at["quarter"], at["three_quarters"], color=colour(0), lw=6, alpha=0.45)
    axes.plot(at["median"], place, "o", color=colour(0), ms=6, mfc="white", mew=1.4)
    axes.plot(at["mean"], place, "x", color=colour(1), ms=6, mew=1.6)
    plain_log_ticks(axes.xaxis)
    return finish(figure, outfile)
