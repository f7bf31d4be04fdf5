"""States at any times from initial states, in physical units: what is asked for is checked, and done in batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from potentia import progress
from potentia.checks import integer
from potentia.errors import DataError, warn_user
from potentia.trajectories.task import POINTS
from potentia.trajectories.training import Fitted

__all__ = ["predict"]


@torch.no_grad()
def predict(
    fitted: Fitted,
    initial_states: ArrayLike,
    times: ArrayLike,
    parameters: ArrayLike | None = None,
    batch_size: int | None = None,
) -> NDArray[np.float64]:
    """Return the states at ``times``; see `TrajectorySurrogate.predict`."""
    network, scaling = fitted.network, fitted.scaling
    like = next(network.parameters())
    asked = _initial(fitted, initial_states)
    when = _times(fitted, times, len(asked))
    given = _parameters(fitted, parameters, len(asked))
    initial = scaling.states(torch.from_numpy(asked)).to(like)
    scaled = None if given is None else scaling.parameters(torch.from_numpy(given)).to(like)
    u = scaling.times(torch.from_numpy(when)).to(like)
    size = max(POINTS // max(when.shape[-1], 1), 1) if batch_size is None else integer("batch_size", batch_size, low=1)
    states = np.empty((len(asked), when.shape[-1], asked.shape[1]))
    begins = range(0, len(asked) if when.shape[-1] else 0, size)
    for begin in progress.track(begins, "batches of trajectories"):
        part = slice(begin, begin + size)
        found = network(initial[part], u[part] if u.ndim == 2 else u, None if scaled is None else scaled[part])
        states[part] = scaling.physical(found.double()).cpu().numpy()
    if not np.isfinite(states).all():
        network.require_solved(initial, u, scaled)
    return states


def _initial(fitted: Fitted, initial_states: ArrayLike) -> NDArray[np.float64]:
    labels = fitted.scaling.labels
    states = _numbers("initial_states", initial_states)
    if states.ndim != 2 or states.shape[1] != len(labels):
        hint = "; one trajectory is initial_states[None]" if states.shape == (len(labels),) else ""
        raise DataError(
            f"initial_states must have shape (trajectories, quantities) = (…, {len(labels)}) with the quantities "
            f"{', '.join(labels)}, got {states.shape}{hint}"
        )
    _require_finite("initial_states", states, labels)
    return states


def _times(fitted: Fitted, times: ArrayLike, n: int) -> NDArray[np.float64]:
    found = _numbers("times", times)
    if found.ndim not in {1, 2} or (found.ndim == 2 and len(found) != n):
        raise DataError(f"times must have shape (times,) or (trajectories, times) = ({n}, …), got {found.shape}")
    if not np.isfinite(found).all():
        raise DataError(f"times must be finite, got {found[~np.isfinite(found)][0]}")
    first, last = fitted.scaling.time_map.first, fitted.scaling.time_map.last
    outside = int(((found < first) | (found > last)).sum())
    if outside:
        text = (
            f"{outside} of {found.size} times are outside the horizon of the training data, {first:g} to {last:g}: "
            "there the surrogate extrapolates"
        )
        warn_user(text)
    return found


def _parameters(fitted: Fitted, parameters: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    labels = fitted.scaling.parameter_labels
    if parameters is None:
        if labels:
            raise DataError(f"this surrogate was trained with the parameters {', '.join(labels)}: give them")
        return None
    if not labels:
        raise DataError("this surrogate was trained without parameters: leave them out")
    found = _numbers("parameters", parameters)
    if found.shape != (n, len(labels)):
        raise DataError(
            f"parameters must have shape (trajectories, parameters) = ({n}, {len(labels)}) with the parameters "
            f"{', '.join(labels)}, got {found.shape}"
        )
    _require_finite("parameters", found, labels)
    return found


def _require_finite(name: str, values: NDArray[np.float64], labels: Sequence[str]) -> None:
    """Refuse values [trajectories, labels] that are not all finite, and name the first that is not."""
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        n, k = bad[0]
        raise DataError(f"{name} of trajectory {n}, {labels[k]}, is {values[n, k]}: leave it out or repair it")


def _numbers(name: str, value: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be an array of numbers: {error}") from None
