"""Figures of predicted parameters: over the column that they follow most, between their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.evaluation.dispersion import parameter_spread
from potentia.dynamics.parameter_box import vector_of
from potentia.dynamics.sensitivities import entry_names
from potentia.dynamics.spec import ModelSpec
from potentia.plots.style import GREY, colour, heading, note, panel_grid, quiet

__all__ = ["parameters_over_columns"]

Floats: TypeAlias = NDArray[np.float64]
COLUMNS = 3
MOST = 12
"""Of more entries, those with the largest spread are drawn."""
SAME = 1e-6
"""Entries whose spread is a smaller part of their range are the same in all windows, and not drawn."""


def parameters_over_columns(spec: ModelSpec, dataset: FeatureDataset, params: Mapping[str, ArrayLike]) -> Figure:
    """Draw each predicted parameter over the column that its ranks follow most, with its bounds and default.

    Columns are the user's features, or the initial states without the pose where there are none.

    Args:
        spec: The model.
        dataset: Windows that were predicted.
        params: Of each window.  [windows, *shape]
    """
    table = parameter_spread(spec, params, dataset.group)
    vector, names = vector_of(spec, params), entry_names(spec)
    units = {one.name: one.unit for one in spec.parameters}
    defaults = vector_of(spec, spec.default_params)
    spread = table["spread"].to_numpy()
    chosen = np.sort(np.argsort(-spread, kind="stable")[: max(1, min(MOST, int((spread > SAME).sum())))])
    labels, columns = _columns(spec, dataset)
    figure, grid = panel_grid(len(chosen), COLUMNS, (3.0, 2.5), (0.4, 0.3))
    for axes, k in zip(grid, chosen.tolist(), strict=False):
        unit = units[names[k].partition("[")[0]]
        bounds = (float(table["low"].iloc[k]), float(table["high"].iloc[k]))
        _draw(axes, vector[:, k], columns, labels, float(defaults[k]), bounds)
        axes.set_ylabel(unit)
        at = float(table["at_lower"].iloc[k] + table["at_upper"].iloc[k])
        says = f"{100 * at:.1f} % of the windows at a bound" if at else "never at a bound"
        first = [("dashes: default, lines: bounds", GREY)] if k == chosen[0] else []
        heading(axes, names[k], [*first, (says, GREY)])
    return figure


def _draw(
    axes: Axes, values: Floats, columns: Floats, labels: list[str], default: float, bounds: tuple[float, float]
) -> None:
    quiet(axes)
    if not columns.shape[1]:
        axes.set_xticks([])
        note(axes, "no column to draw over")
        return
    follows = [abs(_rank_correlation(values, column)) for column in columns.T]
    best = int(np.argmax(follows))
    axes.scatter(columns[:, best], values, s=7, color=colour(0), alpha=0.45, lw=0, zorder=3)
    axes.axhline(default, color=GREY, ls=(0, (4, 2)), lw=1.0, zorder=2)
    for bound in bounds:
        axes.axhline(bound, color=GREY, lw=0.8, zorder=2)
    margin = 0.05 * (bounds[1] - bounds[0])
    axes.set_ylim(bounds[0] - margin, bounds[1] + margin)
    axes.set_xlabel(labels[best])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _columns(spec: ModelSpec, dataset: FeatureDataset) -> tuple[list[str], Floats]:
    if dataset.features is not None:
        return list(dataset.feature_names), dataset.features
    kept = [k for k, one in enumerate(spec.states) if not one.pose]
    labels = [f"initial {spec.states[k].name} ({spec.states[k].unit})" for k in kept]
    return labels, dataset.initial_states[:, kept]


def _rank_correlation(one: Floats, other: Floats) -> float:
    """Return Spearman's correlation, 0 where one of them does not vary."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    ranks = [values.argsort(kind="stable").argsort(kind="stable").astype(np.float64) for values in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
