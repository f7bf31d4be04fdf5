"""Lines with bands in one or more panels, and one legend beside them: what curves of any family are drawn with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter
from matplotlib.typing import LineStyleType
from numpy.typing import ArrayLike, NDArray

from potentia.plots.style import GREY, TEXT_SIZE, colour, finish, fitted, heading, label, note, panel_grid, quiet

__all__ = ["Line", "LinePanel", "line_panels", "plain_log_ticks", "shades"]

_DARK, _LIGHT = np.array([0.03, 0.19, 0.42]), np.array([0.62, 0.79, 0.88])
_NARROW = 0.8
"""Logarithmic axes of fewer decades have numbers at even steps."""
_STEPS = [1, 2, 2.5, 5, 10]
"""Numbers on axes are multiples of one of these times a power of ten."""
_SMALLEST_SHARE = 0.02
"""The least part of the points is not looked at for the lower end of a logarithmic axis: an error of nothing, like that
of an initial state, would take most of the room."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """One curve."""

    label: str
    """Its name in the legend; lines of one name in several panels have one entry. Empty for none."""
    x: ArrayLike
    """[points]"""
    y: ArrayLike
    """What is not finite is left out, and on a logarithmic axis what is not above zero.  [points]"""
    band: tuple[ArrayLike, ArrayLike] | None = None
    """Lower and upper edge of the area around it.  [points] each"""
    band_label: str = ""
    """What the area is called in the legend."""
    colour: str | None = None
    """By default, one of the house's colours by its place in the panel."""
    dash: LineStyleType = "-"
    """As matplotlib takes it."""
    marker: str | None = None
    """As matplotlib takes it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinePanel:
    """One pair of axes in `line_panels`."""

    title: str
    """In bold above it."""
    x_label: str
    """With its unit."""
    y_label: str
    """With its unit."""
    lines: Sequence[Line]
    """From the bottom to the top."""
    log_x: bool = False
    """Whether x is on a logarithmic scale."""
    log_y: bool = False
    """Whether y is on a logarithmic scale."""
    percent: bool = False
    """Whether y is a share that is written in percent."""
    marks: Mapping[str, float] = field(default_factory=dict)
    """What is written at vertical lines → where they stand."""
    says: str = ""
    """A line of words below the title."""


def line_panels(
    panels: Sequence[LinePanel], *, columns: int = 1, outfile: str | os.PathLike[str] | None = None
) -> Figure:
    """Draw the panels in rows of ``columns``, and one legend for all of them to their right.

    Args:
        panels: What to draw.
        columns: Panels in a row.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        ConfigError: the file cannot be written there.
    """
    size = {1: (6.2, 3.3), 2: (3.9, 2.9)}.get(min(columns, len(panels)), (3.2, 2.4))
    figure, grid = panel_grid(len(panels), columns, size, (1.6, 0.4))
    known: dict[str, Line2D | Patch] = {}
    for axes, panel in zip(grid, panels, strict=False):
        _draw(axes, panel, known)
        heading(axes, panel.title, fitted([(panel.says, GREY)] if panel.says else [], size[0] - 0.7), size[0] - 0.7)
    if known:
        entries = list(known.values())
        names = list(known)
        figure.legend(entries, names, loc="outside right upper", frameon=False, fontsize=TEXT_SIZE, labelcolor=GREY)
    return finish(figure, outfile)


def shades(n: int) -> list[str]:
    """Return n colours from light to dark, for values that have an order."""
    parts = np.linspace(0, 1, n) if n > 1 else np.ones(1)
    mixed = [_LIGHT + part * (_DARK - _LIGHT) for part in parts]
    return ["#" + "".join(f"{round(255 * channel):02x}" for channel in one.tolist()) for one in mixed]


def _draw(axes: Axes, panel: LinePanel, known: dict[str, Line2D | Patch]) -> None:
    quiet(axes)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(label(panel.y_label, 2.2))
    seen = [_points(panel, line) for line in panel.lines]
    if not any(keep.any() for _, _, keep in seen):
        axes.set_yticks([])
        note(axes, "no value above zero" if panel.log_y and panel.lines else "no data")
        return
    axes.set(xscale="log" if panel.log_x else "linear", yscale="log" if panel.log_y else "linear")
    heights = [_draw_line(axes, line, line.colour or colour(k), *seen[k], known) for k, line in enumerate(panel.lines)]
    if panel.log_x:
        plain_log_ticks(axes.xaxis)
    elif all((x[keep] == np.round(x[keep])).all() for x, _, keep in seen):
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1, steps=_STEPS))
    if panel.log_y:
        _not_too_deep(axes, np.concatenate(heights))
    if panel.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    for text, place in panel.marks.items():
        axes.axvline(place, color=GREY, lw=0.9, ls=":")
        written = axes.annotate(
            text, (place, 1.0), (3, -3), ("data", "axes fraction"), "offset points", va="top", color=GREY, size=8
        )
        written.set_bbox({"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 0.5})


def _draw_line(
    axes: Axes,
    line: Line,
    tint: str,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    keep: NDArray[np.bool_],
    known: dict[str, Line2D | Patch],
) -> NDArray[np.float64]:
    """Draw one curve, add it to the legend, and return the heights at which something is drawn."""
    (drawn,) = axes.plot(x[keep], y[keep], color=tint, ls=line.dash, lw=1.5, marker=line.marker, ms=4)
    if line.label:
        known.setdefault(line.label, drawn)
    if line.band is None:
        return y[keep]
    low, high = (np.asarray(edge, dtype=np.float64)[keep] for edge in line.band)
    axes.fill_between(x[keep], low, high, color=tint, alpha=0.15, lw=0)
    if line.band_label:
        known.setdefault(line.band_label, Patch(color=tint, alpha=0.15, lw=0))
    return np.concatenate((y[keep], low, high))


def _points(panel: LinePanel, line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    x, y = (np.asarray(values, dtype=np.float64) for values in (line.x, line.y))
    keep = np.isfinite(x) & np.isfinite(y)
    if panel.log_x:
        keep &= x > 0
    if panel.log_y:
        keep &= y > 0
    return x, y, keep


def _not_too_deep(axes: Axes, values: NDArray[np.float64]) -> None:
    low, high = axes.get_ylim()
    least = float(np.quantile(values[values > 0], _SMALLEST_SHARE))
    axes.set_ylim(max(low, least / 4), high)
    plain_log_ticks(axes.yaxis)


def plain_log_ticks(axis: Axis) -> None:
    """Write few numbers on a logarithmic axis, and plain ones where they can be read so."""
    limits = sorted(float(end) for end in axis.get_view_interval())
    decades = float(np.log10(limits[1] / limits[0]))
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,), numticks=9))
    axis.set_minor_formatter(NullFormatter())
    narrow = decades < _NARROW
    if narrow:  # few of these numbers, or none, would be on it
        axis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        axis.set_minor_locator(NullLocator())
    if narrow or (decades < 4 and limits[0] >= 1e-3 and limits[1] < 1e5):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
