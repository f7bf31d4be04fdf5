"""How large the errors of predictions are: real, in log10 and relative, by time, by quantity and by size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from potentia.evaluate import Metric
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation.summaries import ErrorSummary, distribution, per_quantity, per_time
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.predictor import Floats

__all__ = ["Accuracy", "accuracy", "error_kinds", "relative_errors"]

BLOCK = "accuracy"
LINEAR = ErrorScale(log10=False)


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Metrics and tables of one surrogate; the column ``kind`` is ``"log"``, ``"real"`` or ``"relative"``."""

    metrics: list[Metric]
    """Block ``"accuracy"``."""
    over_time: pd.DataFrame
    """A row for each kind and time."""
    by_quantity: pd.DataFrame
    """A row for each kind and quantity."""
    distribution: pd.DataFrame
    """Sizes of the errors at given shares, for each kind."""


def accuracy(
    name: str,
    prediction: Floats,
    part: Trajectories,
    settings: EvaluationSettings,
    *,
    window: float | None = None,
) -> Accuracy:
    """Compare a prediction with the states of ``part``.

    Args:
        name: Of the surrogate.
        prediction: [trajectories, times, quantities]
        part: The truth.
        settings: Thresholds, and the scale of errors.
        window: Last time that was trained on; errors before and after are reported apart if there are any after.
    """
    scale = ErrorScale.of(part, settings.log10, settings.tolerance)
    kinds = error_kinds(prediction, part.states, scale, settings.relative_error_threshold)
    percentile = settings.error_percentile
    metrics = [Metric(name, BLOCK, "error_percentile", percentile, "%")]
    for kind, errors in kinds.items():
        for region, steps in _regions(part.times, window).items():
            summary = ErrorSummary.of(errors[:, steps], percentile)
            metrics += [
                Metric(name, BLOCK, metric + region, value, _unit(kind)) for metric, value in _named(kind, summary)
            ]
        for label, row in zip(part.labels, per_quantity(errors, part.labels, percentile)["mean"], strict=True):
            metrics.append(Metric(name, BLOCK, f"mean_{_noun(kind)} of {label}", row, _unit(kind)))
    metrics += [
        Metric(name, BLOCK, "not_finite", float((~np.isfinite(prediction)).sum())),
        Metric(name, BLOCK, "relative_error_undefined", float(np.isnan(kinds["relative"]).sum())),
    ]
    if scale.log10:
        metrics.append(Metric(name, BLOCK, "raised_to_tolerance_log", float(scale.raised(prediction))))
    tables = {kind: per_time(errors, part.times, percentile) for kind, errors in kinds.items()}
    quantities = {kind: per_quantity(errors, part.labels, percentile) for kind, errors in kinds.items()}
    sizes = {kind: distribution(errors) for kind, errors in kinds.items()}
    return Accuracy(metrics, *(_stacked(name, frames) for frames in (tables, quantities, sizes)))


def error_kinds(prediction: Floats, truth: Floats, scale: ErrorScale, threshold: float) -> dict[str, Floats]:
    """Return the sizes of the errors of each kind: ``"real"``, ``"relative"``, and ``"log"`` on a scale of log10."""
    log = {"log": scale.errors(prediction, truth)} if scale.log10 else {}
    return {**log, "real": LINEAR.errors(prediction, truth), "relative": relative_errors(prediction, truth, threshold)}


def relative_errors(prediction: Floats, truth: Floats, threshold: float = 0.0) -> Floats:
    """Return ``|prediction − truth| / max(|truth|, threshold)``; NaN where that is a division by zero."""
    denominator = np.maximum(np.abs(truth), threshold)
    error = LINEAR.errors(prediction, truth)
    return np.divide(error, denominator, out=np.full_like(error, np.nan), where=denominator > 0)


def _named(kind: str, summary: ErrorSummary) -> Iterator[tuple[str, float]]:
    if kind != "relative":
        yield f"root_mean_squared_error_{kind}", summary.rmse
    yield f"mean_{_noun(kind)}", summary.mean
    yield f"median_{_noun(kind)}", summary.median
    yield f"percentile_{_noun(kind)}", summary.percentile


def _noun(kind: str) -> str:
    return "relative_error" if kind == "relative" else f"absolute_error_{kind}"


def _unit(kind: str) -> str:
    return {"log": "dex", "real": LINEAR.unit, "relative": ""}[kind]


def _regions(times: Floats, window: float | None) -> dict[str, slice]:
    if window is None or window >= times[-1]:
        return {"": slice(None)}
    n = int(np.searchsorted(times, window, side="right"))
    return {"": slice(None), "_inside": slice(n), "_outside": slice(n, None)}


def _stacked(name: str, frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    whole = pd.concat(frames, names=["kind"]).reset_index(level="kind").reset_index(drop=True)
    whole.insert(0, "surrogate", name)
    return whole
