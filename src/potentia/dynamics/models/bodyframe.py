"""Single track in the frame of the body, tyres in newton, a motor: the equations of BayesRace and Deep Dynamics."""

from __future__ import annotations

import torch
from torch import Tensor

from potentia.dynamics.models.magic_formula import magic_formula, steepest, tyre_parameters
from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.models.singletrack import fastest
from potentia.dynamics.presets import VEHICLES, Vehicle
from potentia.dynamics.spec import ModelSpec, Parameter, Params, Variable

__all__ = ["BODYFRAME", "bodyframe_rates", "bodyframe_spec"]


def bodyframe_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return the rates of x, y, psi, vx, vy, r by throttle and steering angle.  [..., states]"""
    psi, vx, vy, r = (states[..., k] for k in range(2, 6))
    throttle, delta = controls[..., 0], controls[..., 1]
    along = torch.maximum(vx.abs(), p["v_floor"])
    alpha_f = delta - torch.atan2(p["lf"] * r + vy, along) + p["Shf"]
    alpha_r = torch.atan2(p["lr"] * r - vy, along) + p["Shr"]
    side_f = p["Svf"] + p["Df"] * magic_formula(alpha_f, p["Bf"], p["Cf"], p["Ef"])
    side_r = p["Svr"] + p["Dr"] * magic_formula(alpha_r, p["Br"], p["Cr"], p["Er"])
    push = (p["Cm1"] - p["Cm2"] * vx) * throttle - p["Cr0"] - p["Cr2"] * vx.square()
    return torch.stack(
        (
            vx * psi.cos() - vy * psi.sin(),
            vx * psi.sin() + vy * psi.cos(),
            r,
            (push - side_f * delta.sin()) / p["m"] + vy * r,
            (side_r + side_f * delta.cos()) / p["m"] - vx * r,
            (p["lf"] * side_f * delta.cos() - p["lr"] * side_r) / p["Iz"],
        ),
        -1,
    )


def bodyframe_stiffness(states: Tensor, p: Params) -> Tensor:
    """Return a bound of the eigenvalues of vy and r where the tyres are steepest.  [...], 1/s"""
    along = torch.maximum(states[..., 3].abs(), p["v_floor"])
    front = p["Df"] * steepest(p["Bf"], p["Cf"], p["Ef"])  # [...], N/rad
    rear = p["Dr"] * steepest(p["Br"], p["Cr"], p["Er"])
    moments = (p["lr"] * rear - p["lf"] * front) / along
    return fastest(
        -(front + rear) / (p["m"] * along),
        moments / p["m"] - states[..., 3],
        moments / p["Iz"],
        -(p["lf"].square() * front + p["lr"].square() * rear) / (p["Iz"] * along),
    )


def bodyframe_spec(vehicle: Vehicle = VEHICLES["orca"], *, name: str = "bodyframe-pacejka") -> ModelSpec:
    """Return the model of a vehicle: 17 parameters; mass and lengths are known, so all of them can be told.

    Controls are the throttle (−1 is the full brake) and the steering angle itself. Slip angles are taken at a tenth of
    the vehicle's blending speed at least; the rest holds at every speed. Made public data sets of this model were
    stepped by Euler's method.

    Args:
        vehicle: Its defaults and bounds.
        name: What the model is called.
    """
    motor, inertia = vehicle.driving, vehicle.bounds.get("I", (0.2 * vehicle.I, 5 * vehicle.I))
    return ModelSpec(
        name=name,
        states=(
            Variable(name="x", unit="m", pose=True),
            Variable(name="y", unit="m", pose=True),
            Variable(name="psi", unit="rad", angle=True, pose=True),
            Variable(name="vx", unit="m/s"),
            Variable(name="vy", unit="m/s"),
            Variable(name="r", unit="rad/s"),
        ),
        controls=(Variable(name="throttle"), Variable(name="delta", unit="rad")),
        parameters=(
            *tyre_parameters(vehicle, "f", by_load=False),
            *tyre_parameters(vehicle, "r", by_load=False),
            Parameter(name="Cm1", low=0.2 * motor.Cm1, high=3 * motor.Cm1, default=motor.Cm1, unit="N"),
            Parameter(name="Cm2", low=0.0, high=3 * motor.Cm2, default=motor.Cm2, unit="N s/m"),
            Parameter(name="Cr0", low=0.0, high=5 * motor.Cr0, default=motor.Cr0, unit="N"),
            Parameter(name="Cr2", low=0.0, high=5 * motor.Cr2, default=motor.Cr2, unit="N s^2/m^2"),
            Parameter(name="Iz", low=inertia[0], high=inertia[1], default=vehicle.I, unit="kg m^2", scale="log"),
        ),
        dynamics_fn=bodyframe_rates,
        constants={"m": vehicle.m, "lf": vehicle.lf, "lr": vehicle.lr, "v_floor": 0.1 * vehicle.v_s},
        stiffness_fn=bodyframe_stiffness,
        speed="vx",
        min_speed=vehicle.v_s,
    )


BODYFRAME = register_model_spec(bodyframe_spec())
