"""Predicted parameters in files: a summary as JSON, those of each window as NumPy arrays."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.dynamics.spec import ModelSpec
from potentia.storage import replacing, write_text

__all__ = ["flat_means", "parameter_summary", "write_parameter_json", "write_parameter_windows"]

Floats: TypeAlias = NDArray[np.float64]
Params: TypeAlias = Mapping[str, Floats]

AT_BOUND = 0.01
"""A value that is nearer to a bound than this part of the way between the bounds counts as at the bound."""
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


def parameter_summary(
    spec: ModelSpec, params: Params, identifiable: Mapping[str, bool] | None = None
) -> dict[str, Any]:
    """Return mean, spread, quantiles and bounds of each parameter over windows, as plain values.

    An array gives lists of its shape. ``at_lower`` and ``at_upper`` are the parts of the windows that are at a bound;
    the spread is divided by the number of windows.

    Args:
        spec: The model whose parameters were predicted.
        params: Of each window.  [windows, *shape] each
        identifiable: Parameter → whether data determine it; None where that was not looked at.
    """
    windows = len(next(iter(params.values())))
    rows = {}
    for one in spec.parameters:
        values = params[one.name]
        low, high = one.bounds
        place = _places(values, low, high, log=one.scale == "log")
        found = {
            "mean": values.mean(0),
            "std": values.std(0),
            **{name: np.quantile(values, at, axis=0) for name, at in QUANTILES.items()},
            "min": values.min(0),
            "max": values.max(0),
            "lo": low,
            "hi": high,
            "at_lower": (place < AT_BOUND).mean(0),
            "at_upper": (place > 1 - AT_BOUND).mean(0),
        }
        rows[one.name] = {name: np.asarray(value).tolist() for name, value in found.items()}
        rows[one.name] |= {"identifiable": None if identifiable is None else identifiable.get(one.name), "unit": one.unit}
    return {"model": spec.name, "n": windows, "params": rows}


def flat_means(params: Params) -> dict[str, Any]:
    """Return the mean of each parameter over windows, and nothing else."""
    return {name: np.asarray(values.mean(0)).tolist() for name, values in params.items()}


def write_parameter_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write plain values as JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_parameter_windows(path: str | os.PathLike[str], params: Params) -> None:
    """Write the parameters of each window to an ``.npz`` file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("xb") as file:
        np.savez(file, **params)  # type: ignore[arg-type]  # names of parameters are no names of its arguments


def _places(values: Floats, low: Floats, high: Floats, *, log: bool) -> Floats:
    """Return where values are between their bounds, 0 at the lower one.  [windows, *shape]"""
    if log:
        values, low, high = np.log(values), np.log(low), np.log(high)
    return np.asarray((values - low) / (high - low))
