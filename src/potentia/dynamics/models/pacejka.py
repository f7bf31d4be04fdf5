"""Single track with tyres of Pacejka's Magic Formula: grip ends, and cornering costs speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from potentia.checks import choice
from potentia.dynamics.models.limits import limited_acceleration, limited_steering, roomy_steering
from potentia.dynamics.models.low_speed import Blend, rolling_rates
from potentia.dynamics.models.magic_formula import magic_formula, steepest, tyre_parameters
from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.models.singletrack import (
    BLENDS,
    VEHICLE_CONTROLS,
    VEHICLE_STATES,
    fastest,
    vehicle_parameter,
)
from potentia.dynamics.presets import VEHICLES, G, Vehicle
from potentia.dynamics.spec import ModelSpec, Parameter, Params, Variable

__all__ = ["PACEJKA", "MagicTyres", "pacejka_spec", "steering_limit"]

Drive: TypeAlias = Callable[[Tensor, Tensor, Params], tuple[Tensor, Tensor, Tensor]]
"""Speed, second control, parameters → acceleration that shifts load, forces of front and rear axle (N); [...] each."""
Peaks: TypeAlias = Callable[[Tensor, Params], tuple[Tensor, Tensor]]
"""Acceleration that shifts load → largest lateral forces of front and rear axle (N); [...] both."""
Share: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Longitudinal force, largest force → share of the lateral force that is left; [...]."""


def resistance(v: Tensor, p: Params) -> Tensor:
    """Return rolling resistance and drag, against the motion; nothing at a standstill (N).  [...]"""
    return (p["Cr0"] + p["Cr2"] * v.square()) * torch.tanh(v / p["v_b"])


