"""A small network as the dynamics, whose weights another network predicts: what no equation says."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from potentia.checks import choice, integer
from potentia.dynamics.models.limits import limited_steering
from potentia.dynamics.models.pacejka import steering_limit
from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.models.singletrack import VEHICLE_CONTROLS, VEHICLE_STATES
from potentia.dynamics.presets import VEHICLES, Vehicle
from potentia.dynamics.spec import ModelSpec, Parameter, Params
from potentia.seeding import stream

__all__ = ["MLP_DYNAMICS", "mlp_dynamics"]

TYPICAL = {"x": 10.0, "y": 10.0, "delta": 0.3, "v": 5.0, "psi": 3.0, "psi_dot": 3.0, "beta": 0.3}
TYPICAL_CONTROLS = {"delta_dot": 3.0, "accel": 5.0}
TYPICAL_RATES = {"x": 5.0, "y": 5.0, "delta": 3.0, "v": 5.0, "psi": 3.0, "psi_dot": 20.0, "beta": 5.0}


def perceptron(inputs: Tensor, p: Params) -> Tensor:
    """Return W2 tanh(alpha (W1 z + b1)) + b2, in and out in units of typical values.  [..., outputs]"""
    z = inputs / p["typical_inputs"]
    hidden = torch.tanh(p["alpha"][..., None] * ((p["W1"] * z[..., None, :]).sum(-1) + p["b1"]))
    return ((p["W2"] * hidden[..., None, :]).sum(-1) + p["b2"]) * p["typical_rates"]


def body_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return the rates of a vehicle: motion by its speeds is exact, and the network says how these change."""
    _, _, delta, v, psi, psi_dot, beta = states.unbind(-1)
    turn = limited_steering(delta, controls[..., 0], p)
    inputs = torch.stack((delta, v, psi_dot, beta, turn, controls[..., 1]), -1)
    speeding, spin, slide = perceptron(inputs, p).unbind(-1)
    heading = psi + beta
    return torch.stack((v * heading.cos(), v * heading.sin(), turn, speeding, psi_dot, spin, slide), -1)


def world_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return the rates of all states as the network says, by all states and controls.  [..., states]"""
    return perceptron(torch.cat((states, controls), -1), p)


def mlp_dynamics(
    hidden_size: int = 32,
    frame: Literal["body", "world"] = "body",
    *,
    vehicle: Vehicle = VEHICLES["f1tenth"],
    name: str = "mlp-dynamics",
) -> ModelSpec:
    """Return the model with a hidden layer of this size.

    The default weights are drawn, from a stream of their own: with all of them 0, no weight has a derivative, and
    nothing would ever be learned. ``alpha`` and the first layer are one factor: it is the gauge.

    Args:
        hidden_size: Units of the hidden layer.
        frame: ``"body"``: the network gives the rates of v, psi_dot and beta, and nothing depends on where the vehicle
            is; or ``"world"``: it gives all rates from all states.
        vehicle: Whose limits of steering hold in the frame of the body.
        name: What the model is called.
    """
    integer("hidden_size", hidden_size, low=1)
    body = choice("frame", frame, ("body", "world")) == "body"
    seen = ("delta", "v", "psi_dot", "beta") if body else tuple(TYPICAL)
    given = ("v", "psi_dot", "beta") if body else tuple(TYPICAL_RATES)
    typical = {
        "typical_inputs": np.array([*(TYPICAL[key] for key in seen), *TYPICAL_CONTROLS.values()]),
        "typical_rates": np.array([TYPICAL_RATES[key] for key in given]),
    }
    return ModelSpec(
        name=name,
        states=VEHICLE_STATES,
        controls=VEHICLE_CONTROLS,
        parameters=(
            *_layer("1", hidden_size, len(seen) + 2, 1.0),
            *_layer("2", len(given), hidden_size, 0.1),
            Parameter(name="alpha", low=0.1, high=5.0, default=1.0, scale="log"),
        ),
        dynamics_fn=body_rates if body else world_rates,
        constants={**vehicle.limits, **typical} if body else typical,
        limit_fn=steering_limit if body else None,
        gauge=("alpha",),
        speed="v",
    )


def _layer(number: str, outputs: int, inputs: int, size: float) -> tuple[Parameter, Parameter]:
    bound = 3 / np.sqrt(inputs)
    drawn = stream(0, "mlp-dynamics", "W" + number, outputs, inputs).uniform(-1, 1, (outputs, inputs))
    weights = Parameter(
        name="W" + number, low=-bound, high=bound, default=size * bound / 3 * drawn, shape=(outputs, inputs)
    )
    return weights, Parameter(name="b" + number, low=-3.0, high=3.0, default=0.0, shape=(outputs,))


MLP_DYNAMICS = register_model_spec(mlp_dynamics())
