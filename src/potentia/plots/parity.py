"""Predicted against reference with the errors below: points while they can be told apart, then their density."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from potentia.errors import ConfigError, DataError
from potentia.plots.distribution import draw_histogram
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

__all__ = ["ParityPanel", "parity", "parity_panels"]

DENSITY_ABOVE = 20_000
"""With more points than this a panel shows how many there are in each hexagon."""
ROOM = 3.6
"""Words above and below one of the axes (inches)."""
_RASTER_ABOVE = 2_000
"""With more points than this they are one picture in a PDF or SVG, and not a shape each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ParityPanel:
    """One quantity in `parity_panels`."""

    quantity: str
    """What is compared, for example ``"energy"``."""
    unit: str
    """Unit of the values."""
    groups: Mapping[str, tuple[ArrayLike, ArrayLike]]
    """Name → (reference, predicted), two arrays of one shape, whatever it is; a pair that is not finite is left out."""
    error_unit: str | None = None
    """Unit of the errors, if another one is easier to read."""
    error_factor: float = 1.0
    """From ``unit`` to ``error_unit``, for example 1000 from eV to meV."""


@dataclass(frozen=True)
class _Points:
    """The finite pairs of one group."""

    reference: NDArray[np.float64]
    predicted: NDArray[np.float64]
    left_out: int


