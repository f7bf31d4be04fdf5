"""Fields over time from initial ones, in physical units: what is asked for is checked, and done in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from potentia import progress
from potentia.checks import did_you_mean, integer
from potentia.errors import ConfigError, DataError, warn_user
from potentia.operators.rollout import rollout
from potentia.operators.task import CHANNEL_VALUES
from potentia.operators.training import Fitted

__all__ = ["Parameters", "bottleneck", "predict"]

Parameters = ArrayLike | Mapping[str, ArrayLike]
"""Values [samples, parameters], or by name, where a number stands for all samples."""


@torch.no_grad()
def predict(
    members: Sequence[Fitted],
    initial: ArrayLike,
    parameters: Parameters | None,
    steps: int,
    batch_size: int | None = None,
) -> NDArray[np.float32]:
    """Return the fields after 0, 1, … ``steps`` steps as each operator has them; see `NeuralOperator.predict`.

    What is asked for is checked, and warned of, once: parameters are outside where they are so for all.

    Args:
        members: One operator, or several of the same network, channels and parameters.
        initial: [samples, channels, *grid]
        parameters: [samples, parameters], or by name.
        steps: How many.
        batch_size: Samples at a time.

    Returns:
        [members, samples, steps + 1, channels, *grid]
    """
    integer("steps", steps, low=0)
    begun, seen = _asked(members, initial, parameters)
    size = max(CHANNEL_VALUES // (begun[0].size * (steps + 1)), 1) if len(begun) else 1
    size = size if batch_size is None else integer("batch_size", batch_size, low=1)
    fields = np.empty((len(members), len(begun), steps + 1, *begun.shape[1:]), dtype=np.float32)
    for begin in progress.track(range(0, len(begun), size), "batches of samples"):
        part = slice(begin, begin + size)
        for found, fitted in zip(fields, members, strict=True):
            now, told = _scaled(fitted, begun[part], None if seen is None else seen[part])
            rolled = rollout(fitted.network, now, told, steps, grad="none")
            found[part] = fitted.known.normaliser.unscaled(rolled.double()).cpu().numpy()
        fields[:, part, 0] = begun[part]
    _warn_of_divergence(fields)
    return fields


@torch.no_grad()
def bottleneck(fitted: Fitted, fields: ArrayLike, parameters: Parameters | None) -> NDArray[np.float32]:
    """Return the features at the narrowest place of the network; see `NeuralOperator.bottleneck`."""
    asked, seen = _asked([fitted], fields, parameters)
    found = fitted.network.intermediate_features(*_scaled(fitted, asked, seen))["bottleneck"]
    features: NDArray[np.float32] = found.float().cpu().numpy()
    return features


def _scaled(
    fitted: Fitted, fields: NDArray[np.float32], seen: NDArray[np.float64] | None
) -> tuple[Tensor, Tensor | None]:
    like = next(fitted.network.parameters())
    told = None if seen is None else torch.from_numpy(seen).to(like)
    return fitted.known.normaliser.scaled(torch.from_numpy(fields).to(like)), told


def _asked(
    members: Sequence[Fitted], initial: ArrayLike, parameters: Parameters | None
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Return the fields that are asked for, and what the networks see of the parameters."""
    fitted = members[0]
    fields = _fields(fitted, initial)
    space = fitted.known.space
    if parameters is None:
        if len(space):
            raise DataError(f"this operator was trained with the parameters {', '.join(space.names)}: give them")
        return fields, None
    values = _values(fitted, parameters, len(fields))
    _warn_of_extrapolation(members, values)
    return fields, space.embed(values) if space.width else None


def _fields(fitted: Fitted, initial: ArrayLike) -> NDArray[np.float32]:
    channels, n_axes = fitted.known.channels, fitted.known.normaliser.n_axes
    try:
        fields = np.array(initial, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"initial fields must be an array of numbers: {error}") from None
    if fields.ndim != 2 + n_axes or fields.shape[1] != len(channels):
        axes = ", ".join(("x", "y")[:n_axes])
        hint = (
            "; one sample is initial[None]" if fields.shape[:1] == (len(channels),) and fields.ndim < 2 + n_axes else ""
        )
        raise DataError(
            f"initial fields must have shape [samples, channels, {axes}] with the {len(channels)} channels "
            f"{', '.join(channels)}, got {fields.shape}{hint}"
        )
    bad = ~np.isfinite(fields)
    if bad.any():
        sample, channel = (int(k) for k in np.argwhere(bad)[0][:2])
        raise DataError(f"the initial field of sample {sample}, channel {channels[channel]!r}, is not finite")
    fitted.network.require_grid(tuple(fields.shape[2:]))
    return fields


def _values(fitted: Fitted, parameters: Parameters, samples: int) -> NDArray[np.float64]:
    space = fitted.known.space
    if isinstance(parameters, Mapping):
        for name in parameters:
            if name not in space.names:
                raise ConfigError(f"this operator has no parameter {name!r}{did_you_mean(name, space.names)}")
        missing = [name for name in space.names if name not in parameters]
        if missing:
            raise ConfigError(f"parameters are missing: {', '.join(missing)}")
        rows = space.array(parameters) if len(space) else np.empty((samples, 0))
        values = np.repeat(rows, samples, axis=0) if len(rows) == 1 else rows
    else:
        values = np.array(parameters, dtype=np.float64)
    if values.shape != (samples, len(space)):
        raise DataError(
            f"{samples} initial fields need parameters [{samples}, {len(space)}] ({', '.join(space.names) or 'none'}), "
            f"got {values.shape}"
        )
    return values


def _warn_of_extrapolation(members: Sequence[Fitted], values: NDArray[np.float64]) -> None:
    low = np.min([fitted.known.low for fitted in members], axis=0)
    high = np.max([fitted.known.high for fitted in members], axis=0)
    outside = (values < low) | (values > high)
    if outside.any():
        named = [
            f"{name} from {low[k]:.4g} to {high[k]:.4g}"
            for k, name in enumerate(members[0].known.space.names)
            if outside[:, k].any()
        ]
        text = (
            f"parameters of {int(outside.any(1).sum())} of {len(values)} samples are outside the range of the training "
            f"({', '.join(named)}): there the operator extrapolates"
        )
        warn_user(text)


def _warn_of_divergence(fields: NDArray[np.float32]) -> None:
    """Warn where fields [members, samples, steps + 1, …] have left the numbers."""
    samples = fields.shape[1]
    lost = np.flatnonzero(~np.isfinite(fields).all((0, *range(2, fields.ndim)))) if fields.size else np.array([])
    if len(lost):
        text = (
            f"the roll-outs of {len(lost)} of {samples} samples leave the numbers (the first is sample {lost[0]}): "
            "the operator is unstable there; train it on longer windows"
        )
        warn_user(text)
