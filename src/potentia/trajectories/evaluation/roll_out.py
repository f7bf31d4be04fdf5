"""Roll-outs: a surrogate is asked for a few steps at a time, each time from the state that it has itself predicted.

Only for autonomous systems: the state alone, not the time, says how it goes on, so every chunk begins at the first time
of the data set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from potentia import progress
from potentia.errors import DataError
from potentia.evaluate import Metric
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation.summaries import ErrorSummary, distribution, per_time
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.predictor import Floats, Predictor

__all__ = ["RollOuts", "roll_out", "roll_outs"]

BLOCK = "iterative"


@dataclass(frozen=True, eq=False)
class RollOuts:
    """Metrics and tables of one surrogate."""

    metrics: list[Metric]
    """Block ``"iterative"``: those of the roll-outs from the first step, and of all offsets together."""
    states: Floats
    """The roll-outs from the first step.  [trajectories, times, quantities]"""
    over_time: pd.DataFrame
    """Errors of the roll-outs from the first step at each time."""
    by_offset: pd.DataFrame
    """A row for each step at which roll-outs begin: ``surrogate``, ``offset``, ``RMSE``, ``mean``, ``n``."""
    distribution: pd.DataFrame
    """Sizes of the errors at given shares."""


def roll_out(predictor: Predictor, part: Trajectories, interval: int, start: int = 0) -> Floats:
    """Return the states from step ``start`` on, where the true one is given, to the last.

    Chunk i begins *at* step ``start + i · interval``, from the state that the chunk before has predicted for it. A
    state that is not finite ends a trajectory: the rest of it is NaN.

    Args:
        predictor: Is asked for times that are counted from the first one of ``part``, which is where its initial states
            are.
        part: Initial states, times and parameters.
        interval: Steps of a chunk.
        start: The first step.

    Returns:
        [trajectories, times - start, quantities]
    """
    times, states = part.times, part.states
    found = np.full((len(part), len(times) - start, part.n_quantities), np.nan)
    found[:, 0] = states[:, start]
    for first in range(start, len(times) - 1, interval):
        last = min(first + interval, len(times) - 1)
        asked = times[0] + (times[first : last + 1] - times[first])
        alive = np.isfinite(found[:, first - start]).all(axis=1)
        if not alive.any():
            break
        parameters = None if part.parameters is None else part.parameters[alive]
        chunk = np.asarray(predictor.predict(found[alive, first - start], asked, parameters), dtype=np.float64)
        wanted = (int(alive.sum()), len(asked), part.n_quantities)
        if chunk.shape != wanted:
            raise DataError(f"predict must return (trajectories, times, quantities) = {wanted}, got {chunk.shape}")
        found[alive, first + 1 - start : last + 1 - start] = chunk[:, 1:]
    return found


def roll_outs(
    name: str, predictor: Predictor, part: Trajectories, scale: ErrorScale, settings: EvaluationSettings
) -> RollOuts:
    """Roll ``predictor`` out from the first step and from those after it, and compare with the truth.

    The states at which a roll-out begins are given, so they do not count.

    Raises:
        DataError: there is a single time.
    """
    if len(part.times) < 2:
        raise DataError("roll-outs need two times or more, got 1; switch `iterative` off")
    interval, percentile = settings.iterative_interval, settings.error_percentile
    offsets = range(min(settings.iterative_offsets or interval, len(part.times) - 1))
    begun = progress.track(offsets, f"roll-outs of {name}")
    rolled = {start: roll_out(predictor, part, interval, start) for start in begun}
    errors = {start: scale.errors(states, part.states[:, start:]) for start, states in rolled.items()}
    each = {start: ErrorSummary.of(found[:, 1:], percentile) for start, found in errors.items()}
    table = pd.DataFrame(
        [{"surrogate": name, "offset": start, "RMSE": s.rmse, "mean": s.mean, "n": s.n} for start, s in each.items()]
    )
    everything = np.concatenate([found[:, 1:].ravel() for found in errors.values()])
    linear = ErrorScale(log10=False).errors(rolled[0], part.states)[:, 1:]
    over_time, sizes = per_time(errors[0], part.times, percentile), distribution(errors[0][:, 1:])
    over_time.insert(0, "surrogate", name)
    sizes.insert(0, "surrogate", name)
    together = ErrorSummary.of(everything, percentile)
    metrics = [
        *(Metric(name, BLOCK, metric, value, scale.unit) for metric, value in _named(each[0], scale.suffix)),
        *(
            Metric(name, BLOCK, f"{metric}_all_offsets", value, scale.unit)
            for metric, value in _named(together, scale.suffix)
        ),
        Metric(name, BLOCK, "mean_squared_error", float(np.mean(linear**2)), "unit of the data, squared"),
        Metric(name, BLOCK, "mean_absolute_error", float(np.mean(linear)), "unit of the data"),
        Metric(name, BLOCK, "not_finite", float((~np.isfinite(rolled[0])).sum())),
        Metric(name, BLOCK, "iteration_interval", float(interval), "steps"),
        Metric(name, BLOCK, "offsets", float(len(offsets)), "steps"),
    ]
    return RollOuts(metrics, rolled[0], over_time, table, sizes)


def _named(summary: ErrorSummary, suffix: str) -> list[tuple[str, float]]:
    return [
        (f"root_mean_squared_error{suffix}", summary.rmse),
        (f"mean_absolute_error{suffix}", summary.mean),
        (f"median_absolute_error{suffix}", summary.median),
        (f"percentile_absolute_error{suffix}", summary.percentile),
    ]
