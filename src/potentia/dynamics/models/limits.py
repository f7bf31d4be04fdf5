"""What the steering and the motor of a vehicle can do: the constraints of the CommonRoad vehicle models."""

from __future__ import annotations

import torch
from torch import Tensor

from potentia.dynamics.spec import Params

__all__ = ["limited_acceleration", "limited_steering", "roomy_steering", "within_room"]


def limited_steering(delta: Tensor, rate: Tensor, p: Params) -> Tensor:
    """Return the rate of steering within its limits; 0 where the steering is at its stop and would go on.  [...]"""
    stopped = ((delta <= p["s_min"]) & (rate <= 0)) | ((delta >= p["s_max"]) & (rate >= 0))
    return torch.where(stopped, torch.zeros_like(rate), torch.clamp(rate, p["sv_min"], p["sv_max"]))


def limited_acceleration(v: Tensor, accel: Tensor, p: Params) -> Tensor:
    """Return the acceleration within its limits; above ``v_switch`` the power of the motor is the limit.  [...]"""
    most = p["a_max"] * p["v_switch"] / torch.maximum(v, p["v_switch"])
    stopped = ((v <= p["v_min"]) & (accel <= 0)) | ((v >= p["v_max"]) & (accel >= 0))
    return torch.where(stopped, torch.zeros_like(accel), torch.clamp(accel, -p["a_max"], most))


def within_room(value: Tensor, rate: Tensor, low: Tensor, high: Tensor, h: Tensor) -> Tensor:
    """Return the rate by which a value does not leave its limits within the time h; one outside stays there.  [...]

    The value ends a few roundings short of the limit: at the limit itself the last stage of a Runge-Kutta step would
    find the rate switched off, and the step would end before it.
    """
    margin = 16 * torch.finfo(value.dtype).eps * (high - low)
    down = ((low + margin - value) / h).clamp(max=0)
    up = ((high - margin - value) / h).clamp(min=0)
    return torch.minimum(torch.maximum(rate, down), up)


def roomy_steering(delta: Tensor, rate: Tensor, h: Tensor, p: Params) -> Tensor:
    """Return the rate of steering that is within its limits and ends within the stops after the time h.  [...]"""
    return within_room(delta, torch.clamp(rate, p["sv_min"], p["sv_max"]), p["s_min"], p["s_max"], h)
