"""Pictures of data: energies, forces and distances of all frames, and labels beside a model of the forces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from potentia.plots.lines import plain_log_ticks
from potentia.plots.style import GREY, colour, few_numbers, fitted, heading, note, panel_grid, quiet
from potentia.potentials.quality.consistency import Following

__all__ = ["following_figure", "frames_figure"]

MOST_POINTS = 4000
"""Points of a scatter, evenly spaced ones of longer lists."""
BINS = 60
ROOM = 2.7
"""Words above one of the axes (inches)."""


def frames_figure(frames: pd.DataFrame) -> Figure:
    """Draw how energies and forces are distributed over the frames, and which energies are off."""
    figure, panels = panel_grid(3, 3, (3.4, 2.9), (0.3, 0.3))
    _histogram(panels[0], frames["energy_per_atom"].to_numpy(), "Energies", "energy (eV/atom)")
    _histogram(panels[1], np.log10(_positive(frames["force"])), "Forces", "root mean square force (eV/Å)", powers=True)
    _off(panels[2], frames)
    return figure


def following_figure(frames: pd.DataFrame, followed: Mapping[str, Following]) -> Figure:
    """Draw labels beside what a linear model of the forces says, and how well it follows the forces themselves."""
    figure, panels = panel_grid(3, 3, (3.4, 2.9), (0.3, 0.3))
    _histogram(panels[0], frames["force_cosine"].to_numpy(), "Forces against the model", "cosine; −1 is a wrong sign")
    names = {"energy": "Energy differences", "stress": "Stress × volume"}
    for axes, (name, following) in zip(panels[1:], followed.items(), strict=True):
        _scatter(axes, following, names[name])
    return figure


def _histogram(axes: Axes, values: NDArray[np.float64], title: str, label: str, *, powers: bool = False) -> None:
    quiet(axes)
    heading(axes, title, [])
    axes.set_xlabel(label)
    axes.set_ylabel("frames")
    known = values[np.isfinite(values)]
    if not len(known):
        note(axes, "no labels")
        return
    axes.hist(known, BINS, color=colour(0), log=True)
    plain_log_ticks(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if powers:
        ticks = np.arange(np.floor(known.min()), np.ceil(known.max()) + 1)
        axes.set_xticks(ticks, [f"$10^{{{int(tick)}}}$" for tick in ticks])


def _off(axes: Axes, frames: pd.DataFrame) -> None:
    quiet(axes)
    heading(axes, "Energies off a smooth fit", [])
    axes.set_xlabel("frame, in the order of the input")
    axes.set_ylabel("off (eV/atom)")
    off = frames["energy_off"].to_numpy()
    if not np.isfinite(off).any():
        note(axes, "too few energies")
        return
    places = _evenly(len(off))
    places = np.union1d(places, np.argsort(-np.nan_to_num(np.abs(off)))[:20])  # outliers are never left out
    axes.plot(places, off[places], ".", ms=2.5, color=colour(0))
    axes.axhline(0.0, color=GREY, lw=0.8, ls=":")


def _scatter(axes: Axes, following: Following, title: str) -> None:
    quiet(axes)
    axes.set_xlabel("by the linear model (eV/atom)")
    axes.set_ylabel("label (eV/atom)")
    few_numbers(axes.xaxis)
    few_numbers(axes.yaxis)
    if not following.enough:
        heading(axes, title, [])
        note(axes, "too few to compare")
        return
    says = f"label ≈ {following.ratio:.2f} × model; 1 is right"
    heading(axes, title, fitted([(says, GREY)], ROOM))
    places = _evenly(len(following.modelled))
    axes.plot(following.modelled[places], following.labelled[places], ".", ms=2.5, color=colour(0), alpha=0.5)
    ends = np.array([following.modelled.min(), following.modelled.max()])
    axes.plot(ends, ends, color=GREY, lw=0.8, ls=":")


def _evenly(n: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(np.int64))


def _positive(column: pd.Series) -> NDArray[np.float64]:
    """Return the values above zero."""
    values = column.to_numpy(dtype=np.float64)
    return values[values > 0]
