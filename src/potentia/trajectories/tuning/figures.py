"""Figures of a search with two objectives, from its tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from potentia.plots import Line, LinePanel, line_panels

__all__ = ["front_figure", "growth_figure"]


def front_figure(trials: pd.DataFrame, name: str, axis: str, outfile: Path | None = None) -> Figure:
    """Draw the trials of a surrogate by error and time, and a line through the best.

    Args:
        trials: Columns ``error``, ``seconds`` and ``on_front``.
        name: Of the surrogate.
        axis: What the error is.
        outfile: Where to write it, if anywhere.
    """
    best = trials[trials["on_front"]].sort_values("seconds")
    others = trials[~trials["on_front"]]
    lines = [
        Line(label="trials", x=others["seconds"], y=others["error"], dash="none", marker="o"),
        Line(label="front", x=best["seconds"], y=best["error"], marker="o"),
    ]
    panel = LinePanel(
        title=f"{name}: error and time of the trials",
        x_label="time of predicting the test part (s)",
        y_label=axis,
        lines=lines if len(others) else lines[1:],
        log_x=True,
        log_y=True,
    )
    return line_panels([panel], outfile=outfile)


def growth_figure(growth: pd.DataFrame, name: str, outfile: Path | None = None) -> Figure:
    """Draw how the hypervolume of a surrogate grows with the trials; ``growth`` has ``trial`` and ``hypervolume``."""
    panel = LinePanel(
        title=f"{name}: hypervolume",
        x_label="trial",
        y_label="hypervolume (error × s)",
        lines=[Line(label="", x=growth["trial"], y=growth["hypervolume"])],
    )
    return line_panels([panel], outfile=outfile)
