"""Figures of an evaluation: scenarios, how errors grow with time, residuals, and predicted parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.evaluation.accuracy import RolloutEvaluation, evaluate_rollouts
from potentia.dynamics.evaluation.scenarios import choose_scenarios
from potentia.dynamics.evaluation.window_errors import WindowErrors
from potentia.dynamics.motion import Motion
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from potentia.dynamics.evaluation.drawing import Look

__all__ = ["errors_over_time", "residuals", "scenario_figures"]

Floats: TypeAlias = NDArray[np.float64]
COLUMNS = 3
"""Panels of states beside each other."""
ROOM = 4.0
"""Errors over time are shown up to so many times the largest of what is no baseline,"""
LEAST_ROOM = 0.01
"""unless that is less than this part of what the baselines reach."""


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
    # matplotlib takes half a second: only who draws pays it
    from potentia.dynamics.evaluation.drawing import looks_of
    from potentia.dynamics.evaluation.parameter_figures import parameters_over_columns
    from potentia.dynamics.evaluation.scenario_figure import draw_scenario

    own = [name for name in predictions if name not in baselines]
    if not own:
        raise ConfigError("scenario_figures needs a prediction that is no baseline")
    evaluation = evaluate_rollouts(spec, dataset, predictions, baselines=baselines)
    chosen = choose_scenarios(spec, dataset, evaluation.by_window[own[0]].to_numpy(), count)
    looks = looks_of(list(predictions), baselines)
    found = [
        (f"scenario_{k + 1}_{_file_word(one.name)}", draw_scenario(spec, dataset, predictions, one, looks, evaluation))
        for k, one in enumerate(chosen)
    ]
    found.append(("errors_over_time", errors_over_time(spec, evaluation, looks)))
    found.append(("residuals", residuals(spec, dataset, {name: predictions[name] for name in own})))
    if params is not None:
        found.append(("parameters", parameters_over_columns(spec, dataset, params)))
    return found


def errors_over_time(spec: ModelSpec, evaluation: RolloutEvaluation, looks: Mapping[str, Look]) -> Figure:
    """Draw how the errors of all predictions grow from step to step: the distance, then the RMSE of other states.

    Baselines that are much worse leave the view: what is left can be compared.
    """
    from potentia.plots.lines import Line, LinePanel, line_panels
    from potentia.plots.style import GREY

    table = evaluation.over_time
    motion = Motion.of(spec)
    places = () if motion is None else (motion.x, motion.y)
    columns = {"distance": ("Place", "mean distance (m)")} if "distance" in table else {}
    for k, state in enumerate(spec.states):
        if k not in places:
            columns[f"rmse_{state.name}"] = (state.name, f"RMSE ({state.unit})" if state.unit else "RMSE")
    own_names = [name for name, look in looks.items() if look.colour != GREY]
    tops = [_top(table, column, own_names) for column in columns]
    panels = []
    for (column, (title, label)), top in zip(columns.items(), tops, strict=True):
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
        says = "" if top is None else "much larger errors are cut off"
        panels.append(LinePanel(title=title, x_label="time (s)", y_label=label, lines=lines, says=says))
    figure = line_panels(panels, columns=COLUMNS)
    for axes, top in zip(figure.axes, tops, strict=False):  # behind them are the places of a row that stay empty
        if top is not None:
            axes.set_ylim(-0.04 * top, top)
    return figure


def _top(table: pd.DataFrame, column: str, own: Sequence[str]) -> float | None:
    """Return where a panel of errors ends; None where it shows them all."""
    finite = table[np.isfinite(table[column])]
    largest = float(finite[column].max())
    top = ROOM * float(finite.loc[finite["prediction"].isin(own), column].max())
    return top if LEAST_ROOM * largest < top < largest else None  # False of NaN too


def residuals(spec: ModelSpec, dataset: FeatureDataset, predictions: Mapping[str, Floats]) -> Figure:
    """Draw histograms of predicted minus measured states, over all steps that count."""
    from potentia.plots.distribution import draw_histogram
    from potentia.plots.style import GREY, heading, new_figure, rounded

    errors = {name: WindowErrors.of(spec, dataset, states, name) for name, states in predictions.items()}
    rows = -(-len(spec.states) // COLUMNS)
    figure = new_figure(9.4, 0.4 + 2.5 * rows)
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for k, state in enumerate(spec.states):
        groups = {name: one.states[..., k][one.counted] for name, one in errors.items()}
        groups = {name: values[np.isfinite(values)] for name, values in groups.items()}
        draw_histogram(grid[k], groups, "")
        _label_with_power(grid[k], state.unit)
        grid[k].set_ylim(top=1.25 * grid[k].get_ylim()[1])  # room for what is said of points farther out
        spreads = "   ".join(f"{rounded(float(np.sqrt(np.mean(one**2))))}" for one in groups.values() if one.size)
        heading(grid[k], state.name, [(f"RMSE {spreads} {state.unit}", GREY)])
    for axes in grid[len(spec.states) :]:
        axes.set_axis_off()
    return figure


def _label_with_power(axes: Axes, unit: str) -> None:
    """Label errors, the power of ten of small or large ones beside the unit: its own place would be on the label."""
    from matplotlib.ticker import MaxNLocator

    reach = max(abs(end) for end in axes.get_xlim())
    power = 0 if 1e-2 <= reach < 1e4 else math.floor(math.log10(reach))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 10.0**power:g}".replace("-", "−"))
    words = [f"$10^{{{power}}}$"] if power else []
    axes.set_xlabel(f"predicted − measured ({' '.join([*words, unit]).strip() or '1'})")


def _file_word(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
