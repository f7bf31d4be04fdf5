"""Figures of error bars: in time, against the errors, over levels, and what flags of the most uncertain find."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from potentia.plots.density import DensityPanel, density_panels
from potentia.plots.lines import Line, LinePanel, line_panels
from potentia.plots.style import GREY
from potentia.trajectories.evaluation.looks import Looks

__all__ = [
    "density_of_spread",
    "detection",
    "ensemble_example",
    "main_and_ensemble",
    "pit_histograms",
    "spread_and_error",
    "spread_of_one",
]

_SHOWN = 6


def spread_of_one(over_time: pd.DataFrame, name: str, looks: Looks) -> Figure:
    """Draw spread and error of one surrogate's ensemble in time."""
    own = over_time[over_time["surrogate"] == name]
    tint = looks.colour(name)
    lines = [
        Line(label="mean error", x=own["time"], y=own["error"], colour=tint),
        Line(label="mean spread", x=own["time"], y=own["spread"], colour=tint, dash=(0, (3, 1.5))),
    ]
    return line_panels([_panel(f"{name}: uncertainty in time", lines, looks)])


def spread_and_error(over_time: pd.DataFrame, looks: Looks) -> Figure:
    """Draw the errors of all ensembles, and their spreads dashed."""
    lines = []
    for name in looks.own(over_time):
        own = over_time[over_time["surrogate"] == name]
        tint = looks.colour(name)
        lines.append(Line(label=f"{name} error", x=own["time"], y=own["error"], colour=tint))
        lines.append(Line(label=f"{name} spread", x=own["time"], y=own["spread"], colour=tint, dash=(0, (3, 1.5))))
    return line_panels([_panel("Errors and spreads of ensembles", lines, looks)])


def main_and_ensemble(over_time: pd.DataFrame, looks: Looks) -> Figure:
    """Draw the errors of all ensembles, and those of their first members alone dashed."""
    lines = []
    for name in looks.own(over_time):
        own = over_time[over_time["surrogate"] == name]
        tint = looks.colour(name)
        lines.append(Line(label=f"{name} ensemble", x=own["time"], y=own["error"], colour=tint))
        lines.append(Line(label=f"{name} alone", x=own["time"], y=own["main"], colour=tint, dash=(0, (3, 1.5))))
    return line_panels([_panel("Ensembles and single surrogates", lines, looks)])


def density_of_spread(density: pd.DataFrame, names: list[str], looks: Looks) -> Figure:
    """Draw how many entries have which error at which spread, a panel for each of ``names``."""
    unit = looks.scale.unit
    panels = [
        DensityPanel(
            title=name,
            x_label=f"spread of the members ({unit})",
            y_label=f"error of their mean ({unit})",
            bins=density[density["surrogate"] == name],
            diagonal=True,
            says="dashed: as large as the spread",
        )
        for name in names
    ]
    return density_panels(panels)


def ensemble_example(example: pd.DataFrame, name: str, looks: Looks) -> Figure:
    """Draw one trajectory with the mean of the members and two spreads around it, a panel for each quantity."""
    own = example[example["surrogate"] == name]
    by_spread = own.groupby("quantity", sort=False)["spread"].mean().sort_values(ascending=False).index[:_SHOWN]
    panels: list[LinePanel] = []
    for quantity, part in own[own["quantity"].isin(by_spread)].groupby("quantity", sort=False):
        band = (part["mean"] - 2 * part["spread"], part["mean"] + 2 * part["spread"])
        text = "mean ± 2 spreads"
        lines = [
            Line(label="truth", x=part["time"], y=part["truth"], colour="#000000"),
            Line(
                label="mean of the members",
                x=part["time"],
                y=part["mean"],
                band=band,
                band_label=text,
                colour=looks.colour(name),
                dash=(0, (3, 1.5)),
            ),
        ]
        label = f"log10 of {quantity}" if looks.scale.log10 else str(quantity)
        says = "" if panels else f"{name}, trajectory {int(part['trajectory'].iloc[0])}"
        panels.append(
            LinePanel(title=str(quantity), x_label="time", y_label=label, lines=lines, log_x=looks.log_time, says=says)
        )
    return line_panels(panels, columns=3)


def detection(catastrophic: pd.DataFrame, looks: Looks) -> Figure:
    """Draw which share of the largest errors is found when the most uncertain entries are flagged."""
    panels = []
    for percentile, part in catastrophic.groupby("percentile", sort=False):
        first = part[part["surrogate"] == part["surrogate"].iloc[0]]
        lines = [
            Line(label="oracle", x=first["flagged"], y=first["oracle"], colour=GREY, dash=(0, (4, 2))),
            Line(label="random", x=first["flagged"], y=first["random"], colour=GREY, dash=(0, (1, 1.5))),
            *looks.lines(part, "flagged", "recall", marker="o"),
        ]
        panels.append(
            LinePanel(
                title=f"Errors above the {percentile:g}th percentile",
                x_label="share of the entries flagged",
                y_label="share of these errors found",
                lines=lines,
                percent=True,
            )
        )
    return line_panels(panels, columns=2)


def pit_histograms(pit: pd.DataFrame, looks: Looks) -> Figure:
    """Draw the share of the truths in each part of the predicted distributions: flat where these are right."""
    panels = []
    for kind, part in pit.groupby("error_bars", sort=False):
        middle = part.assign(middle=(part["low"] + part["high"]) / 2)
        flat = float((part["high"] - part["low"]).iloc[0])
        lines = [
            Line(label="right", x=np.array([0.0, 1.0]), y=np.array([flat, flat]), colour=GREY, dash=(0, (1, 1.5))),
            *looks.lines(middle, "middle", "share", marker="o"),
        ]
        panels.append(
            LinePanel(
                title=f"Error bars {kind}",
                x_label="predicted probability of a smaller state",
                y_label="share of the states",
                lines=lines,
                percent=True,
            )
        )
    return line_panels(panels, columns=2)


def _panel(title: str, lines: list[Line], looks: Looks) -> LinePanel:
    return LinePanel(
        title=title, x_label="time", y_label=looks.scale.axis, lines=lines, log_x=looks.log_time, log_y=True
    )
