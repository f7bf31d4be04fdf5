"""How far roll-outs are from what was measured: tables of all predictions side by side, baselines among them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.checks import did_you_mean
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.evaluation.window_errors import WindowErrors
from potentia.dynamics.losses import state_scales
from potentia.dynamics.motion import Motion
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError
from potentia.evaluate import Metric, TableRow, as_text, metric_frame, summary

__all__ = ["RolloutEvaluation", "evaluate_rollouts"]

Floats: TypeAlias = NDArray[np.float64]
ACCURACY, SKILL, RATIO = "accuracy", "skill", "ratio"
EXACT = 1e-9
"""A baseline whose error is a smaller part of what the states move is exact but for rounding: nothing compares."""


@dataclass(frozen=True, eq=False)
class RolloutEvaluation:
    """Tables of an evaluation."""

    metrics: pd.DataFrame
    """A row for each prediction and metric, as `potentia.evaluate.metric_frame` has them."""
    over_time: pd.DataFrame
    """A row for each prediction and step: ``time`` (s, mean), ``distance`` (m, mean) and an RMSE for each state."""
    by_group: pd.DataFrame
    """A row for each prediction and log: number of windows, and the errors of its windows alone."""
    by_window: pd.DataFrame
    """A row for each window, a column for each prediction: its mean distance (m), or mean scaled error."""
    steps: tuple[int, ...]
    """Steps whose errors are in the metrics, from 1."""

    def table(self, *, mark: bool = True) -> pd.DataFrame:
        """Return the table for people: a row for each metric, a column for each prediction."""
        metrics = self.metrics["metric"]
        plain = list(dict.fromkeys(metrics[self.metrics["block"] == ACCURACY]))
        units = dict(zip(metrics, self.metrics["unit"], strict=True))
        differ = self.metrics.groupby("metric")["value"].nunique() > 1
        rows = [
            TableRow(
                label=f"{name} ({units[name]})" if units[name] else name,
                block=ACCURACY,
                metric=name,
                style="integer" if name == "diverged windows" else "number",
                best="low" if differ[name] else None,
            )
            for name in plain
        ]
        ratios = list(dict.fromkeys(metrics[self.metrics["block"] == RATIO]))
        rows += [TableRow(label=name, block=RATIO, metric=name, style="times") for name in ratios]
        return summary(self.metrics, rows, mark=mark).replace("", "–")

    def text(self) -> str:
        """Return the table as plain text."""
        return as_text(self.table())


def evaluate_rollouts(
    spec: ModelSpec,
    dataset: FeatureDataset,
    predictions: Mapping[str, Floats],
    *,
    baselines: Sequence[str] = (),
    scales: Floats | None = None,
) -> RolloutEvaluation:
    """Return how far predicted states are from the targets that count.

    Distances (ADE, FDE) and errors of the heading are means over steps and windows, RMSEs come from sums of squares.
    A roll-out that diverges has an infinite error: its means are infinite, its medians need not be.

    Args:
        spec: The model.
        dataset: Windows with their targets.
        predictions: Name → predicted states [windows, steps, states].
        baselines: Names among them that the others are compared with: a ratio is a prediction's error over the
            baseline's, skill the part of the baseline's error that is avoided. Neither exists where the baseline is
            exact but for rounding.
        scales: What errors of each state are measured by where they are put together [states]; None for how far the
            states of these windows move.

    Raises:
        ConfigError: a baseline has no prediction.
        DataError: a shape is not that of the targets.
    """
    for name in baselines:
        if name not in predictions:
            raise ConfigError(f"baselines names {name!r}, which predicts nothing{did_you_mean(name, predictions)}")
    scales = state_scales(dataset, spec) if scales is None else scales
    errors = {name: WindowErrors.of(spec, dataset, states, name) for name, states in predictions.items()}
    steps = tuple(sorted({1, max(1, dataset.n_steps // 2), dataset.n_steps}))
    metrics = [metric for name, one in errors.items() for metric in _metrics(name, spec, one, steps, scales)]
    main = {name: _main(spec, one, scales) for name, one in errors.items()}
    for name in errors:
        for other in baselines:
            ratio = _ratio(main[name], main[other])
            metrics.append(Metric(name, RATIO, f"error over that of {other}", ratio))
            metrics.append(Metric(name, SKILL, f"better than {other}", 1.0 - ratio))
    columns = {name: one.by_window(scales) for name, one in errors.items()}
    return RolloutEvaluation(
        metrics=metric_frame(metrics),
        over_time=pd.concat([_over_time(name, spec, dataset, one) for name, one in errors.items()], ignore_index=True),
        by_group=pd.concat([_by_group(name, dataset, one, scales) for name, one in errors.items()], ignore_index=True),
        by_window=pd.DataFrame(columns).rename_axis(index="window"),
        steps=steps,
    )


def _metrics(name: str, spec: ModelSpec, errors: WindowErrors, steps: Iterable[int], scales: Floats) -> list[Metric]:
    found: list[Metric] = []
    if errors.place is not None:
        windows = errors.by_window(scales)
        found += [
            Metric(name, ACCURACY, "ADE", errors.summed(errors.place).mae, "m"),
            Metric(name, ACCURACY, "ADE, median window", float(np.median(windows)), "m"),
            Metric(name, ACCURACY, "ADE, 95 % of windows", float(np.quantile(windows, 0.95, method="lower")), "m"),
            Metric(name, ACCURACY, "FDE", errors.final(errors.place).mae, "m"),
        ]
    if errors.heading is not None:
        degrees = np.degrees(errors.heading)
        found.append(Metric(name, ACCURACY, "heading error", errors.summed(degrees).mae, "°"))
        found.append(Metric(name, ACCURACY, "heading error, last step", errors.final(degrees).mae, "°"))
    found.append(Metric(name, ACCURACY, "scaled error", _scaled(errors, scales)))
    for k, state in enumerate(spec.states):
        own = errors.states[..., k]
        found.append(Metric(name, ACCURACY, f"RMSE of {state.name}", errors.summed(own).rmse, state.unit))
        for step in steps:
            value = errors.summed(own, step=step - 1).rmse
            found.append(Metric(name, ACCURACY, f"RMSE of {state.name}, step {step}", value, state.unit))
    found.append(Metric(name, ACCURACY, "diverged windows", float(errors.diverged)))
    return found


def _scaled(errors: WindowErrors, scales: Floats, windows: NDArray[np.bool_] | None = None) -> float:
    """Return the mean magnitude of the scaled errors over states, steps and windows."""
    return errors.summed(np.abs(errors.states / scales).mean(-1), windows).mae


def _main(spec: ModelSpec, errors: WindowErrors, scales: Floats) -> float:
    """Return the error that predictions are compared by, as a part of what the states move."""
    motion = Motion.of(spec)
    if errors.place is None or motion is None:
        return _scaled(errors, scales)
    return errors.summed(errors.place).mae / float(scales[motion.x])


def _ratio(error: float, reference: float) -> float:
    return error / reference if reference > EXACT and math.isfinite(reference) else math.nan


def _over_time(name: str, spec: ModelSpec, dataset: FeatureDataset, errors: WindowErrors) -> pd.DataFrame:
    times = dataset.step_lengths.cumsum(1).mean(0)
    rows = []
    for step, time in enumerate(times.tolist()):
        row: dict[str, object] = {"prediction": name, "step": step + 1, "time": time}
        if errors.place is not None:
            row["distance"] = errors.summed(errors.place, step=step).mae
        for k, state in enumerate(spec.state_names):
            row[f"rmse_{state}"] = errors.summed(errors.states[..., k], step=step).rmse
        rows.append(row)
    return pd.DataFrame(rows)


def _by_group(name: str, dataset: FeatureDataset, errors: WindowErrors, scales: Floats) -> pd.DataFrame:
    rows = []
    for number in np.unique(dataset.group).tolist():
        own = dataset.group == number
        row: dict[str, object] = {
            "prediction": name,
            "group": dataset.group_names[number],
            "windows": int(own.sum()),
            "scaled_error": _scaled(errors, scales, own),
        }
        if errors.place is not None:
            row["ade"] = errors.summed(errors.place, own).mae
            row["fde"] = errors.final(errors.place, own).mae
        if errors.heading is not None:
            row["heading_error"] = errors.summed(np.degrees(errors.heading), own).mae
        rows.append(row)
    return pd.DataFrame(rows)
