"""Figures of a search with two objectives, from its tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from potentia.plots import Line, LinePanel, line_panels

__all__ = ["front_figure", "fronts_figure", "growth_figure", "growths_figure"]


def front_figure(trials: pd.DataFrame, name: str, axis: str, outfile: Path | None = None) -> Figure:
    """Draw the trials of a surrogate by error and time, and a line through the best.

    Args:
        trials: Columns ``error``, ``seconds`` and ``on_front``.
        name: Of the surrogate.
        axis: What the error is.
        outfile: Where to write it, if anywhere.
    """
    return line_panels([_front_panel(trials, f"{name}: error and time of the trials", axis)], outfile=outfile)


def fronts_figure(trials: Mapping[str, pd.DataFrame], axis: str, outfile: Path | None = None) -> Figure:
    """Draw the trials of all surrogates as `front_figure` does, a panel for each, by name."""
    panels = [_front_panel(table, name, axis) for name, table in trials.items()]
    return line_panels(panels, columns=2, outfile=outfile)


def _front_panel(trials: pd.DataFrame, title: str, axis: str) -> LinePanel:
    best = trials[trials["on_front"]].sort_values("seconds")
    others = trials[~trials["on_front"]]
    lines = [
        Line(label="trials", x=others["seconds"], y=others["error"], dash="none", marker="o"),
        Line(label="front", x=best["seconds"], y=best["error"], marker="o"),
    ]
    return LinePanel(
        title=title,
        x_label="time of predicting the test part (s)",
        y_label=axis,
        lines=lines if len(others) else lines[1:],
        log_x=True,
        log_y=True,
    )


def growth_figure(growth: pd.DataFrame, name: str, outfile: Path | None = None) -> Figure:
    """Draw how the hypervolume of a surrogate grows with the trials; ``growth`` has ``trial`` and ``hypervolume``."""
    panel = LinePanel(
        title=f"{name}: hypervolume",
        x_label="trial",
        y_label="hypervolume (error × s)",
        lines=[Line(label="", x=growth["trial"], y=growth["hypervolume"])],
    )
    return line_panels([panel], outfile=outfile)


def growths_figure(growths: Mapping[str, pd.DataFrame], outfile: Path | None = None) -> Figure:
    """Draw the hypervolumes of all surrogates over the part of their trials, each as part of its last one.

    Surrogates may have been given different numbers of trials.
    """
    panel = LinePanel(
        title="How soon the fronts were found",
        x_label="part of the trials",
        y_label="part of the last hypervolume",
        lines=[
            Line(label=name, x=[(k + 1) / len(growth) for k in range(len(growth))], y=growth["relative"])
            for name, growth in growths.items()
        ],
    )
    return line_panels([panel], outfile=outfile)
