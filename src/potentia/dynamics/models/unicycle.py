"""The unicycle: heading and speed change at the commanded rates, within limits."""

from __future__ import annotations

import torch
from torch import Tensor

from potentia.dynamics.models.limits import within_room
from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.spec import ModelSpec, Parameter, Params, Variable

__all__ = ["UNICYCLE", "unicycle_rates"]


def unicycle_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return the rates of x, y, psi, v; commands go through gains and are cut at their limits.  [..., states]"""
    psi, v = states[..., 2], states[..., 3]
    turn = torch.clamp(p["k_turn"] * controls[..., 0] + p["b_turn"], p["heading_rate_min"], p["heading_rate_max"])
    push = torch.clamp(_pushed(v, controls, p), p["accel_min"], p["accel_max"])
    stopped = ((v <= p["v_min"]) & (push <= 0)) | ((v >= p["v_max"]) & (push >= 0))
    return torch.stack((v * psi.cos(), v * psi.sin(), turn, torch.where(stopped, torch.zeros_like(push), push)), -1)


def unicycle_limit(states: Tensor, controls: Tensor, h: Tensor, p: Params) -> Tensor:
    """Return the controls by which the speed stays within its limits for the time h, drag aside.  [..., controls]"""
    v = states[..., 3]
    push = torch.clamp(_pushed(v, controls, p), p["accel_min"], p["accel_max"])
    room = within_room(v, push, p["v_min"], p["v_max"], h[..., 0])
    accel = torch.where(room == push, controls[..., 1], (room - p["b_accel"] + p["drag"] * v) / p["k_accel"])
    return torch.stack((controls[..., 0], accel), -1)


def _pushed(v: Tensor, controls: Tensor, p: Params) -> Tensor:
    return p["k_accel"] * controls[..., 1] + p["b_accel"] - p["drag"] * v


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
            Parameter(name="accel_min", low=-30.0, high=-0.5, default=-20.0, unit="m/s^2"),
            Parameter(name="accel_max", low=0.5, high=30.0, default=20.0, unit="m/s^2"),
            Parameter(name="heading_rate_min", low=-12.0, high=-0.1, default=-10.0, unit="rad/s"),
            Parameter(name="heading_rate_max", low=0.1, high=12.0, default=10.0, unit="rad/s"),
            Parameter(name="v_min", low=-60.0, high=-0.5, default=-50.0, unit="m/s"),
            Parameter(name="v_max", low=0.5, high=120.0, default=100.0, unit="m/s"),
        ),
        dynamics_fn=unicycle_rates,
        limit_fn=unicycle_limit,
        # Data that never come to a limit say nothing about it: limits are learned only where asked.
        gauge=("accel_min", "accel_max", "heading_rate_min", "heading_rate_max", "v_min", "v_max"),
        speed="v",
    )
)
