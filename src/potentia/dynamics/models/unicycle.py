"""The unicycle: heading and speed change at the commanded rates."""

from __future__ import annotations

import torch
from torch import Tensor

from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.spec import ModelSpec, Parameter, Params, Variable

__all__ = ["UNICYCLE", "unicycle_rates"]


def unicycle_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return the rates of x, y, psi, v; commands go through gains and are cut at their limits.  [..., states]"""
    psi, v = states[..., 2], states[..., 3]
    turn = (p["k_turn"] * controls[..., 0] + p["b_turn"]).clamp(-p["heading_rate_max"], p["heading_rate_max"])
    push = (p["k_accel"] * controls[..., 1] + p["b_accel"] - p["drag"] * v).clamp(p["accel_min"], p["accel_max"])
    return torch.stack((v * psi.cos(), v * psi.sin(), turn, push), -1)


UNICYCLE = register_model_spec(
    ModelSpec(
        name="unicycle",
        states=(
            Variable(name="x", unit="m", pose=True),
            Variable(name="y", unit="m", pose=True),
            Variable(name="psi", unit="rad", angle=True, pose=True),
            Variable(name="v", unit="m/s"),
        ),
        controls=(Variable(name="psi_dot", unit="rad/s"), Variable(name="accel", unit="m/s^2")),
        parameters=(
            Parameter(name="k_turn", low=0.5, high=1.5, default=1.0),
            Parameter(name="b_turn", low=-0.5, high=0.5, default=0.0, unit="rad/s"),
            Parameter(name="k_accel", low=0.5, high=1.5, default=1.0),
            Parameter(name="b_accel", low=-1.0, high=1.0, default=0.0, unit="m/s^2"),
            Parameter(name="drag", low=-0.05, high=0.5, default=0.0, unit="1/s"),
        ),
        dynamics_fn=unicycle_rates,
        constants={"heading_rate_max": 10.0, "accel_min": -20.0, "accel_max": 20.0},
        speed="v",
    )
)
