"""One window to look at: its path as seen from the vehicle, and every other state over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.evaluation.accuracy import RolloutEvaluation
from potentia.dynamics.evaluation.drawing import TRUTH, Look, series, track_of
from potentia.dynamics.evaluation.scenarios import Scenario
from potentia.dynamics.motion import Motion
from potentia.dynamics.spec import ModelSpec
from potentia.plots.style import GREY, TEXT_SIZE, heading, new_figure, quiet, rounded

__all__ = ["draw_scenario"]

Floats: TypeAlias = NDArray[np.float64]
Lines: TypeAlias = Mapping[str, tuple[Floats, Floats]]
COLUMNS = 3
"""Panels of states beside each other."""
ROOM = 1.0
"""A view goes beyond what was measured by at most so many times its range: a prediction that flies away is cut."""


def draw_scenario(
    spec: ModelSpec,
    dataset: FeatureDataset,
    predictions: Mapping[str, Floats],
    one: Scenario,
    looks: Mapping[str, Look],
    evaluation: RolloutEvaluation,
) -> Figure:
    """Draw one window: its path from above, and every other state over time.

    Args:
        spec: The model.
        dataset: Windows with their targets.
        predictions: Name → predicted states [windows, steps, states].
        one: The window.
        looks: Of each prediction, and of what was measured.
        evaluation: For the errors of the window in the legend.
    """
    motion = Motion.of(spec)
    places = () if motion is None else (motion.x, motion.y)
    shown = [k for k in range(len(spec.states)) if k not in places]
    rows = -(-len(shown) // COLUMNS)
    figure = new_figure(9.4, 3.6 + 2.0 * rows)
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[1.7, *[1.0] * rows])
    log = dataset.group_names[int(dataset.group[one.window])]
    title = f"{one.name}: window {one.window} of {log}"
    if motion is not None:
        top = figure.add_subplot(grid[0, :2])
        top.plot(0, 0, marker=(3, 0, -90), color="#000000", ms=9, zorder=7)
        _draw_lines(top, _paths(motion, dataset, predictions, one.window), looks, ends=True)
        top.set(xlabel="ahead (m)", ylabel="to the left (m)")
        top.set_aspect("equal", adjustable="datalim")
        heading(top, title, [(one.says, GREY)])
    _legend(figure.add_subplot(grid[0, 2]), predictions, looks, evaluation, one.window, motion is not None)
    for place, k in enumerate(shown):
        axes = figure.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS])
        variable = spec.states[k]
        _draw_lines(axes, series(dataset, predictions, one.window, k, variable.angle), looks)
        axes.set_xlabel("time (s)")
        axes.set_ylabel(f"{variable.name} ({variable.unit})" if variable.unit else variable.name)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if place == 0 and motion is None:
            heading(axes, title, [(one.says, GREY)])
    return figure


def _paths(
    motion: Motion, dataset: FeatureDataset, predictions: Mapping[str, Floats], window: int
) -> dict[str, tuple[Floats, Floats]]:
    start = dataset.initial_states[window]
    truth = np.where(dataset.counted[window][:, None], dataset.targets[window], np.nan)
    tracks = {name: track_of(motion, start, states[window]) for name, states in predictions.items()}
    return {name: (one.ahead, one.left) for name, one in {**tracks, TRUTH: track_of(motion, start, truth)}.items()}


def _draw_lines(axes: Axes, lines: Lines, looks: Mapping[str, Look], *, ends: bool = False) -> None:
    """Draw what was measured below all else, and show of both axes what the lines in colour need."""
    quiet(axes)
    for name, (x, y) in lines.items():
        look = looks[name]
        above = 3 + 2 * (look.colour != GREY) - 1.5 * (name == TRUTH)
        axes.plot(x, y, color=look.colour, ls=look.dash, lw=look.width, zorder=above)
        if ends:
            axes.plot(x[-1:], y[-1:], "o", color=look.colour, ms=4, zorder=above)
    own = [name for name in lines if looks[name].colour != GREY]
    # auto=True: one of them may grow for axes of equal aspect.
    axes.set_xlim(*_view(lines[TRUTH][0], [lines[name][0] for name in own]), auto=True)
    axes.set_ylim(*_view(lines[TRUTH][1], [lines[name][1] for name in own]), auto=True)


def _view(truth: Floats, lines: Sequence[Floats]) -> tuple[float, float]:
    known = truth[np.isfinite(truth)]
    everything = np.concatenate([line[np.isfinite(line)] for line in lines])
    low, high = float(known.min()), float(known.max())
    room = ROOM * (high - low) + 1e-3 * max(abs(low), abs(high), 1e-3)
    low, high = max(low - room, float(everything.min())), min(high + room, float(everything.max()))
    margin = 0.12 * (high - low) or 1e-3
    return low - margin, high + margin


def _legend(
    axes: Axes,
    predictions: Mapping[str, Floats],
    looks: Mapping[str, Look],
    evaluation: RolloutEvaluation,
    window: int,
    metres: bool,
) -> None:
    axes.set_axis_off()
    names = [TRUTH, *predictions]
    errors = {name: rounded(float(evaluation.by_window[name].iloc[window])) for name in predictions}
    texts = [f"{name}   {errors[name]}{' m' if metres else ''}" if name in errors else name for name in names]
    handles = [Line2D([], [], color=looks[n].colour, ls=looks[n].dash, lw=looks[n].width) for n in names]
    legend = axes.legend(
        handles,
        texts,
        loc="upper left",
        frameon=False,
        fontsize=TEXT_SIZE,
        labelcolor=GREY,
        title="mean distance" if metres else "mean scaled error",
        title_fontsize=TEXT_SIZE,
        alignment="left",
        borderaxespad=0.0,
    )
    legend.get_title().set_color(GREY)
