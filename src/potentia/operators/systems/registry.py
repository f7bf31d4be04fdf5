"""The systems by name, and a place for a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from potentia.checks import did_you_mean
from potentia.errors import ConfigError
from potentia.operators.systems.base import FieldSystem
from potentia.operators.systems.burgers import Burgers
from potentia.operators.systems.gray_scott import GrayScott
from potentia.operators.systems.random_conv import RandomConv

__all__ = ["SYSTEMS", "register", "system"]

_known: dict[str, FieldSystem] = {one.name: one for one in (RandomConv(), GrayScott(), Burgers())}

SYSTEMS: Mapping[str, FieldSystem] = MappingProxyType(_known)
"""Every system by its name."""


def register(one: FieldSystem) -> None:
    """Add a system of one's own to `SYSTEMS`, so that data made of it can be replayed.

    Raises:
        ConfigError: another class has its name.
    """
    there = _known.get(one.name)
    if there is not None and type(there) is not type(one):
        raise ConfigError(f"there is a system {one.name!r} already, {type(there).__name__}: choose another name")
    _known[one.name] = one


def system(name: str) -> FieldSystem:
    """Return a system.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in SYSTEMS:
        raise ConfigError(f"there is no system {name!r}{did_you_mean(name, SYSTEMS)}")
    return SYSTEMS[name]
