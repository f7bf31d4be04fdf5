"""How every figure looks: colours that the colour-blind can tell apart, quiet axes, and files written whole."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from potentia.checks import choice
from potentia.errors import ConfigError
from potentia.storage import write_bytes

__all__ = [
    "GREY",
    "colour",
    "few_numbers",
    "finish",
    "fitted",
    "heading",
    "label",
    "new_figure",
    "note",
    "panel_grid",
    "quiet",
    "rounded",
]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, Color Universal Design (2008), without the yellow that white paper swallows."""
GREY = "#595959"
"""Whatever is not data."""
TEXT_SIZE = 9.0
"""Points."""
DOTS_PER_INCH = 200
HINTED = 1.03
"""Text on a screen of few dots is at most so much wider than its outlines."""
POWERS = (-4, 6)
"""Numbers on axes are written out between these powers of ten."""
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


def heading(axes: Axes, title: str, lines: list[tuple[str, str]], width: float | None = None) -> None:
    """Write the title in bold above the axes, and under it one line for each (text, colour).

    Args:
        axes: Where.
        title: In bold.
        lines: Texts with their colours; see `fitted`.
        width: Room for the title (inches), which is broken where it is longer; None for as long as it is.
    """
    for k, (text, tint) in enumerate(reversed(lines)):
        _above(axes, text, k, color=tint, size=TEXT_SIZE)
    bold = FontProperties(weight="bold", size=TEXT_SIZE + 1)
    for k, text in enumerate(reversed([title] if width is None else _broken(title, width, bold))):
        _above(axes, text, len(lines) + k, font=bold)


def fitted(lines: Sequence[tuple[str, str]], width: float) -> list[tuple[str, str]]:
    """Return lines (text, colour) for `heading`, those that are wider than ``width`` (inches) broken and indented."""
    found: list[tuple[str, str]] = []
    for text, tint in lines:
        first, *more = _broken(text, width, FontProperties(size=TEXT_SIZE))
        found += [(first, tint), *((f"    {part}", tint) for part in more)]
    return found


def label(text: str, width: float) -> str:
    """Return the label of an axis, broken into lines where it is wider than ``width`` (inches)."""
    return "\n".join(_broken(text, width, FontProperties(size=TEXT_SIZE)))


def few_numbers(axis: Axis) -> None:
    """Write five numbers or so on a linear axis, and all their digits where they are neither tiny nor huge."""
    written = ScalarFormatter()
    written.set_powerlimits(POWERS)
    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(written)


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


def _broken(text: str, width: float, font: FontProperties) -> list[str]:
    """Return lines of words, as many as fit; a word that is too wide is cut."""
    room = 72 * width  # points
    rows = [""]
    for word in text.split(" "):
        longer = f"{rows[-1]} {word}" if rows[-1] else word
        if not rows[-1] or _points_wide(longer, font) <= room:
            rows[-1] = longer
        else:
            rows.append(word)
    return [_cut(row, room, font) for row in rows]


def _cut(text: str, room: float, font: FontProperties) -> str:
    if _points_wide(text, font) <= room:
        return text
    kept = next((n for n in range(len(text) - 1, 0, -1) if _points_wide(f"{text[:n]}…", font) <= room), 1)
    return f"{text[:kept]}…"


def _points_wide(text: str, font: FontProperties) -> float:
    return HINTED * float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def _above(axes: Axes, text: str, line: int, **style: Any) -> Text:
    place = (0.0, 6.0 + 1.35 * TEXT_SIZE * line)  # points above the upper left corner
    return axes.annotate(text, (0, 1), place, "axes fraction", "offset points", va="bottom", **style)


def _rendered(figure: Figure, kind: str, dots_per_inch: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dots_per_inch)
    return buffer.getvalue()