def parity(
    reference: ArrayLike,
    predicted: ArrayLike,
    *,
    quantity: str,
    unit: str,
    groups: Sequence[str] | None = None,
    error_unit: str | None = None,
    error_factor: float = 1.0,
    outfile: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw predicted against reference, with RMSE and MAE over all points, and the distribution of the errors.

    Args:
        reference: True values of any shape.
        predicted: Predicted values, of the same shape.
        quantity: What is compared.
        unit: Unit of both.
        groups: Name of the group of each entry of the first axis (species, source …), for a colour each.
        error_unit: Unit of the errors, if another one is easier to read.
        error_factor: From ``unit`` to ``error_unit``.
        outfile: Where to write the figure (.png, .pdf or .svg), if anywhere.

    Raises:
        DataError: the shapes differ.
    """
    reference, predicted = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (reference, predicted))
    _same_shape(quantity, reference, predicted)
    parts: dict[str, tuple[ArrayLike, ArrayLike]] = {"all": (reference, predicted)}
    if groups is not None:
        names = np.asarray(groups)
        if names.shape != reference.shape[:1]:
            raise DataError(f"groups must name each of the {len(reference)} entries, got shape {names.shape}")
        parts = {str(name): (reference[names == name], predicted[names == name]) for name in dict.fromkeys(groups)}
    panel = ParityPanel(quantity=quantity, unit=unit, groups=parts, error_unit=error_unit, error_factor=error_factor)
    return parity_panels([panel], outfile=outfile)


def parity_panels(panels: Sequence[ParityPanel], *, outfile: str | os.PathLike[str] | None = None) -> Figure:
    """Draw the panels beside each other: above predicted against reference, below the errors.

    Raises:
        DataError: reference and predicted of a group differ in shape.
        ConfigError: there is no panel, or one without a group.
    """
    if not panels or not all(panel.groups for panel in panels):
        raise ConfigError("parity_panels needs at least one panel, and in each at least one group")
    points = [
        {name: _points(f"{panel.quantity}, {name}", *pair) for name, pair in panel.groups.items()} for panel in panels
    ]
    errors = [
        {name: panel.error_factor * (p.predicted - p.reference) for name, p in groups.items()}
        for panel, groups in zip(panels, points, strict=True)
    ]
    units = [panel.error_unit or panel.unit for panel in panels]
    told = [fitted(_statistics(*three), ROOM) for three in zip(points, errors, units, strict=True)]
    figure = new_figure(4.3 * len(panels), 6.2 + 0.17 * max(map(len, told)))
    grid = figure.subplots(2, len(panels), squeeze=False, height_ratios=[3, 1])
    for k, ((above, below), panel) in enumerate(zip(grid.T, panels, strict=True)):
        _draw_parity(above, panel, points[k])
        heading(above, panel.quantity[:1].upper() + panel.quantity[1:], told[k], ROOM)
        below.set_box_aspect(1 / 3)
        draw_histogram(below, errors[k], label(f"predicted − reference ({units[k]})", ROOM))
    return finish(figure, outfile)


def _draw_parity(axes: Axes, panel: ParityPanel, groups: Mapping[str, _Points]) -> None:
    axes.set_box_aspect(1)
    quiet(axes)
    axes.set_xlabel(label(f"reference {panel.quantity} ({panel.unit})", 0.9 * ROOM))
    axes.set_ylabel(label(f"predicted {panel.quantity} ({panel.unit})", 0.9 * ROOM))
    every = np.concatenate([np.concatenate((p.reference, p.predicted)) for p in groups.values()])
    if not every.size:
        note(axes, "no data")
        return
    low, high = float(every.min()), float(every.max())
    margin = 0.04 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    if every.size > 2 * DENSITY_ABOVE:
        _draw_density(axes, groups, limits)
    else:
        _draw_points(axes, groups, every.size // 2)
    axes.plot(limits, limits, color=GREY, lw=0.9, zorder=1)
    axes.set(xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        few_numbers(axis)


def _draw_points(axes: Axes, groups: Mapping[str, _Points], count: int) -> None:
    size = float(np.clip(6000 / count, 6, 24))  # points²
    opacity = float(np.clip(1000 / count, 0.4, 0.8))
    for k, p in enumerate(groups.values()):
        axes.scatter(
            p.reference,
            p.predicted,
            size,
            colour(k),
            linewidths=0,
            alpha=opacity,
            rasterized=count > _RASTER_ABOVE,
            zorder=2,
        )


def _draw_density(axes: Axes, groups: Mapping[str, _Points], limits: tuple[float, float]) -> None:
    reference = np.concatenate([p.reference for p in groups.values()])
    predicted = np.concatenate([p.predicted for p in groups.values()])
    hexagons = axes.hexbin(
        reference, predicted, gridsize=60, bins="log", mincnt=1, extent=limits * 2, linewidths=0.1, cmap="viridis"
    )
    hexagons.set_rasterized(True)
    axes.add_patch(
        Rectangle((0.5, 0.02), 0.48, 0.2, transform=axes.transAxes, color="white", alpha=0.85, lw=0, zorder=3)
    )
    strip = axes.inset_axes((0.54, 0.12, 0.4, 0.03))
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(hexagons, cax=strip, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", labelsize=7, color=GREY, labelcolor=GREY)
    bar.ax.set_title("points per hexagon", size=8, color=GREY)


def _statistics(
    groups: Mapping[str, _Points], errors: Mapping[str, NDArray[np.float64]], unit: str
) -> list[tuple[str, str]]:
    """Return a line on each group, and its colour."""
    lines = []
    for k, (name, error) in enumerate(errors.items()):
        text = f"{name}  no data"
        if error.size:
            rmse, mae = float(np.sqrt(np.mean(error**2))), float(np.mean(np.abs(error)))
            text = f"{name}  RMSE {rounded(rmse)}, MAE {rounded(mae)} {unit}, {error.size:,} points"
        if groups[name].left_out:
            text += f", {groups[name].left_out:,} not finite"
        lines.append((text, colour(k)))
    return lines


def _points(name: str, reference: ArrayLike, predicted: ArrayLike) -> _Points:
    left, right = np.asarray(reference, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    _same_shape(name, left, right)
    seen = np.isfinite(left) & np.isfinite(right)
    return _Points(left[seen], right[seen], int((~seen).sum()))


def _same_shape(name: str, reference: NDArray[np.float64], predicted: NDArray[np.float64]) -> None:
    if reference.shape != predicted.shape:
        raise DataError(
            f"reference and predicted must have one shape ({name}), got {reference.shape} and {predicted.shape}"
        )
