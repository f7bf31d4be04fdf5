"""Whether errors are large where states change quickly, and whether predictions change as the states do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from potentia.errors import DataError
from potentia.evaluate import Metric
from potentia.plots.density import binned
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation.summaries import pearson
from potentia.trajectories.predictor import Floats

__all__ = ["Gradients", "gradients"]

BLOCK = "gradients"


@dataclass(frozen=True, eq=False)
class Gradients:
    """Metrics and tables of one surrogate."""

    metrics: list[Metric]
    """Block ``"gradients"``."""
    by_quantity: pd.DataFrame
    """Columns ``surrogate``, ``quantity``, ``error_correlation``, ``slope_correlation``, ``slope_RMSE``."""
    density: pd.DataFrame
    """Counts of entries by relative slope (x) and error (y), see `binned`, with a column ``surrogate``."""


def gradients(name: str, prediction: Floats, part: Trajectories, scale: ErrorScale) -> Gradients:
    """Compare errors with the slopes of the states in time, and the slopes of the prediction with those of the states.

    Slopes are per unit of time, of the states on the scale of the errors. Both are taken on the grid of ``part`` with
    the same differences (second order for any spacing), so that those of an exact prediction agree.

    Args:
        name: Of the surrogate.
        prediction: [trajectories, times, quantities]
        part: The truth.
        scale: Scale of the errors.

    Raises:
        DataError: there is a single time.
    """
    if len(part.times) < 2:
        raise DataError("gradients in time need two times or more, got 1; switch `gradients` off")
    truth, said = scale(part.states), scale(prediction)
    slope, own = (np.gradient(values, part.times, axis=1) for values in (truth, said))
    steep = np.abs(slope) / (np.abs(slope).max() or 1.0)
    error = scale.errors(prediction, part.states)
    off = own - slope
    quantities = {
        label: (steep[..., k], error[..., k], own[..., k], slope[..., k]) for k, label in enumerate(part.labels)
    }
    table = pd.DataFrame(
        {
            "surrogate": name,
            "quantity": list(quantities),
            "error_correlation": [pearson(one[0], one[1]) for one in quantities.values()],
            "slope_correlation": [pearson(one[2], one[3]) for one in quantities.values()],
            "slope_RMSE": [_root_mean_square(one[2] - one[3]) for one in quantities.values()],
        }
    )
    average = pearson(steep.mean(axis=2), error.mean(axis=2))
    unit = f"{scale.unit} per unit of time"
    by_error, by_slope = (table[column].tolist() for column in ("error_correlation", "slope_correlation"))
    metrics = [
        *(Metric(name, BLOCK, label, found) for label, found in zip(quantities, by_error, strict=True)),
        Metric(name, BLOCK, "avg_correlation", average),
        *(
            Metric(name, BLOCK, f"slope_correlation of {q}", found)
            for q, found in zip(quantities, by_slope, strict=True)
        ),
        Metric(name, BLOCK, "slope_correlation", pearson(own, slope)),
        Metric(name, BLOCK, "slope_root_mean_squared_error", _root_mean_square(off), unit),
        Metric(name, BLOCK, "largest_slope", float(np.abs(slope).max()), unit),
    ]
    density = binned(steep, error)
    density.insert(0, "surrogate", name)
    return Gradients(metrics, table, density)


def _root_mean_square(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if np.isfinite(values).all() else np.inf