def accelerated(v: Tensor, accel: Tensor, p: Params) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a commanded acceleration, with gain and bias, does; driving and braking have shares of the axles."""
    wanted = p["a_v"] * limited_acceleration(v, accel, p) + p["b_v"]
    share = torch.where(wanted > 0, p["k_f"], p["k_b"])
    force = p["m"] * wanted
    slowing = resistance(v, p)
    return wanted, share * force, (1 - share) * force - slowing


def motored(v: Tensor, throttle: Tensor, p: Params) -> tuple[Tensor, Tensor, Tensor]:
    """Return what an electric motor at the rear axle does at a throttle within ±1."""
    force = (p["Cm1"] - p["Cm2"] * v) * throttle.clamp(-1, 1)
    return force / p["m"], torch.zeros_like(force), force - resistance(v, p)


def peaks_by_load(accel: Tensor, p: Params) -> tuple[Tensor, Tensor]:
    """Return D times friction times load of each axle (N)."""
    weight = p["mu"] * p["m"] / (p["lf"] + p["lr"])
    front = weight * p["D_f"] * (G * p["lr"] - accel * p["h"])
    return front, weight * p["D_r"] * (G * p["lf"] + accel * p["h"])


def peaks_in_newton(accel: Tensor, p: Params) -> tuple[Tensor, Tensor]:
    """Return D of each axle, which is a force (N)."""
    return p["D_f"], p["D_r"]


def all_left(force: Tensor, peak: Tensor) -> Tensor:
    """Return 1: driving takes nothing from cornering."""
    return torch.ones_like(force)


def ellipse(force: Tensor, peak: Tensor) -> Tensor:
    """Return what the friction ellipse leaves, at least 1 %."""
    return (1 - (force / peak).square()).clamp(min=1e-4).sqrt()


@dataclass(frozen=True)
class MagicTyres:
    """Rates and stiffness of a single track whose tyres follow the Magic Formula."""

    blend: Blend
    """How tyres take over from rolling."""
    drive: Drive
    """How the second control pushes."""
    peaks: Peaks
    """How large lateral forces can be."""
    share: Share
    """What driving leaves of them."""

    def __call__(self, states: Tensor, controls: Tensor, p: Params) -> Tensor:
        """Return the rates of x, y, delta, v, psi, psi_dot, beta.  [..., states]"""
        delta, v, psi, psi_dot, beta = (states[..., k] for k in range(2, 7))
        turn = limited_steering(delta, controls[..., 0], p)
        accel, push_f, push_r = self.drive(v, controls[..., 1], p)
        weight, fast = self.blend(v, p)
        side_f, side_r = self.sides(delta, fast, psi_dot, beta, accel, push_f, push_r, p)
        wheel = delta - beta
        speeding = (-side_f * wheel.sin() + side_r * beta.sin() + push_r * beta.cos() + push_f * wheel.cos()) / p["m"]
        spin = (p["lf"] * (side_f * delta.cos() + push_f * delta.sin()) - p["lr"] * side_r) / p["I"]
        across = side_f * wheel.cos() + side_r * beta.cos() - push_r * beta.sin() + push_f * wheel.sin()
        slide = across / (p["m"] * fast) - psi_dot
        pushed = (push_f + push_r) / p["m"]
        slip, rolled_psi, rolled_spin, rolled_slide = rolling_rates(delta, v, beta, turn, pushed, p)
        rest = 1 - weight
        return torch.stack(
            (
                weight * v * torch.cos(psi + beta) + rest * v * torch.cos(psi + slip),
                weight * v * torch.sin(psi + beta) + rest * v * torch.sin(psi + slip),
                turn,
                weight * speeding + rest * pushed,
                weight * psi_dot + rest * rolled_psi,
                weight * spin + rest * rolled_spin,
                weight * slide + rest * rolled_slide,
            ),
            -1,
        )

    def sides(
        self,
        delta: Tensor,
        v: Tensor,
        psi_dot: Tensor,
        beta: Tensor,
        accel: Tensor,
        push_f: Tensor,
        push_r: Tensor,
        p: Params,
    ) -> tuple[Tensor, Tensor]:
        """Return the lateral forces of front and rear axle (N).  [...] both"""
        along, across = v * beta.cos(), v * beta.sin()
        peak_f, peak_r = self.peaks(accel, p)
        alpha_f = delta - torch.atan2(across + p["lf"] * psi_dot, along) + p["Sh_f"]
        alpha_r = p["Sh_r"] - torch.atan2(across - p["lr"] * psi_dot, along)
        force_f = peak_f * magic_formula(alpha_f, p["B_f"], p["C_f"], p["E_f"]) + p["Sv_f"]
        force_r = peak_r * magic_formula(alpha_r, p["B_r"], p["C_r"], p["E_r"]) + p["Sv_r"]
        return force_f * self.share(push_f, peak_f), force_r * self.share(push_r, peak_r)

    def stiffness(self, states: Tensor, p: Params) -> Tensor:
        """Return a bound of the eigenvalues where the tyres are steepest and nothing pushes.  [...], 1/s"""
        weight, fast = self.blend(states[..., 3], p)
        peak_f, peak_r = self.peaks(torch.zeros_like(fast), p)
        front = peak_f * steepest(p["B_f"], p["C_f"], p["E_f"])  # [...], N/rad
        rear = peak_r * steepest(p["B_r"], p["C_r"], p["E_r"])
        moments = p["lr"] * rear - p["lf"] * front
        return fastest(
            -weight * (p["lf"].square() * front + p["lr"].square() * rear) / (p["I"] * fast),
            weight * moments / p["I"],
            weight * (moments / (p["m"] * fast.square()) - 1),
            -weight * (front + rear) / (p["m"] * fast),
        )


def steering_limit(states: Tensor, controls: Tensor, h: Tensor, p: Params) -> Tensor:
    """Return the controls by which the steering angle stays within its stops for the time h.  [..., controls]"""
    return torch.stack((roomy_steering(states[..., 2], controls[..., 0], h[..., 0], p), controls[..., 1]), -1)


def pacejka_spec(
    vehicle: Vehicle = VEHICLES["f1tenth"],
    *,
    drive: Literal["accel", "motor"] = "accel",
    tyre_force: Literal["load", "newton"] = "load",
    friction_ellipse: bool = False,
    blend: Literal["smooth", "hard"] = "smooth",
    blend_speed: float | None = None,
    name: str = "singletrack-pacejka",
) -> ModelSpec:
    """Return the single track of a vehicle with tyres of the Magic Formula.

    All forces and ``m`` and ``I`` have one common factor, and ``mu`` is a factor of both D: ``m``, and by load also
    ``D_f``, are the gauge.

    Args:
        vehicle: Its defaults, bounds and limits.
        drive: The second control is an acceleration (``"accel"``, with gain and bias, shared by the axles as the
            vehicle says), or the throttle of a motor at the rear axle (``"motor"``).
        tyre_force: D is a share of friction times load (``"load"``), or a force (``"newton"``: no friction, no height).
        friction_ellipse: Whether driving and braking take from cornering.
        blend: As in `singletrack_spec`.
        blend_speed: Where tyres take over from rolling (m/s); None for the vehicle's.
        name: What the model is called.
    """
    choice("drive", drive, ("accel", "motor"))
    choice("tyre_force", tyre_force, ("load", "newton"))
    choice("blend", blend, tuple(BLENDS))
    by_load = tyre_force == "load"
    rates = MagicTyres(
        blend=BLENDS[blend],
        drive=accelerated if drive == "accel" else motored,
        peaks=peaks_by_load if by_load else peaks_in_newton,
        share=ellipse if friction_ellipse else all_left,
    )
    body = ("mu", "lf", "lr", "h", "m", "I") if by_load else ("lf", "lr", "m", "I")
    v_s = vehicle.v_s if blend_speed is None else blend_speed
    shares = {"k_f": vehicle.drive_front, "k_b": vehicle.brake_front} if drive == "accel" else {}
    push = VEHICLE_CONTROLS[1] if drive == "accel" else Variable(name="throttle")
    return ModelSpec(
        name=name,
        states=VEHICLE_STATES,
        controls=(VEHICLE_CONTROLS[0], push),
        parameters=(
            *(vehicle_parameter(vehicle, key) for key in body),
            *tyre_parameters(vehicle, "_f", by_load=by_load),
            *tyre_parameters(vehicle, "_r", by_load=by_load),
            *_drive_parameters(vehicle, drive),
        ),
        dynamics_fn=rates,
        constants={**vehicle.limits, **shares, "v_s": v_s, "v_b": vehicle.v_b},
        limit_fn=steering_limit,
        stiffness_fn=rates.stiffness,
        gauge=("D_f", "m") if by_load else ("m",),
        speed="v",
        min_speed=v_s,
    )


def _drive_parameters(vehicle: Vehicle, drive: str) -> tuple[Parameter, ...]:
    weight, motor = vehicle.m * G, vehicle.driving
    slowing = (
        Parameter(name="Cr0", low=-0.02 * weight, high=0.3 * weight, default=0.0, unit="N"),
        Parameter(name="Cr2", low=-0.002 * vehicle.m, high=0.05 * vehicle.m, default=0.0, unit="N s^2/m^2"),
    )
    if drive == "accel":
        gain = Parameter(name="a_v", low=0.5, high=1.5, default=1.0)
        return (gain, Parameter(name="b_v", low=-2.0, high=2.0, default=0.0, unit="m/s^2"), *slowing)
    force = Parameter(name="Cm1", low=0.2 * motor.Cm1, high=3 * motor.Cm1, default=motor.Cm1, unit="N")
    return (force, Parameter(name="Cm2", low=0.0, high=3 * motor.Cm2, default=motor.Cm2, unit="N s/m"), *slowing)


PACEJKA = register_model_spec(pacejka_spec())
