"""The systems by name, and a place for a user's own."""

from __future__ import annotations

from potentia.registry import Registry
from potentia.trajectories.systems.base import System
from potentia.trajectories.systems.coupled_oscillators import CoupledOscillators
from potentia.trajectories.systems.lotka_volterra import (
    HiddenParametricLotkaVolterra,
    LotkaVolterra,
    ParametricLotkaVolterra,
)
from potentia.trajectories.systems.osu import OSU2008
from potentia.trajectories.systems.simple_ode import SimpleODE
from potentia.trajectories.systems.simple_reaction import SimpleReaction

__all__ = ["SYSTEMS", "register", "system"]

SYSTEMS: Registry[System] = Registry(
    "system",
    (
        LotkaVolterra(),
        ParametricLotkaVolterra(),
        HiddenParametricLotkaVolterra(),
        SimpleReaction(),
        SimpleODE(),
        CoupledOscillators(),
        OSU2008(),
    ),
)
"""Every system by its name."""


def register(one: System) -> None:
    """Add a system of one's own to `SYSTEMS`, so that data made of it know a solver to compare with.

    Raises:
        ConfigError: another class has its name.
    """
    SYSTEMS.register(one)


def system(name: str) -> System:
    """Return a system.

    Raises:
        ConfigError: there is none of this name.
    """
    return SYSTEMS.named(name)
