"""Single track with linear tyres (the ST model of CommonRoad): two axles, load transfer, rolling at low speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from potentia.checks import choice
from potentia.dynamics.models.limits import limited_acceleration, limited_steering, roomy_steering, within_room
from potentia.dynamics.models.low_speed import Blend, hard_blend, rolling_rates, smooth_blend
from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.presets import VEHICLES, G, Vehicle
from potentia.dynamics.spec import ModelSpec, Parameter, Params, Variable

__all__ = [
    "SINGLETRACK",
    "VEHICLE_CONTROLS",
    "VEHICLE_STATES",
    "LinearTyres",
    "singletrack_limit",
    "singletrack_spec",
    "vehicle_parameter",
]

VEHICLE_STATES = (
    Variable(name="x", unit="m", pose=True),
    Variable(name="y", unit="m", pose=True),
    Variable(name="delta", unit="rad"),
    Variable(name="v", unit="m/s"),
    Variable(name="psi", unit="rad", angle=True, pose=True),
    Variable(name="psi_dot", unit="rad/s"),
    Variable(name="beta", unit="rad"),
)
VEHICLE_CONTROLS = (Variable(name="delta_dot", unit="rad/s"), Variable(name="accel", unit="m/s^2"))
UNITS = {"lf": "m", "lr": "m", "h": "m", "m": "kg", "I": "kg m^2", "C_Sf": "1/rad", "C_Sr": "1/rad", "mu": ""}
BLENDS: dict[str, Blend] = {"smooth": smooth_blend, "hard": hard_blend}


@dataclass(frozen=True)
class LinearTyres:
    """Rates and stiffness of a single track whose tyres push in proportion to their slip angles."""

    blend: Blend
    """How tyres take over from rolling."""

    def __call__(self, states: Tensor, controls: Tensor, p: Params) -> Tensor:
        """Return the rates of x, y, delta, v, psi, psi_dot, beta.  [..., states]"""
        delta, v, psi, psi_dot, beta = (states[..., k] for k in range(2, 7))
        turn = limited_steering(delta, controls[..., 0], p)
        accel = limited_acceleration(v, controls[..., 1], p)
        weight, fast = self.blend(v, p)
        front, rear = axle_stiffness(accel, p)
        moments = p["lr"] * rear - p["lf"] * front
        damping = (p["lf"].square() * front + p["lr"].square() * rear) / fast
        base = p["lf"] + p["lr"]
        spin = p["mu"] * p["m"] / (p["I"] * base) * (p["lf"] * front * delta + moments * beta - damping * psi_dot)
        slide = p["mu"] / (fast * base) * (front * delta - (front + rear) * beta + moments * psi_dot / fast) - psi_dot
        slip, rolled_psi, rolled_spin, rolled_slide = rolling_rates(delta, v, beta, turn, accel, p)
        rest = 1 - weight
        return torch.stack(
            (
                weight * v * torch.cos(psi + beta) + rest * v * torch.cos(psi + slip),
                weight * v * torch.sin(psi + beta) + rest * v * torch.sin(psi + slip),
                turn,
                accel,
                weight * psi_dot + rest * rolled_psi,
                weight * spin + rest * rolled_spin,
                weight * slide + rest * rolled_slide,
            ),
            -1,
        )

    def stiffness(self, states: Tensor, p: Params) -> Tensor:
        """Return a bound for psi_dot and beta, on which only the pose depends besides.  [...], 1/s"""
        weight, fast = self.blend(states[..., 3], p)
        front, rear = axle_stiffness(torch.zeros_like(fast), p)
        moments, base = p["lr"] * rear - p["lf"] * front, p["lf"] + p["lr"]
        turning, sliding = p["mu"] * p["m"] / (p["I"] * base), p["mu"] / (fast * base)
        damping = (p["lf"].square() * front + p["lr"].square() * rear) / fast
        return fastest(
            -weight * turning * damping,
            weight * turning * moments,
            weight * (sliding * moments / fast - 1),
            -weight * sliding * (front + rear),
        )


def axle_stiffness(accel: Tensor, p: Params) -> tuple[Tensor, Tensor]:
    """Return stiffness of front and rear axle by friction and mass, times the wheelbase: load times C_S.  [...] both"""
    front = p["C_Sf"] * (G * p["lr"] - accel * p["h"])
    rear = p["C_Sr"] * (G * p["lf"] + accel * p["h"])
    return front, rear


def fastest(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Return a bound of the magnitudes of the eigenvalues of [[a, b], [c, d]].  [...]

    It is the spectral radius, and at least the magnitudes of a and d: then it is also a bound when the rows are scaled,
    times the larger factor.
    """
    middle, determinant = (a + d) / 2, a * d - b * c
    root = middle.square() - determinant
    real = middle.abs() + root.clamp(min=0).sqrt()
    found = torch.where(root < 0, determinant.clamp(min=0).sqrt(), real)
    return torch.maximum(found, torch.maximum(a.abs(), d.abs()))


def singletrack_limit(states: Tensor, controls: Tensor, h: Tensor, p: Params) -> Tensor:
    """Return the controls by which steering and speed stay within their limits for the time h.  [..., controls]"""
    turn = roomy_steering(states[..., 2], controls[..., 0], h[..., 0], p)
    v = states[..., 3]
    accel = within_room(v, torch.clamp(controls[..., 1], -p["a_max"], p["a_max"]), p["v_min"], p["v_max"], h[..., 0])
    return torch.stack((turn, accel), -1)


def vehicle_parameter(vehicle: Vehicle, key: str) -> Parameter:
    """Return a parameter of the vehicle with the bounds that are known of it; an inertia moves on its logarithm."""
    low, high = vehicle.range(key)
    value, unit = vehicle.values[key], UNITS[key]
    return Parameter(name=key, low=low, high=high, default=value, unit=unit, scale="log" if key == "I" else "linear")


def singletrack_spec(
    vehicle: Vehicle = VEHICLES["f1tenth"],
    *,
    blend: Literal["smooth", "hard"] = "smooth",
    blend_speed: float | None = None,
    name: str = "singletrack",
) -> ModelSpec:
    """Return the single track of a vehicle.

    Data tell ``mu C_Sf``, ``mu C_Sr`` and ``m/I``, not their factors: ``C_Sf`` and ``m`` are the gauge.

    Args:
        vehicle: Its defaults, bounds and limits.
        blend: How tyres take over from rolling: ``"smooth"``; or ``"hard"``, which the CommonRoad vehicle models do
            at 0.1 m/s, and which has no derivative there.
        blend_speed: Where they take over (m/s); None for the vehicle's.
        name: What the model is called.
    """
    choice("blend", blend, tuple(BLENDS))
    rates = LinearTyres(BLENDS[blend])
    v_s = vehicle.v_s if blend_speed is None else blend_speed
    return ModelSpec(
        name=name,
        states=VEHICLE_STATES,
        controls=VEHICLE_CONTROLS,
        parameters=tuple(vehicle_parameter(vehicle, key) for key in ("mu", "C_Sf", "C_Sr", "lf", "lr", "h", "m", "I")),
        dynamics_fn=rates,
        constants={**vehicle.limits, "v_s": v_s, "v_b": vehicle.v_b},
        limit_fn=singletrack_limit,
        stiffness_fn=rates.stiffness,
        gauge=("C_Sf", "m"),
        speed="v",
        min_speed=v_s,
    )


SINGLETRACK = register_model_spec(singletrack_spec())
