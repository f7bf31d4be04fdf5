"""Kinematic single track: wheels that roll without slip, seen from the centre of gravity."""

from __future__ import annotations

import torch
from torch import Tensor

from potentia.dynamics.models.limits import limited_acceleration, limited_steering
from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.models.singletrack import VEHICLE_CONTROLS, VEHICLE_STATES, singletrack_limit, vehicle_parameter
from potentia.dynamics.presets import VEHICLES, Vehicle
from potentia.dynamics.spec import ModelSpec, Parameter, Params

__all__ = ["KINEMATIC", "kinematic_rates", "kinematic_spec"]


def kinematic_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return the rates of x, y, delta, v, psi.  [..., states]"""
    delta, v, psi = (states[..., k] for k in range(2, 5))
    turn = limited_steering(delta, controls[..., 0], p)
    accel = limited_acceleration(v, p["a_v"] * controls[..., 1] + p["b_v"], p)
    base, tangent = p["lf"] + p["lr"], (delta + p["b_d"]).tan()
    slip = (tangent * p["lr"] / base).atan()
    heading = psi + slip
    return torch.stack((v * heading.cos(), v * heading.sin(), turn, accel, v * slip.cos() * tangent / base), -1)


def kinematic_limit(states: Tensor, controls: Tensor, h: Tensor, p: Params) -> Tensor:
    """Return the controls by which steering and speed stay within their limits for the time h.  [..., controls]"""
    felt = torch.stack((controls[..., 0], p["a_v"] * controls[..., 1] + p["b_v"]), -1)
    turn, accel = singletrack_limit(states, felt, h, p).unbind(-1)
    return torch.stack((turn, (accel - p["b_v"]) / p["a_v"]), -1)


def kinematic_spec(vehicle: Vehicle = VEHICLES["f1tenth"], *, name: str = "kinematic") -> ModelSpec:
    """Return the kinematic single track of a vehicle: lengths, the steering's bias, gain and bias of the acceleration.

    Args:
        vehicle: Its defaults, bounds and limits.
        name: What the model is called.
    """
    return ModelSpec(
        name=name,
        states=VEHICLE_STATES[:5],
        controls=VEHICLE_CONTROLS,
        parameters=(
            vehicle_parameter(vehicle, "lf"),
            vehicle_parameter(vehicle, "lr"),
            Parameter(name="b_d", low=-0.1, high=0.1, default=0.0, unit="rad"),
            Parameter(name="a_v", low=0.5, high=1.5, default=1.0),
            Parameter(name="b_v", low=-2.0, high=2.0, default=0.0, unit="m/s^2"),
        ),
        dynamics_fn=kinematic_rates,
        constants=vehicle.limits,
        limit_fn=kinematic_limit,
        speed="v",
    )


KINEMATIC = register_model_spec(kinematic_spec())
