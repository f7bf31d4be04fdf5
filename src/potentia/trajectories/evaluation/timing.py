"""How long predictions take, for batches of several sizes of the same trajectories, and how much faster than a solver.

The first call does not count; a GPU is waited for before the clock is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

from potentia.errors import DataError
from potentia.evaluate import Metric
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.predictor import Floats, Predictor

__all__ = ["Solve", "speed_ups", "time_predictions", "time_solver", "timing_metrics"]

BLOCK = "timing"
Solve: TypeAlias = Callable[[Floats, Floats, Floats | None], Floats]
"""Initial state [quantities], times [times], parameters [parameters] or None → states [times, quantities]."""


def time_predictions(name: str, predictor: Predictor, part: Trajectories, settings: EvaluationSettings) -> pd.DataFrame:
    """Time calls for batches of each size of `timing_batch_sizes` and of all trajectories of ``part``.

    Run r of a size takes the r-th batch of the trajectories, beginning anew at their end: the same for every predictor.

    Returns:
        A row for each size: ``surrogate``, ``batch_size`` (trajectories), ``runs``, ``median``, ``low`` (5 %), ``high``
        (95 %), ``mean`` and ``std`` of a call (s), ``per_trajectory``, the median of a call for each trajectory (s),
        ``points`` of a call, ``threads`` that torch may use, and ``device``.
    """
    rows = []
    for size in sorted({*settings.timing_batch_sizes, len(part)}):

        def call(run: int, size: int = size) -> None:
            batch = part.take((run * size + np.arange(size)) % len(part))
            predictor.predict(batch.initial_states, batch.times, batch.parameters)

        rows.append({"surrogate": name, "batch_size": size, **_timed(call, settings, size)})
        rows[-1]["points"] = size * len(part.times)
    found = pd.DataFrame(rows)
    found["threads"] = torch.get_num_threads()
    found["device"] = torch.cuda.get_device_name() if torch.cuda.is_initialized() else "cpu"
    return found


def time_solver(
    name: str, solve: Solve, part: Trajectories, scale: ErrorScale, settings: EvaluationSettings
) -> pd.DataFrame:
    """Time a solver on single trajectories of ``part``, each once, and measure its error against the data.

    Returns:
        The columns of `time_predictions` and ``error``, the mean size on ``scale``.
    """
    errors: list[Floats] = []

    def call(run: int) -> None:
        k = run % len(part)
        parameters = None if part.parameters is None else part.parameters[k]
        found = np.asarray(solve(part.states[k, 0], part.times, parameters), dtype=np.float64)
        if found.shape != part.states.shape[1:]:
            wanted = part.states.shape[1:]
            raise DataError(f"solver {name} must return (times, quantities) = {wanted}, got {found.shape}")
        errors.append(scale.errors(found, part.states[k]))

    row = {"surrogate": name, "batch_size": 1, **_timed(call, settings, 1, runs=len(part)), "points": len(part.times)}
    return pd.DataFrame([{**row, "threads": 1, "device": "cpu", "error": float(np.mean(errors))}])


def timing_metrics(table: pd.DataFrame, part: Trajectories) -> list[Metric]:
    """Return the metrics of the frames of `time_predictions`: of a call with all trajectories, and for every size."""
    metrics = []
    for row in table.to_dict("records"):
        name, size = str(row["surrogate"]), int(row["batch_size"])
        metrics.append(Metric(name, BLOCK, f"seconds_per_trajectory (batch {size})", float(row["per_trajectory"]), "s"))
        if size == len(part):
            points = float(row["points"])
            metrics += [
                *(Metric(name, BLOCK, f"{kind}_inference_time_per_run", float(row[kind]), "s") for kind in _KINDS),
                Metric(name, BLOCK, "num_predictions", points),
                *(
                    Metric(name, BLOCK, f"{kind}_inference_time_per_prediction", float(row[kind]) / points, "s")
                    for kind in _KINDS
                ),
                Metric(name, BLOCK, "threads", float(row["threads"])),
            ]
    return metrics


def speed_ups(table: pd.DataFrame, solvers: pd.DataFrame, errors: Mapping[str, float]) -> list[Metric]:
    """Return how many times quicker a trajectory is predicted than solved, for every solver and size of batches.

    ``speed_up_at_equal_accuracy`` compares the quickest batches with the quickest solver that is at least as accurate;
    it does not exist if none is.

    Args:
        table: Of `time_predictions`.
        solvers: Of `time_solver`, a row for each solver.
        errors: Mean error of each surrogate, on the scale of those of the solvers.
    """
    metrics = []
    for row in table.to_dict("records"):
        name, own = str(row["surrogate"]), float(row["per_trajectory"])
        for solver in solvers.to_dict("records"):
            label = f"speed_up over {solver['surrogate']} (batch {row['batch_size']})"
            metrics.append(Metric(name, BLOCK, label, float(solver["per_trajectory"]) / own))
    for surrogate, quickest in table.groupby("surrogate", sort=False)["per_trajectory"].min().items():
        as_good = solvers[solvers["error"] <= errors[str(surrogate)]]["per_trajectory"]
        if len(as_good):
            factor = float(as_good.min() / quickest)
            metrics.append(Metric(str(surrogate), BLOCK, "speed_up_at_equal_accuracy", factor))
    return metrics


_KINDS = ("median", "mean", "std")


def _timed(
    call: Callable[[int], None], settings: EvaluationSettings, size: int, runs: int | None = None
) -> dict[str, Any]:
    """Time ``call(run)`` for the runs that the settings allow, after one that does not count."""
    wanted = settings.timing_runs if runs is None else runs
    call(0)
    begun = time.perf_counter()
    seconds: list[float] = []
    while len(seconds) < wanted and (not seconds or time.perf_counter() - begun < settings.timing_seconds):
        _wait_for_device()
        start = time.perf_counter()
        call(len(seconds))
        _wait_for_device()
        seconds.append(time.perf_counter() - start)
    low, median, high = np.quantile(seconds, (0.05, 0.5, 0.95)).tolist()
    return {
        "runs": len(seconds),
        "median": median,
        "low": low,
        "high": high,
        "mean": float(np.mean(seconds)),
        "std": float(np.std(seconds)),
        "per_trajectory": median / size,
    }


def _wait_for_device() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
