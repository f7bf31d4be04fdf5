"""Low speed: a vehicle that rolls goes where its wheels point, and tyres take over as it gets faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from potentia.dynamics.spec import Params

__all__ = ["Blend", "hard_blend", "rolling_rates", "smooth_blend"]

Blend: TypeAlias = Callable[[Tensor, Params], tuple[Tensor, Tensor]]
"""Speed and parameters → weight of the tyres' equations, and the speed to evaluate them at; [...] both."""


def smooth_blend(v: Tensor, p: Params) -> tuple[Tensor, Tensor]:
    """Return the weight (1 + tanh((v − v_s)/v_b))/2, and the speed, at least v_s/2.  [...] both

    Going backward is rolling: the equations of tyres hold forward only.
    """
    weight = 0.5 * (1 + torch.tanh((v - p["v_s"]) / p["v_b"]))
    return weight, torch.maximum(v, 0.5 * p["v_s"])


def hard_blend(v: Tensor, p: Params) -> tuple[Tensor, Tensor]:
    """Return 0 where the speed, either way, is below v_s and 1 elsewhere, as CommonRoad does.  [...] both"""
    slow = v.abs() < p["v_s"]
    return torch.where(slow, torch.zeros_like(v), torch.ones_like(v)), torch.where(slow, p["v_s"], v)


def rolling_rates(
    delta: Tensor, v: Tensor, beta: Tensor, turn: Tensor, accel: Tensor, p: Params
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return slip angle, and rates of psi, psi_dot and beta, of rolling wheels.  [...] each"""
    base = p["lf"] + p["lr"]
    tangent, squared = delta.tan(), delta.cos().square()
    slope = tangent * p["lr"] / base
    slip = slope.atan()
    d_psi = v * slip.cos() * tangent / base
    d_beta = p["lr"] / base * turn / (squared * (1 + slope.square()))
    d_psi_dot = (
        accel * beta.cos() * tangent - v * beta.sin() * d_beta * tangent + v * beta.cos() * turn / squared
    ) / base
    return slip, d_psi, d_psi_dot, d_beta
