"""How many substeps keep a roll-out stable: from the fastest eigenvalue that a model has at the states of the data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError

__all__ = ["MOST_SUBSTEPS", "STABLE", "auto_substeps", "fastest_in_windows", "fastest_rates"]

MOST_SUBSTEPS = 16
ROOM = 2.0
"""So much faster than with the defaults, parameters that are still to be found may make a model."""
STABLE = 2.5
"""Eigenvalue times step up to which a classical Runge-Kutta step is stable, with something in hand: 2.8 is the end."""
AT_A_TIME = 200_000  # states
ROWS = 256
ACTIVE = 10  # parameters whose bounds are combined: 1024 corners


def auto_substeps(
    spec: ModelSpec,
    states: NDArray[np.float64],
    dt: ArrayLike,
    *,
    params: Mapping[str, ArrayLike] | None = None,
) -> int:
    """Return the fewest substeps n, at most 16, by which no eigenvalue times dt/n is larger than 1.

    A classical Runge-Kutta step is stable up to 2.8 and accurate to some per mille at 1. A model that does not say how
    stiff it is gets 1, and no promise.

    Without ``params``, eigenvalues are twice those of the defaults, or the largest within the bounds where that is
    less: roll-outs stay stable up to parameters that make the model 5.6 times as fast as its defaults. To choose for
    the corners of the bounds alone would cost many times the steps for parameters that are hardly ever met: there,
    single tracks are ten times as fast. A training looks at what it has found in the end, and warns.

    Args:
        spec: The model.
        states: States as the data have them.  [rows, states]
        dt: Lengths of the data's steps (s).
        params: Parameters to choose for, by name; None where they are still to be found.
    """
    if spec.stiffness_fn is None:
        return 1
    longest = float(np.max(np.asarray(dt, dtype=np.float64)))
    fastest = float(fastest_rates(spec, states, params=spec.default_params if params is None else params).max())
    if params is None:
        fastest = min(ROOM * fastest, float(fastest_rates(spec, states).max()))
    return int(np.clip(np.ceil(fastest * longest - 1e-9), 1, MOST_SUBSTEPS))


def fastest_in_windows(
    spec: ModelSpec, dataset: FeatureDataset, params: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the largest magnitude of an eigenvalue at the initial state and targets of each window.  [windows], 1/s

    Args:
        spec: The model; it must say how stiff it is.
        dataset: Windows with their targets.
        params: Parameters of each window by name.  [windows, *shape] each
    """
    found = np.empty(len(dataset))
    size = max(AT_A_TIME // (dataset.n_steps + 1), 1)
    for begin in range(0, len(dataset), size):
        chosen = slice(begin, begin + size)
        part = dataset.take(chosen)
        targets = np.where(part.counted[..., None], part.targets, part.initial_states[:, None])
        states = np.concatenate((part.initial_states[:, None], targets), 1)  # [windows, steps + 1, states]
        rows = {key: np.repeat(value[chosen], states.shape[1], 0) for key, value in params.items()}
        rates = fastest_rates(spec, states.reshape(-1, states.shape[2]), params=rows)
        found[chosen] = rates.reshape(len(part), -1).max(1)
    return found


def fastest_rates(
    spec: ModelSpec, states: NDArray[np.float64], *, params: Mapping[str, ArrayLike] | None = None
) -> NDArray[np.float64]:
    """Return the largest magnitude of an eigenvalue at each state.  [rows], 1/s

    Without ``params`` it is the largest of those of the defaults and of the corners of the bounds; where there are more
    than 10 numbers to vary, those that matter least to it one by one stay where it is larger.

    Raises:
        DataError: ``states`` are not states of the model.
        ConfigError: the model has no stiffness.
    """
    table = torch.as_tensor(np.asarray(states, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] != len(spec.states):
        raise DataError(f"`states` must have shape [rows, {len(spec.states)}], got {tuple(table.shape)}")
    if spec.stiffness_fn is None:
        raise ConfigError(f"model {spec.name!r} does not say how stiff it is: give it a stiffness_fn")
    with torch.no_grad():
        if params is not None:
            given = {key: torch.as_tensor(np.asarray(value, dtype=np.float64)) for key, value in params.items()}
            return np.asarray(_magnitudes(spec, table, given))
        corners = _corners(spec, table)
        fastest = torch.stack([_magnitudes(spec, table, corner) for corner in corners]).amax(0)
    return np.asarray(fastest)


def _magnitudes(spec: ModelSpec, states: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    assert spec.stiffness_fn is not None
    found = spec.stiffness_fn(states, spec.with_constants(states, params))
    return found.expand(len(states))


def _corners(spec: ModelSpec, states: Tensor) -> list[dict[str, Tensor]]:
    """Return the defaults, and the corners of the bounds of what matters most."""
    defaults = {one.name: torch.as_tensor(one.values) for one in spec.parameters}
    sample = states[:: max(1, len(states) // ROWS)]
    base = float(_magnitudes(spec, sample, defaults).max())
    better, effects = dict(defaults), {}
    for one in spec.parameters:
        sides = [torch.as_tensor(side) for side in one.bounds]
        found = [float(_magnitudes(spec, sample, {**defaults, one.name: side}).max()) for side in sides]
        effects[one.name] = max(abs(value - base) for value in found)
        if max(found) > base:
            better[one.name] = sides[int(np.argmax(found))]
    varied = [key for key in sorted(effects, key=effects.__getitem__, reverse=True) if effects[key] > 0][:ACTIVE]
    bounds = {key: [torch.as_tensor(side) for side in spec.parameter(key).bounds] for key in varied}
    combined = itertools.product(*bounds.values())
    return [defaults, *({**better, **dict(zip(varied, sides, strict=True))} for sides in combined)]
