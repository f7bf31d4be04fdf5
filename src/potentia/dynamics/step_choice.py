"""How many substeps keep a roll-out stable: from the fastest eigenvalue that a model can have within its bounds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError

__all__ = ["MOST_SUBSTEPS", "auto_substeps", "fastest_rates"]

MOST_SUBSTEPS = 16
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

    Args:
        spec: The model.
        states: States as the data have them.  [rows, states]
        dt: Lengths of the data's steps (s).
        params: Parameters to choose for, by name; None for the worst within the model's bounds, so that the choice
            holds throughout a training.
    """
    if spec.stiffness_fn is None:
        return 1
    longest = float(np.max(np.asarray(dt, dtype=np.float64)))
    needed = np.ceil(float(fastest_rates(spec, states, params=params).max()) * longest - 1e-9)
    return int(np.clip(needed, 1, MOST_SUBSTEPS))


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
