"""What stands in the table for people, from the top; rows of what was not looked at are absent."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from potentia.evaluate import TableRow
from potentia.trajectories.error_scale import ErrorScale

__all__ = ["explained", "table_rows"]

EXPLAINED = {
    "RMSE": "root of the mean square error",
    "MAE": "mean absolute error",
    "Median AE": "median of the absolute errors",
    "Perc. AE": "so many percent of the absolute errors are smaller",
    "MRE": "mean relative error",
    "Median RE": "median of the relative errors",
    "Perc. RE": "so many percent of the relative errors are smaller",
    "(log, dex)": "of log10 of the states: an error of 0.3 dex is a factor of 2",
    "Inference Times": "of a prediction of the whole held-out part, mean and deviation over several",
    "Speed-up": "over the solver of the equations at the tolerance at which it errs as much",
    "Iterative MAE": "of roll-outs, which go on from their own last state",
    "Gradient-Error PCC": "correlation of the errors with how fast the state changes",
    "Slope PCC": "correlation of predicted and true slopes of the states",
    "FLOP": "floating point operations of the network",
    "Uncertainty": "mean spread of the members of an ensemble",
    "DE ": "of an ensemble of surrogates (deep ensemble): the errors of the mean of its members",
    "UQ-Error PCC": "correlation of the spread of the members with the errors",
    "CRPS": "continuous ranked probability score of the scaled error bars: as an absolute error, 0 is best",
    "Intervals Hold": "share of the errors that intervals of this level hold",
}
"""What stands in the label of a row → what it means."""


def table_rows(scale: ErrorScale, percentile: float) -> list[TableRow]:
    """Return the rows for errors on ``scale`` with a percentile from 0 to 100."""
    nth = f"{percentile:g}th Perc."
    real = [*_errors("real", f"{nth} AE", ""), *_errors("real", "", "_outside")]
    log = [*_errors("log", f"{nth} AE", ""), *_errors("log", "", "_outside")] if scale.log10 else []
    return [*real, *log, *_relative(nth), *_costs(), *_others(scale), *_ensembles(scale)]


def explained(labels: Iterable[str]) -> pd.DataFrame:
    """Return what the rows of these labels mean: a row for each word that is in any of them."""
    there = list(labels)
    found = {word.strip(): text for word, text in EXPLAINED.items() if any(word in label for label in there)}
    return pd.DataFrame({"meaning": found.values()}, index=pd.Index(list(found), name="in the table"))


def _errors(kind: str, nth: str, region: str) -> list[TableRow]:
    where = " (log, dex)" if kind == "log" else ""
    if region:
        beyond = " beyond the training window" + where
        return [TableRow(label=f"MAE{beyond}", block="accuracy", metric=f"mean_absolute_error_{kind}{region}")]
    named = {
        "RMSE": f"root_mean_squared_error_{kind}",
        "MAE": f"mean_absolute_error_{kind}",
        "Median AE": f"median_absolute_error_{kind}",
        nth: f"percentile_absolute_error_{kind}",
    }
    return [TableRow(label=label + where, block="accuracy", metric=metric) for label, metric in named.items()]


def _relative(nth: str) -> list[TableRow]:
    named = {"MRE": "mean", "Median RE": "median", f"{nth} RE": "percentile"}
    return [
        TableRow(label=label, block="accuracy", metric=f"{kind}_relative_error", style="percent")
        for label, kind in named.items()
    ]


def _costs() -> list[TableRow]:
    run = "_inference_time_per_run"
    return [
        TableRow(label="Epochs", block="accuracy", metric="main_model_epochs", style="integer", best=None),
        TableRow(label="Train Time (hh:mm:ss)", block="accuracy", metric="main_model_training_time", style="duration"),
        TableRow(label="Inference Times", block="timing", metric=f"mean{run}", style="time", spread=f"std{run}"),
        TableRow(
            label="Speed-up at Equal Accuracy",
            block="timing",
            metric="speed_up_at_equal_accuracy",
            style="times",
            best="high",
        ),
    ]


def _others(scale: ErrorScale) -> list[TableRow]:
    name = "(log, dex)" if scale.log10 else "(linear)"
    mean = f"mean_absolute_error{scale.suffix}"
    return [
        TableRow(label=f"Iterative MAE {name}", block="iterative", metric=mean),
        TableRow(label="Gradient-Error PCC", block="gradients", metric="avg_correlation", best=None),
        TableRow(label="Slope PCC", block="gradients", metric="slope_correlation", best="high"),
        TableRow(
            label="# Trainable Params", block="compute", metric="num_trainable_parameters", style="integer", best="low"
        ),
        TableRow(label="Model Memory (MB)", block="compute", metric="model_memory", style="megabytes"),
        TableRow(label="Forward Pass Memory (MB)", block="compute", metric="forward_memory", style="megabytes"),
        TableRow(label="FLOP per Trajectory", block="compute", metric="flops_per_trajectory"),
    ]


def _ensembles(scale: ErrorScale) -> list[TableRow]:
    name = "Log" if scale.log10 else "Linear"
    suffix = scale.suffix
    return [
        TableRow(label=f"Mean {name} Uncertainty", block="UQ", metric=f"average_uncertainty{suffix}", best=None),
        TableRow(label="DE MAE", block="UQ", metric=f"mean_absolute_error{suffix}"),
        TableRow(label="DE Median AE", block="UQ", metric=f"median_absolute_error{suffix}"),
        TableRow(label="DE 99th Perc. AE", block="UQ", metric=f"percentile_absolute_error{suffix}"),
        TableRow(label="UQ-Error PCC", block="UQ", metric=f"correlation_metrics{suffix}", best="high"),
        TableRow(label="CRPS (scaled)", block="UQ", metric="CRPS (scaled)"),
        TableRow(
            label="90 % Intervals Hold (raw)", block="UQ", metric="coverage at 90 % (raw)", style="percent", best=None
        ),
        TableRow(
            label="90 % Intervals Hold (conformal)",
            block="UQ",
            metric="coverage at 90 % (conformal)",
            style="percent",
            best=None,
        ),
    ]
