"""How predicted parameters differ between windows, within logs and among them, and how often they are at bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from potentia.dynamics.parameter_box import ParameterBox, vector_of
from potentia.dynamics.sensitivities import entry_names
from potentia.dynamics.spec import ModelSpec
from potentia.errors import DataError

__all__ = ["parameter_spread", "spread_by_group"]

Floats: TypeAlias = NDArray[np.float64]
NEAR = 0.01
"""Part of the range (on the scale of the parameter) that counts as at the bound."""
QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}


def parameter_spread(
    spec: ModelSpec, params: Mapping[str, ArrayLike], groups: NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """Return a row for each entry of the predicted parameters.

    Columns: ``mean``, ``std``, ``std_within`` and ``std_between`` (their squares add up to that of ``std``), ``min``,
    ``q05``, ``median``, ``q95``, ``max``, ``low``, ``high``, ``spread`` (std in parts of the range), and the shares
    ``at_lower`` and ``at_upper`` of windows at a bound.

    Args:
        spec: The model.
        params: By name, of each window.  [windows, *shape]
        groups: Number of the log of each window; None for one log.  [windows]

    Raises:
        DataError: there is not a row for each window.
    """
    vector = _rows(spec, params)
    groups = np.zeros(len(vector), dtype=np.int64) if groups is None else np.asarray(groups)
    if len(groups) != len(vector):
        raise DataError(f"`groups` must have an entry for each of {len(vector)} windows, got {len(groups)}")
    box = ParameterBox.of(spec)
    places = box.places(np.clip(vector, box.low, box.high))
    mean = vector.mean(0)
    known, numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.zeros((len(known), vector.shape[1]))
    np.add.at(means, numbers, vector)
    means /= counts[:, None]
    columns = {
        "mean": mean,
        "std": vector.std(0),
        "std_within": np.sqrt(((vector - means[numbers]) ** 2).mean(0)),
        "std_between": np.sqrt(((means - mean) ** 2 * counts[:, None]).sum(0) / len(vector)),
        "min": vector.min(0),
        **{name: np.quantile(vector, share, axis=0) for name, share in QUANTILES.items()},
        "max": vector.max(0),
        "low": box.low,
        "high": box.high,
        "spread": vector.std(0) / (box.high - box.low),
        "at_lower": (places < NEAR).mean(0),
        "at_upper": (places > 1 - NEAR).mean(0),
    }
    return pd.DataFrame(columns, index=pd.Index(entry_names(spec), name="parameter"))


def spread_by_group(
    spec: ModelSpec, params: Mapping[str, ArrayLike], groups: NDArray[np.int64], names: tuple[str, ...]
) -> pd.DataFrame:
    """Return a row for each log and entry: ``windows``, ``mean``, ``std`` and the shares at the bounds."""
    frames = []
    for number in np.unique(groups).tolist():
        own = groups == number
        part = parameter_spread(spec, {key: np.asarray(params[key])[own] for key in spec.param_keys})
        part = part[["mean", "std", "at_lower", "at_upper"]].reset_index()
        part.insert(0, "windows", int(own.sum()))
        part.insert(0, "group", names[number])
        frames.append(part)
    return pd.concat(frames, ignore_index=True)


def _rows(spec: ModelSpec, params: Mapping[str, ArrayLike]) -> Floats:
    lengths = {key: np.shape(params[key])[:1] for key in spec.param_keys if key in params}
    vector = vector_of(spec, params) if len(set(lengths.values())) == 1 else np.empty(0)
    if vector.ndim != 2 or not len(vector):
        raise DataError(f"each parameter must have a row for each window, [windows, *shape]; first axes: {lengths}")
    return vector
