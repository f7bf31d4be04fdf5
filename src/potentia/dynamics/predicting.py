"""What a trained network predicts for windows: parameters, and the states that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from potentia import progress
from potentia.checks import integer
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.task import ROWS, origins
from potentia.dynamics.training import Fitted, require_windows_of
from potentia.errors import DataError, warn_user

__all__ = ["predict", "predict_params", "simulate"]


@torch.no_grad()
def predict(fitted: Fitted, data: FeatureDataset, batch_size: int | None = None) -> NDArray[np.float64]:
    """Return the states after each step; see `DynamicsParameterNet.predict`."""
    params = predict_params(fitted, data, batch_size)
    size = max(ROWS // data.n_steps, 1) if batch_size is None else batch_size
    parts = []
    for begin in progress.track(range(0, len(data), size), "batches of windows"):
        part = slice(begin, begin + size)
        some = {key: value[part] for key, value in params.items()}
        dt = data.dt if data.dt.ndim == 0 else data.dt[part]
        device = fitted.network.bias.device.type
        parts.append(
            _rolled(fitted.spec, fitted.rollout, data.initial_states[part], data.controls[part], some, dt, device)
        )
    return _warned(np.concatenate(parts))


@torch.no_grad()
def predict_params(
    fitted: Fitted, data: FeatureDataset, batch_size: int | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return the parameters of each window; see `DynamicsParameterNet.predict_params`."""
    network, low, high = fitted.network, fitted.network.low, fitted.network.high
    vectors = [network.vector(rows).clamp(low, high) for rows in inputs_of(fitted, data, batch_size)]
    named = network.named(torch.cat(vectors))
    return {key: value.cpu().numpy() for key, value in named.items()}


def inputs_of(fitted: Fitted, data: FeatureDataset, batch_size: int | None = None) -> Iterator[torch.Tensor]:
    """Yield what the network sees of the windows, some at a time.  [windows, inputs]"""
    require_windows_of(fitted.spec, data, "these windows")
    size = ROWS if batch_size is None else integer("batch_size", batch_size, low=1)
    for begin in range(0, len(data), size):
        rows = fitted.features.matrix(data.take(slice(begin, begin + size)))
        yield torch.from_numpy(rows).to(fitted.network.bias)


@torch.no_grad()
def simulate(
    spec: ModelSpec,
    settings: RolloutSettings,
    initial_states: ArrayLike,
    controls: ArrayLike,
    params: Mapping[str, ArrayLike],
    dt: ArrayLike,
) -> NDArray[np.float64]:
    """Return the states after each step with given parameters; see `DynamicsParameterNet.simulate`."""
    initial, held = _numbers("initial_states", initial_states), _numbers("controls", controls)
    lengths = _numbers("dt", dt)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise DataError("`dt` must be finite and greater than 0 (s)")
    if initial.ndim != 2:
        hint = "; one window is initial_states[None]" if initial.ndim == 1 else ""
        raise DataError(f"`initial_states` must have shape (windows, states), got {initial.shape}{hint}")
    given = {key: _numbers(f"parameter {key!r}", value) for key, value in params.items()}
    return _warned(_rolled(spec, settings, initial, held, given, lengths, "cpu"))


def _rolled(
    spec: ModelSpec,
    settings: RolloutSettings,
    initial: NDArray[np.float64],
    controls: NDArray[np.float64],
    params: Mapping[str, NDArray[np.float64]],
    dt: NDArray[np.float64],
    device: str,
) -> NDArray[np.float64]:
    origin = origins(initial, spec) if initial.shape[1:] == (len(spec.states),) else np.zeros_like(initial)
    states = rollout(
        spec,
        torch.from_numpy(initial - origin).to(device),
        torch.from_numpy(controls).to(device),
        {key: torch.from_numpy(np.array(value)).to(device) for key, value in params.items()},
        torch.from_numpy(np.array(dt)).to(device),
        settings,
    )
    found: NDArray[np.float64] = states.cpu().numpy() + origin[:, None]
    return found


def _warned(states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Warn where states [windows, steps, states] are not finite, and return them."""
    diverged = np.flatnonzero(~np.isfinite(states).all((1, 2)))
    if len(diverged):
        text = (
            f"{len(diverged)} of {len(states)} windows could not be simulated to their end (the first is window "
            f"{diverged[0]}): their states are NaN from there on; take more substeps"
        )
        warn_user(text)
    return states


def _numbers(name: str, value: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be an array of numbers: {error}") from None
