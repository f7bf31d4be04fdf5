"""Figures of errors: over time, by quantity, by size, and by the steepness of the states."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from potentia.plots.density import DensityPanel, density_panels
from potentia.plots.lines import Line, LinePanel, line_panels
from potentia.plots.ranges import range_rows
from potentia.trajectories.evaluation.looks import Looks

__all__ = ["density_by_slope", "errors_by_quantity", "errors_by_size", "errors_in_time", "errors_of_one_in_time"]

_SHARES_SHOWN = (0.02, 0.999)
"""The distribution is drawn between these shares: the smallest and the largest errors would take most of the axis."""


def errors_of_one_in_time(over_time: pd.DataFrame, name: str, kind: str, looks: Looks) -> Figure:
    """Draw mean and median of one surrogate's errors with the range of most, and the means of the baselines."""
    known = over_time[over_time["kind"] == kind]
    own = known[known["surrogate"] == name]
    tint = looks.colour(name)
    band = (own["low"], own["percentile"])
    text = f"5 % to {looks.percentile:g} %"
    lines = [
        *looks.reference_lines(known, "time", "mean"),
        Line(label="mean", x=own["time"], y=own["mean"], band=band, band_label=text, colour=tint),
        Line(label="median", x=own["time"], y=own["median"], colour=tint, dash=(0, (2, 1))),
    ]
    return line_panels([_time_panel(f"{name}: errors in time", looks.axis(kind), lines, looks)])


def errors_in_time(over_time: pd.DataFrame, looks: Looks, axis: str, title: str) -> Figure:
    """Draw the mean errors of all surrogates and baselines in time; ``over_time`` holds one kind."""
    lines = looks.lines(over_time, "time", "mean")
    return line_panels([_time_panel(title, f"mean {axis}", lines, looks)])


def errors_by_quantity(by_quantity: pd.DataFrame, name: str, kind: str, looks: Looks) -> Figure:
    """Draw the distribution of one surrogate's errors for each quantity."""
    own = by_quantity[(by_quantity["surrogate"] == name) & (by_quantity["kind"] == kind)]
    frame = own.rename(columns={"quantity": "name", "percentile": "high"})
    ends = ("5 %", f"{looks.percentile:g} %")
    return range_rows(frame, title=f"{name}: errors of each quantity", label=looks.axis(kind), ends=ends)


def errors_by_size(distribution: pd.DataFrame, looks: Looks, axis: str, title: str) -> Figure:
    """Draw which share of the errors is smaller than which size; ``distribution`` holds one kind."""
    shown = distribution[distribution["share"].between(*_SHARES_SHOWN)]
    panel = LinePanel(
        title=title,
        x_label=axis,
        y_label="share of smaller errors",
        lines=looks.lines(shown, "size", "share"),
        log_x=True,
        percent=True,
    )
    return line_panels([panel])


def density_by_slope(density: pd.DataFrame, by_quantity: pd.DataFrame, names: list[str], looks: Looks) -> Figure:
    """Draw how many entries have which error at which steepness, a panel for each of ``names``."""
    panels = []
    for name in names:
        known = by_quantity[by_quantity["surrogate"] == name]["error_correlation"]
        says = f"mean correlation of the quantities {known.mean():.2f}" if known.notna().any() else ""
        panels.append(
            DensityPanel(
                title=name,
                x_label="slope of the state, largest = 1",
                y_label=looks.scale.axis,
                bins=density[density["surrogate"] == name],
                says=says,
            )
        )
    return density_panels(panels)


def _time_panel(title: str, axis: str, lines: list[Line], looks: Looks) -> LinePanel:
    return LinePanel(title=title, x_label="time", y_label=axis, lines=lines, log_x=looks.log_time, log_y=True)
