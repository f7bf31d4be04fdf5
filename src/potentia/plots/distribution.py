"""How errors are distributed: a histogram of the signed errors, and the share of the points below each size."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from potentia.plots.style import (
    GREY,
    colour,
    few_numbers,
    finish,
    fitted,
    heading,
    label,
    new_figure,
    note,
    quiet,
    rounded,
)

__all__ = ["draw_histogram", "error_distribution"]

ROOM = 4.0
"""Words above and below one of the axes (inches)."""
_MOST_POINTS = 2000
"""A cumulative curve has no more points than this."""


def error_distribution(
    errors: Mapping[str, ArrayLike], *, quantity: str, unit: str, outfile: str | os.PathLike[str] | None = None
) -> Figure:
    """Draw the distribution of errors (predicted − reference) in each group.

    Args:
        errors: Name of a group → its errors, of any shape; what is not finite is left out.
        quantity: What the errors are of.
        unit: Unit of the errors.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.
    """
    groups = {name: finite(values) for name, values in errors.items()}
    tints = {name: colour(k) for k, name in enumerate(groups)}
    tables = [
        fitted([(f"{name}   {told(groups[name])} {unit}", tint) for name, tint in tints.items()], ROOM)
        for told in (_bias_and_spread, _percentiles)
    ]
    figure = new_figure(9.6, 3.3 + 0.17 * max(map(len, tables)))
    left, right = figure.subplots(1, 2)
    draw_histogram(left, groups, label(f"{quantity} error, predicted − reference ({unit})", ROOM))
    heading(left, f"{quantity[:1].upper()}{quantity[1:]} errors", tables[0], ROOM)
    _draw_cumulative(right, groups, label(f"size of the {quantity} error ({unit})", ROOM))
    heading(right, "Share of the points with a smaller error", tables[1], ROOM)
    return finish(figure, outfile)


def draw_histogram(axes: Axes, groups: Mapping[str, NDArray[np.float64]], x_label: str) -> None:
    """Draw the share of each group's errors in common bins around zero; the few far away are counted in words."""
    quiet(axes)
    axes.set_xlabel(x_label)
    axes.set_ylabel("share (%)")
    few_numbers(axes.xaxis)
    drawn = {name: values for name, values in groups.items() if values.size}
    if not drawn:
        note(axes, "no data")
        return
    bins = _bins(list(drawn.values()))
    outside = 0
    for k, (name, values) in enumerate(groups.items()):
        if name in drawn:
            counts, _ = np.histogram(values, bins)
            outside += values.size - int(counts.sum())
            axes.stairs(100 * counts / values.size, bins, color=colour(k), fill=True, alpha=0.25)
            axes.stairs(100 * counts / values.size, bins, color=colour(k), lw=1.4)
    axes.axvline(0.0, color=GREY, lw=0.8, ls=":")
    if outside:
        text = f"{outside:,} point{'s' * (outside != 1)} farther out"
        axes.text(0.99, 0.97, text, transform=axes.transAxes, ha="right", va="top", color=GREY, size=8)


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """Return the finite ones among the values, as one row of float64."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat[np.isfinite(flat)]


def _bins(groups: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return edges for all groups, one bin around zero: to the last error, but no farther than 4 times the RMSE.

    The width is that of Freedman and Diaconis (1981) for the narrowest group, with the size of the smallest.
    """
    reach = max(min(np.abs(values).max(), 4 * np.sqrt(np.mean(values**2))) for values in groups) or 1.0
    spread = min(np.subtract(*np.quantile(values, (0.75, 0.25))) for values in groups)
    width = 2 * spread / min(values.size for values in groups) ** (1 / 3)
    half = int(np.clip(reach / width if width > 0 else 0, 5, 40))  # bins on either side of the middle one
    return np.linspace(-reach, reach, 2 * half + 2)


def _draw_cumulative(axes: Axes, groups: Mapping[str, NDArray[np.float64]], x_label: str) -> None:
    quiet(axes)
    axes.set_xlabel(x_label)
    axes.set_ylabel("share of the points")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(0, 1.02)
    if not any((values != 0).any() for values in groups.values()):
        note(axes, "no error that is not zero" if any(values.size for values in groups.values()) else "no data")
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for k, values in enumerate(groups.values()):
        share = (np.arange(values.size) + 1) / max(values.size, 1)
        sizes = np.sort(np.abs(values))
        thin = np.unique(np.linspace(0, values.size - 1, min(values.size, _MOST_POINTS)).astype(int))
        axes.plot(sizes[thin], share[thin], color=colour(k), lw=1.4)
    low = min(float(np.quantile(np.abs(values[values != 0]), 0.01)) for values in groups.values() if values.any())
    axes.set_xlim(left=low)


def _bias_and_spread(values: NDArray[np.float64]) -> str:
    if not values.size:
        return "no data, in"
    return f"mean {rounded(float(values.mean()))}, RMSE {rounded(float(np.sqrt(np.mean(values**2))))}"


def _percentiles(values: NDArray[np.float64]) -> str:
    if not values.size:
        return "no data, in"
    half, most, largest = np.quantile(np.abs(values), (0.5, 0.95, 1.0))
    return f"median {rounded(half)}, 95 % {rounded(most)}, largest {rounded(largest)}"
