"""States, controls and parameters of every model, drawn from streams of their own, and turns of the plane."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from potentia.dynamics import ModelSpec
from potentia.seeding import stream

SPREAD = {
    "x": (-5, 5),
    "y": (-5, 5),
    "delta": (-0.3, 0.3),
    "v": (2, 7),
    "psi": (-3, 3),
    "psi_dot": (-1, 1),
    "beta": (-0.1, 0.1),
    "vx": (0.8, 2.5),
    "vy": (-0.1, 0.1),
    "r": (-2, 2),
    "upper": (2, 8),
    "lower": (2, 8),
}
SPREAD_CONTROLS = {
    "delta_dot": (-1, 1),
    "accel": (-2, 2),
    "throttle": (-0.5, 0.9),
    "psi_dot": (-2, 2),
    "pump": (1, 5),
    "delta": (-0.2, 0.2),
}


def tensors(values) -> dict[str, Tensor]:
    return {key: torch.as_tensor(np.asarray(value, dtype=np.float64)) for key, value in values.items()}


def defaults(spec: ModelSpec) -> dict[str, Tensor]:
    return tensors(spec.default_params)


def states_of(spec: ModelSpec, rows: int, **given: float) -> Tensor:
    random = stream(0, "states", spec.name)
    columns = [random.uniform(*SPREAD[name], rows) for name in spec.state_names]
    for name, value in given.items():
        columns[spec.state_names.index(name)][:] = value
    return torch.tensor(np.stack(columns, 1))


def controls_of(spec: ModelSpec, rows: int, steps: int = 1) -> Tensor:
    random = stream(0, "controls", spec.name)
    return torch.tensor(
        np.stack([random.uniform(*SPREAD_CONTROLS[name], (rows, steps)) for name in spec.control_names], -1)
    )


def params_of(spec: ModelSpec, rows: int, share: float = 0.3) -> dict[str, Tensor]:
    """Return parameters of each row between the defaults and random places within the bounds."""
    random = stream(0, "params", spec.name)
    drawn = {}
    for one in spec.parameters:
        low, high = one.bounds
        place = low + (high - low) * random.uniform(size=(rows, *one.shape))
        drawn[one.name] = one.values + share * (place - one.values)
    return tensors(drawn)


def moved(spec: ModelSpec, states: Tensor, angle: float, shift: tuple[float, float]) -> Tensor:
    """Return states whose plane is turned and shifted.  [..., states]"""
    at = {name: states[..., k] for k, name in enumerate(spec.state_names)}
    cos, sin = np.cos(angle), np.sin(angle)
    at["x"], at["y"] = cos * at["x"] - sin * at["y"] + shift[0], sin * at["x"] + cos * at["y"] + shift[1]
    at["psi"] = at["psi"] + angle
    return torch.stack(list(at.values()), -1)


ODD = {"y", "delta", "psi", "psi_dot", "beta", "vy", "r", "delta_dot"}


def mirrored(names: tuple[str, ...], values: Tensor) -> Tensor:
    """Return states or controls seen in a mirror along x.  [..., names]"""
    return values * torch.tensor([-1.0 if name in ODD else 1.0 for name in names], dtype=values.dtype)
