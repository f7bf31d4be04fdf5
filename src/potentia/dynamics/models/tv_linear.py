"""Linear dynamics whose matrix a network predicts: rates A [x; u] + B, another A and B for each window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.models.singletrack import VEHICLE_CONTROLS, VEHICLE_STATES
from potentia.dynamics.presets import VEHICLES
from potentia.dynamics.spec import Floats, ModelSpec, Parameter, Params

__all__ = ["TV_LINEAR", "linear_rates"]

CRUISE = 3.0  # m/s


def linear_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return A [x; u] + B.  [..., states]"""
    joined = torch.cat((states, controls), -1)
    return (p["A"] * joined[..., None, :]).sum(-1) + p["B"]


def _cruising() -> Floats:
    """Return A of a vehicle that rolls straight along x at 3 m/s: x, y, delta, v, psi by these and the controls."""
    vehicle = VEHICLES["f1tenth"]
    base = vehicle.lf + vehicle.lr
    matrix = np.zeros((5, 7))
    matrix[0, 3] = matrix[2, 5] = matrix[3, 6] = 1.0
    matrix[1, 4], matrix[1, 2], matrix[4, 2] = CRUISE, CRUISE * vehicle.lr / base, CRUISE / base
    return matrix


TV_LINEAR = register_model_spec(
    ModelSpec(
        name="tv-linear",
        # Here the rates may depend on where the system is, so a network sees it.
        states=tuple(replace(one, pose=False) for one in VEHICLE_STATES[:5]),
        controls=VEHICLE_CONTROLS,
        parameters=(
            Parameter(name="A", low=-30.0, high=30.0, default=_cruising(), shape=(5, 7)),
            Parameter(name="B", low=-30.0, high=30.0, default=0.0, shape=(5,)),
        ),
        dynamics_fn=linear_rates,
        speed="v",
    )
)
