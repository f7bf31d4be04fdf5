"""The systems by name, and a place for a user's own."""

from __future__ import annotations

from potentia.operators.systems.base import FieldSystem
from potentia.operators.systems.burgers import Burgers
from potentia.operators.systems.gray_scott import GrayScott
from potentia.operators.systems.random_conv import RandomConv
from potentia.registry import Registry

__all__ = ["SYSTEMS", "register", "system"]

SYSTEMS: Registry[FieldSystem] = Registry("system", (RandomConv(), GrayScott(), Burgers()))
"""Every system by its name."""


def register(one: FieldSystem) -> None:
    """Add a system of one's own to `SYSTEMS`, so that data made of it can be replayed.

    Raises:
        ConfigError: another class has its name.
    """
    SYSTEMS.register(one)


def system(name: str) -> FieldSystem:
    """Return a system.

    Raises:
        ConfigError: there is none of this name.
    """
    return SYSTEMS.named(name)
