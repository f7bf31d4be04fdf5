"""How every figure looks: colours that the colour-blind can tell apart, quiet axes, and files written whole."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from potentia.checks import choice
from potentia.errors import ConfigError
from potentia.storage import write_bytes

__all__ = ["GREY", "colour", "finish", "heading", "new_figure", "note", "panel_grid", "quiet", "rounded"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, Color Universal Design (2008), without the yellow that white paper swallows."""
GREY = "#595959"
"""Whatever is not data."""
TEXT_SIZE = 9.0
"""Points."""
DOTS_PER_INCH = 200
SUFFIXES = (".png", ".pdf", ".svg")


class _NotebookFigure(Figure):
    """A Figure that a notebook shows when it is the value of a cell, although pyplot has never been imported."""

    def _repr_png_(self) -> bytes:
        return _rendered(self, "png", dots_per_inch=100)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size (inches) that pyplot knows nothing of."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)  # inches around each of the axes
    return _NotebookFigure(figsize=(width, height), layout=layout)


def panel_grid(
    panels: int, columns: int, size: tuple[float, float], around: tuple[float, float]
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes for so many panels in rows of ``columns``; what is left of the last row is empty.

    Args:
        panels: How many there are.
        columns: Panels in a row; no more than there are panels.
        size: Width and height of a panel (inches).
        around: Width and height of what is beside all of them (inches).
    """
    columns = max(1, min(columns, panels))
    rows = max(1, -(-panels // columns))
    figure = new_figure(around[0] + size[0] * columns, around[1] + size[1] * rows)
    grid = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in grid[panels:]:
        axes.set_axis_off()
    return figure, grid


def finish(figure: Figure, outfile: str | os.PathLike[str] | None) -> Figure:
    """Return the figure; with ``outfile`` write it there first, whole or not at all, as its suffix says.

    Raises:
        ConfigError: the suffix is not .png, .pdf or .svg, or the directory does not exist.
    """
    if outfile is None:
        return figure
    path = Path(outfile)
    suffix = choice("the suffix of outfile", path.suffix.lower(), SUFFIXES)
    if not path.parent.is_dir():
        raise ConfigError(f"outfile={str(outfile)!r}: the directory {str(path.parent)!r} does not exist; make it first")
    write_bytes(path, _rendered(figure, suffix[1:], DOTS_PER_INCH))
    return figure


def colour(k: int) -> str:
    """Return the colour of the k-th group."""
    return COLOURS[k % len(COLOURS)]


def quiet(axes: Axes) -> None:
    """Take away what is not data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", color=GREY, labelcolor=GREY, labelsize=TEXT_SIZE)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=GREY, size=TEXT_SIZE)


def heading(axes: Axes, title: str, lines: list[tuple[str, str]]) -> None:
    """Write the title in bold above the axes, and under it one line for each (text, colour)."""
    for k, (text, tint) in enumerate(reversed(lines)):
        _above(axes, text, k, color=tint, size=TEXT_SIZE)
    _above(axes, title, len(lines), weight="bold", size=TEXT_SIZE + 1)


def note(axes: Axes, text: str) -> None:
    """Write into the middle of axes that have nothing else to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, size=TEXT_SIZE)


def rounded(value: float) -> str:
    """Return a number with three digits, without an exponent where it can be read so.

    >>> rounded(0.012), rounded(12), rounded(123.4), rounded(12345.6)
    ('0.0120', '12.0', '123', '12,346')
    """
    large = math.isfinite(value) and 999.5 <= abs(value) < 1e6
    text = f"{value:,.0f}" if large else f"{value:#.3g}".rstrip(".")
    return text.replace("-", "−")


def _above(axes: Axes, text: str, line: int, **style: Any) -> Text:
    place = (0.0, 6.0 + 1.35 * TEXT_SIZE * line)  # points above the upper left corner
    return axes.annotate(text, (0, 1), place, "axes fraction", "offset points", va="bottom", **style)


def _rendered(figure: Figure, kind: str, dots_per_inch: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dots_per_inch)
    return buffer.getvalue()
