"""How many pairs of two quantities lie where: two-dimensional histograms on logarithmic axes, panel beside panel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from potentia.errors import DataError
from potentia.plots.lines import plain_log_ticks
from potentia.plots.style import GREY, TEXT_SIZE, finish, fitted, heading, note, panel_grid, quiet

__all__ = ["DensityPanel", "binned", "density_panels"]

_SMALLEST_SHARE = 0.02
"""The first bin of an axis holds this share of the values above zero, however small they are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DensityPanel:
    """One histogram in `density_panels`."""

    title: str
    """In bold above it."""
    x_label: str
    """With its unit."""
    y_label: str
    """With its unit."""
    bins: pd.DataFrame
    """As `binned` returns them."""
    diagonal: bool = False
    """Whether the line of equal values is drawn."""
    says: str = ""
    """A line of words below the title."""


def binned(x: ArrayLike, y: ArrayLike, bins: int = 60) -> pd.DataFrame:
    """Count the pairs of positive values in bins that are even on logarithmic axes.

    Columns ``x_low``, ``x_high``, ``y_low``, ``y_high``, ``count``, of the bins that hold any. The outermost bins hold
    also what lies beyond, zeros below; a pair that is not finite is left out.

    Raises:
        DataError: the shapes differ.
    """
    first, second = (np.asarray(values, dtype=np.float64).ravel() for values in (x, y))
    if first.shape != second.shape:
        raise DataError(f"x and y must be pairs, got {first.size} and {second.size} values")
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    edges, places = [], []
    for values in (first, second):
        edge = _edges(values, bins)
        edges.append(edge)
        places.append(np.clip(np.searchsorted(edge, values, side="right") - 1, 0, bins - 1))
    counts = np.bincount(places[0] * bins + places[1], minlength=bins * bins)
    held = np.flatnonzero(counts)
    i, j = held // bins, held % bins
    ends = {"x_low": edges[0][i], "x_high": edges[0][i + 1], "y_low": edges[1][j], "y_high": edges[1][j + 1]}
    return pd.DataFrame({**ends, "count": counts[held]})


def density_panels(
    panels: Sequence[DensityPanel], *, columns: int = 3, outfile: str | os.PathLike[str] | None = None
) -> Figure:
    """Draw the panels in rows of ``columns`` with one scale of colours.

    Args:
        panels: What to draw.
        columns: Panels in a row.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        ConfigError: the file cannot be written there.
    """
    figure, grid = panel_grid(len(panels), columns, (3.5, 3.3), (1.2, 0.5))
    most = max([int(panel.bins["count"].max()) for panel in panels if len(panel.bins)] or [1])
    norm = LogNorm(0.8, max(most, 2))
    drawn = [_draw(axes, panel, norm) for axes, panel in zip(grid, panels, strict=False)]
    meshes = [mesh for mesh in drawn if mesh is not None]
    if meshes:
        bar = figure.colorbar(meshes[0], ax=grid, shrink=0.8, aspect=25)
        plain_log_ticks(bar.ax.yaxis)
        bar.set_label("how many", color=GREY, size=TEXT_SIZE)
        bar.ax.tick_params(which="both", color=GREY, labelcolor=GREY, labelsize=TEXT_SIZE)
        bar.outline.set_visible(False)
    return finish(figure, outfile)


def _draw(axes: Axes, panel: DensityPanel, norm: LogNorm) -> QuadMesh | None:
    quiet(axes)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    heading(axes, panel.title, fitted([(panel.says, GREY)] if panel.says else [], 2.9), 2.9)
    if panel.bins.empty:
        note(axes, "no data")
        return None
    x, y = (np.unique(panel.bins[[f"{axis}_low", f"{axis}_high"]].to_numpy()) for axis in "xy")
    counts = np.full((len(y) - 1, len(x) - 1), np.nan)
    i, j = np.searchsorted(x, panel.bins["x_low"]), np.searchsorted(y, panel.bins["y_low"])
    counts[j, i] = panel.bins["count"]
    axes.set(xscale="log", yscale="log")
    mesh = axes.pcolormesh(x, y, np.ma.masked_invalid(counts), norm=norm, cmap="viridis_r", rasterized=True)
    plain_log_ticks(axes.xaxis)
    plain_log_ticks(axes.yaxis)
    if panel.diagonal:
        low, high = max(x[0], y[0]), min(x[-1], y[-1])
        if low < high:
            axes.plot((low, high), (low, high), color="#D55E00", lw=1.5, ls="--")
    return mesh


def _edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    above = values[values > 0]
    if not above.size:
        return np.geomspace(0.1, 1.0, bins + 1)
    low, high = float(np.quantile(above, _SMALLEST_SHARE)), float(above.max())
    return np.geomspace(min(low, 0.999 * high), high, bins + 1)
