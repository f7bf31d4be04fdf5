"""Figures of an evaluation: scenarios as paths and states, errors over time, residuals, and parameters over features."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.evaluation.accuracy import RolloutEvaluation, evaluate_rollouts
from potentia.dynamics.evaluation.drawing import TRUTH, Look, looks_of, series, track_of
from potentia.dynamics.evaluation.parameter_figures import parameters_over_columns
from potentia.dynamics.evaluation.scenarios import Scenario, choose_scenarios
from potentia.dynamics.evaluation.window_errors import WindowErrors
from potentia.dynamics.motion import Motion
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError
from potentia.plots.distribution import draw_histogram
from potentia.plots.lines import Line, LinePanel, line_panels
from potentia.plots.style import GREY, TEXT_SIZE, heading, new_figure, quiet, rounded

__all__ = ["errors_over_time", "residuals", "scenario", "scenario_figures"]

Floats: TypeAlias = NDArray[np.float64]
COLUMNS = 3
"""Panels of states beside each other."""


def scenario_figures(
    spec: ModelSpec,
    dataset: FeatureDataset,
    predictions: Mapping[str, Floats],
    params: Mapping[str, ArrayLike] | None = None,
    *,
    baselines: Sequence[str] = (),
    count: int = 6,
) -> list[tuple[str, Figure]]:
    """Return figures with the names of their files: scenarios, errors over time, residuals, parameters.

    Scenarios are chosen by the errors of the first prediction that is no baseline.

    Args:
        spec: The model.
        dataset: Windows with their targets.
        predictions: Name → predicted states [windows, steps, states].
        params: Predicted parameters of each window [windows, *shape]; None for no figure of them.
        baselines: Names among the predictions that are drawn in grey.
        count: Scenarios.

    Raises:
        ConfigError: there is no prediction beside baselines.
        DataError: a shape is not that of the targets.
    """
    own = [name for name in predictions if name not in baselines]
    if not own:
        raise ConfigError("scenario_figures needs a prediction that is no baseline")
    evaluation = evaluate_rollouts(spec, dataset, predictions, baselines=baselines)
    chosen = choose_scenarios(spec, dataset, evaluation.by_window[own[0]].to_numpy(), count)
    looks = looks_of(list(predictions), baselines)
    found = [
        (f"scenario_{k + 1}_{_file_word(one.name)}", scenario(spec, dataset, predictions, one, looks, evaluation))
        for k, one in enumerate(chosen)
    ]
    found.append(("errors_over_time", errors_over_time(spec, evaluation, looks)))
    found.append(("residuals", residuals(spec, dataset, {name: predictions[name] for name in own})))
    if params is not None:
        found.append(("parameters", parameters_over_columns(spec, dataset, params)))
    return found


def scenario(
    spec: ModelSpec,
    dataset: FeatureDataset,
    predictions: Mapping[str, Floats],
    one: Scenario,
    looks: Mapping[str, Look],
    evaluation: RolloutEvaluation,
) -> Figure:
    """Draw one window: its path from above, and every other state over time."""
    motion = Motion.of(spec)
    places = () if motion is None else (motion.x, motion.y)
    shown = [k for k in range(len(spec.states)) if k not in places]
    rows = -(-len(shown) // COLUMNS)
    figure = new_figure(9.4, (3.4 if places else 0.5) + 2.1 * rows)
    grid = figure.add_gridspec(rows + bool(places), COLUMNS, height_ratios=[*([1.5] if places else []), *[1.0] * rows])
    unit = "m" if places else ""
    says = "   ".join(
        f"{name} {rounded(float(evaluation.by_window[name].iloc[one.window]))}{' ' * bool(unit)}{unit}"
        for name in predictions
    )
    log = dataset.group_names[int(dataset.groups[one.window])]
    title = f"{one.name}: window {one.window} of {log}"
    if motion is not None:
        top = figure.add_subplot(grid[0, :])
        _draw_path(top, motion, dataset, predictions, one.window, looks)
        heading(top, title, [(one.says, GREY), (f"mean distance: {says}", GREY)])
    for place, k in enumerate(shown):
        axes = figure.add_subplot(grid[place // COLUMNS + bool(places), place % COLUMNS])
        _draw_state(axes, spec, dataset, predictions, one.window, k, looks)
        if place == 0 and motion is None:
            heading(axes, title, [(one.says, GREY), (f"mean scaled error: {says}", GREY)])
    names = [TRUTH, *predictions]
    handles = [Line2D([], [], color=looks[n].colour, ls=looks[n].dash, lw=looks[n].width) for n in names]
    figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=TEXT_SIZE, labelcolor=GREY)
    return figure


def errors_over_time(spec: ModelSpec, evaluation: RolloutEvaluation, looks: Mapping[str, Look]) -> Figure:
    """Draw how the errors of all predictions grow from step to step: the distance, then the RMSE of other states."""
    table = evaluation.over_time
    motion = Motion.of(spec)
    places = () if motion is None else (motion.x, motion.y)
    columns = {"distance": ("Place", "mean distance (m)")} if "distance" in table else {}
    for k, state in enumerate(spec.states):
        if k not in places:
            columns[f"rmse_{state.name}"] = (state.name, f"RMSE ({state.unit})" if state.unit else "RMSE")
    panels = []
    for column, (title, label) in columns.items():
        lines = [
            Line(
                label=str(name),
                x=own["time"],
                y=own[column],
                colour=looks[str(name)].colour,
                dash=looks[str(name)].dash,
            )
            for name, own in table.groupby("prediction", sort=False)
        ]
        panels.append(LinePanel(title=title, x_label="time (s)", y_label=label, lines=lines))
    return line_panels(panels, columns=COLUMNS)


def residuals(spec: ModelSpec, dataset: FeatureDataset, predictions: Mapping[str, Floats]) -> Figure:
    """Draw histograms of predicted minus measured states, over all steps that count."""
    errors = {name: WindowErrors.of(spec, dataset, states, name) for name, states in predictions.items()}
    rows = -(-len(spec.states) // COLUMNS)
    figure = new_figure(9.4, 0.4 + 2.5 * rows)
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for k, state in enumerate(spec.states):
        groups = {name: one.states[..., k][one.counted] for name, one in errors.items()}
        groups = {name: values[np.isfinite(values)] for name, values in groups.items()}
        draw_histogram(grid[k], groups, f"predicted − measured ({state.unit or '1'})")
        spreads = "   ".join(f"{rounded(float(np.sqrt(np.mean(one**2))))}" for one in groups.values() if one.size)
        heading(grid[k], state.name, [(f"RMSE {spreads} {state.unit}", GREY)])
    for axes in grid[len(spec.states) :]:
        axes.set_axis_off()
    return figure


def _draw_path(
    axes: Axes,
    motion: Motion,
    dataset: FeatureDataset,
    predictions: Mapping[str, Floats],
    window: int,
    looks: Mapping[str, Look],
) -> None:
    quiet(axes)
    start = dataset.initial_states[window]
    truth = np.where(dataset.counted[window][:, None], dataset.targets[window], np.nan)
    for name, states in {TRUTH: truth, **{name: one[window] for name, one in predictions.items()}}.items():
        track, look = track_of(motion, start, states), looks[name]
        axes.plot(track.ahead, track.left, color=look.colour, ls=look.dash, lw=look.width, zorder=3 + (name != TRUTH))
        axes.plot(track.ahead[-1:], track.left[-1:], "o", color=look.colour, ms=4, zorder=6)
    axes.plot(0, 0, ">", color="#000000", ms=7, zorder=7)
    axes.set_xlabel("ahead (m)")
    axes.set_ylabel("to the left (m)")
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06, 0.15)


def _draw_state(
    axes: Axes,
    spec: ModelSpec,
    dataset: FeatureDataset,
    predictions: Mapping[str, Floats],
    window: int,
    state: int,
    looks: Mapping[str, Look],
) -> None:
    quiet(axes)
    variable = spec.states[state]
    lines = series(dataset, predictions, window, state, variable.angle)
    for name, (time, values) in lines.items():
        look = looks[name]
        axes.plot(time, values, color=look.colour, ls=look.dash, lw=look.width, zorder=3 + (name != TRUTH))
    axes.set_xlabel("time (s)")
    axes.set_ylabel(f"{variable.name} ({variable.unit})" if variable.unit else variable.name)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _file_word(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
