"""The systems by name, and a place for a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from potentia.checks import did_you_mean
from potentia.errors import ConfigError
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

_known: dict[str, System] = {
    one.name: one
    for one in (
        LotkaVolterra(),
        ParametricLotkaVolterra(),
        HiddenParametricLotkaVolterra(),
        SimpleReaction(),
        SimpleODE(),
        CoupledOscillators(),
        OSU2008(),
    )
}

SYSTEMS: Mapping[str, System] = MappingProxyType(_known)
"""Every system by its name."""


def register(one: System) -> None:
    """Add a system of one's own to `SYSTEMS`, so that data made of it know a solver to compare with.

    Raises:
        ConfigError: another class has its name.
    """
    there = _known.get(one.name)
    if there is not None and type(there) is not type(one):
        raise ConfigError(f"there is a system {one.name!r} already, {type(there).__name__}: choose another name")
    _known[one.name] = one


def system(name: str) -> System:
    """Return a system.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in SYSTEMS:
        raise ConfigError(f"there is no system {name!r}{did_you_mean(name, SYSTEMS)}")
    return SYSTEMS[name]
