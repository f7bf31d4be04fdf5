"""Cascaded tanks: a pump fills the upper tank, which empties into the lower one; a full upper tank overflows."""

from __future__ import annotations

import torch
from torch import Tensor

from potentia.dynamics.models.registry import register_model_spec
from potentia.dynamics.spec import ModelSpec, Parameter, Params, Variable

__all__ = ["CASCADED_TANKS", "tank_rates"]

SMALL, ROOT = 1e-4, 1e-2


def outflow(level: Tensor) -> Tensor:
    """Return the root of a level: 0 for an empty tank, with a derivative that is finite there.  [...]"""
    return (level.clamp(min=0) + SMALL).sqrt() - ROOT


def tank_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return the rates of upper and lower level; of what a full upper tank spills a part falls into the lower one.

    Below a voltage ``u0`` the pump lifts nothing.
    """
    upper, lower = states[..., 0], states[..., 1]
    filling = p["k4"] * (controls[..., 0] - p["u0"]).clamp(min=0) - p["k1"] * outflow(upper)
    spilled = torch.where(upper >= p["full"], filling.clamp(min=0), torch.zeros_like(filling))
    rising = p["k2"] * outflow(upper) - p["k3"] * outflow(lower) + p["k5"] * spilled
    over = (lower >= p["full"]) & (rising > 0)
    return torch.stack((filling - spilled, torch.where(over, torch.zeros_like(rising), rising)), -1)


CASCADED_TANKS = register_model_spec(
    ModelSpec(
        name="cascaded-tanks",
        states=(Variable(name="upper", unit="V"), Variable(name="lower", unit="V")),
        controls=(Variable(name="pump", unit="V"),),
        parameters=(
            Parameter(name="k1", low=0.005, high=0.5, default=0.05, unit="V^0.5/s", scale="log"),
            Parameter(name="k2", low=0.005, high=0.5, default=0.05, unit="V^0.5/s", scale="log"),
            Parameter(name="k3", low=0.005, high=0.5, default=0.05, unit="V^0.5/s", scale="log"),
            Parameter(name="k4", low=0.005, high=0.5, default=0.04, unit="1/s", scale="log"),
            Parameter(name="k5", low=0.0, high=1.0, default=0.5),
            Parameter(name="u0", low=-2.0, high=2.0, default=0.0, unit="V"),
        ),
        dynamics_fn=tank_rates,
        constants={"full": 10.0},
    )
)
