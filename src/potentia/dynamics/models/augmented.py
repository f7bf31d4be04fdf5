"""A vehicle whose instruments and tyres are a little off: gains and biases around any single track."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from potentia.checks import choice
from potentia.dynamics.models.limits import limited_acceleration, limited_steering
from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.models.singletrack import SINGLETRACK, VEHICLE_CONTROLS, VEHICLE_STATES
from potentia.dynamics.spec import DynamicsFunction, LimitFunction, ModelSpec, Parameter, Params, StiffnessFunction
from potentia.errors import ConfigError

__all__ = ["AUGMENTED", "augmented"]

Correction: TypeAlias = Callable[[Tensor, Params], Tensor]

GAINS = (
    Parameter(name="a_d", low=0.5, high=1.5, default=1.0),
    Parameter(name="b_d", low=-0.1, high=0.1, default=0.0, unit="rad"),
    Parameter(name="a_v", low=0.5, high=1.5, default=1.0),
    Parameter(name="b_v", low=-2.0, high=2.0, default=0.0, unit="m/s^2"),
    Parameter(name="a_r", low=0.5, high=1.5, default=1.0),
    Parameter(name="b_r", low=-2.0, high=2.0, default=0.0, unit="rad/s^2"),
    Parameter(name="a_b", low=0.5, high=1.5, default=1.0),
    Parameter(name="b_b", low=-0.5, high=0.5, default=0.0, unit="rad/s"),
)
"""Of steering angle, acceleration, rate of psi_dot, rate of beta."""
INSTRUMENTS = (
    *GAINS[:5],
    Parameter(name="b_r", low=-0.5, high=0.5, default=0.0, unit="rad/s"),
    GAINS[6],
    Parameter(name="b_b", low=-0.1, high=0.1, default=0.0, unit="rad"),
)
"""Of steering angle, acceleration, psi_dot, beta."""


def as_felt(accel: Tensor, p: Params) -> Tensor:
    """Return the acceleration behind gain and bias.  [...]"""
    return p["a_v"] * accel + p["b_v"]


def as_commanded(felt: Tensor, p: Params) -> Tensor:
    """Return the command that is felt so: the inverse of `as_felt`.  [...]"""
    return (felt - p["b_v"]) / p["a_v"]


def unchanged(accel: Tensor, p: Params) -> Tensor:
    """Return the acceleration itself, where the model has its own gain and bias.  [...]"""
    return accel


@dataclass(frozen=True)
class WithGains:
    """Rates of another model, with gains and biases before and behind it."""

    inner: DynamicsFunction
    """Rates of the model."""
    felt: Correction
    """What the acceleration is before it comes to the model."""

    def __call__(self, states: Tensor, controls: Tensor, p: Params) -> Tensor:
        """Return the rates of x, y, delta, v, psi, psi_dot, beta.  [..., states]"""
        delta, v = states[..., 2], states[..., 3]
        turn = limited_steering(delta, controls[..., 0], p)
        accel = limited_acceleration(v, self.felt(controls[..., 1], p), p)
        seen = torch.stack((*states.unbind(-1)[:2], p["a_d"] * delta + p["b_d"], *states.unbind(-1)[3:]), -1)
        rates = self.inner(seen, torch.stack((turn, accel), -1), p).unbind(-1)
        spin, slide = p["a_r"] * rates[5] + p["b_r"], p["a_b"] * rates[6] + p["b_b"]
        return torch.stack((*rates[:2], turn, *rates[3:5], spin, slide), -1)


@dataclass(frozen=True)
class ThroughInstruments:
    """Rates of another model, whose psi_dot and beta are measured with gains and biases, as its steering angle is."""

    inner: DynamicsFunction
    """Rates of the model."""
    felt: Correction
    """What the acceleration is before it comes to the model."""

    def __call__(self, states: Tensor, controls: Tensor, p: Params) -> Tensor:
        """Return the rates of x, y, delta, v, psi, psi_dot, beta as they are measured.  [..., states]"""
        x, y, delta, v, psi, spin, slide = states.unbind(-1)
        turn = limited_steering(delta, controls[..., 0], p)
        accel = limited_acceleration(v, self.felt(controls[..., 1], p), p)
        true = (p["a_d"] * delta + p["b_d"], v, psi, p["a_r"] * spin + p["b_r"], p["a_b"] * slide + p["b_b"])
        rates = self.inner(torch.stack((x, y, *true), -1), torch.stack((turn, accel), -1), p).unbind(-1)
        return torch.stack((*rates[:2], turn, *rates[3:5], rates[5] / p["a_r"], rates[6] / p["a_b"]), -1)


@dataclass(frozen=True)
class LimitWithGains:
    """Limits of another model, asked with the acceleration that it will feel."""

    inner: LimitFunction
    """Limits of the model."""
    felt: Correction
    """What the acceleration is before it comes to the model."""
    commanded: Correction
    """The inverse of ``felt``."""

    def __call__(self, states: Tensor, controls: Tensor, h: Tensor, p: Params) -> Tensor:
        """Return the controls that a step may use.  [..., controls]"""
        asked = torch.stack((controls[..., 0], self.felt(controls[..., 1], p)), -1)
        turn, accel = self.inner(states, asked, h, p).unbind(-1)
        return torch.stack((turn, self.commanded(accel, p)), -1)


@dataclass(frozen=True)
class StiffnessWithGains:
    """Stiffness of another model, faster by the larger gain."""

    inner: StiffnessFunction
    """Stiffness of the model."""

    def __call__(self, states: Tensor, p: Params) -> Tensor:
        """Return a bound of the magnitudes of the eigenvalues.  [...], 1/s"""
        return self.inner(states, p) * torch.maximum(p["a_r"], p["a_b"])


def augmented(
    spec: ModelSpec, *, augment_at: Literal["rates", "state"] = "rates", name: str | None = None
) -> ModelSpec:
    """Return the model with gains and biases, which change nothing at their defaults.

    The steering angle that the model sees is ``a_d delta + b_d``, its acceleration ``a_v accel + b_v`` (unless it has
    these itself). At the rates, those of psi_dot and beta become ``a_r (...) + b_r`` and ``a_b (...) + b_b``; ``a_r``
    and the moment of inertia are one number then, so it joins the gauge. At the state, the model sees ``a_r psi_dot +
    b_r`` and ``a_b beta + b_b``: what is measured is the model itself, through instruments that are off. The steering
    moves, and stops, as it is measured.

    Args:
        spec: A model with states and controls of a single track.
        augment_at: Where the gains and biases of psi_dot and beta are: ``"rates"`` or ``"state"``.
        name: What it is called; that of the model and ``-augmented``, with ``-state`` for these, if None.

    Raises:
        ConfigError: the model has other states or controls, or no limits.
    """
    choice("augment_at", augment_at, ("rates", "state"))
    wanted = (tuple(one.name for one in VEHICLE_STATES), tuple(one.name for one in VEHICLE_CONTROLS))
    if (spec.state_names, spec.control_names) != wanted or spec.limit_fn is None:
        raise ConfigError(
            f"model {spec.name!r} cannot be augmented: that takes the states {', '.join(wanted[0])}, the controls "
            f"{', '.join(wanted[1])}, and limits"
        )
    has_own = "a_v" in (*spec.param_keys, *spec.constants)
    felt = unchanged if has_own else as_felt
    given = GAINS if augment_at == "rates" else INSTRUMENTS
    gains = tuple(one for one in given if not (has_own and one.name in {"a_v", "b_v"}))
    found = replace(
        spec,
        name=name or f"{spec.name}-augmented{'' if augment_at == 'rates' else '-state'}",
        parameters=(*spec.parameters, *gains),
        dynamics_fn=ThroughInstruments(spec.dynamics_fn, felt),
        limit_fn=LimitWithGains(spec.limit_fn, felt, unchanged if has_own else as_commanded),
    )
    if augment_at == "state":
        return found  # other units of the same states: no eigenvalue changes, and the inertia is told by psi_dot
    return replace(
        found,
        dynamics_fn=WithGains(spec.dynamics_fn, felt),
        stiffness_fn=None if spec.stiffness_fn is None else StiffnessWithGains(spec.stiffness_fn),
        gauge=(*spec.gauge, "a_r") if "I" in spec.param_keys else spec.gauge,
    )


AUGMENTED = register_model_spec(augmented(SINGLETRACK))
