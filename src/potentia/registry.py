"""Things that are known by name: those that come with the package, and those of users."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from potentia.checks import did_you_mean
from potentia.errors import ConfigError

__all__ = ["Registry", "home_of"]


class _Named(Protocol):
    @property
    def name(self) -> str:
        """What it is called."""


Thing = TypeVar("Thing", bound=_Named | type[Any])


class Registry(Mapping[str, Thing], Generic[Thing]):
    """Name → thing, which only `register` changes; a thing may be a class, whose name is its own.

    Args:
        kind: What the things are called in messages.
        things: Known from the beginning.
    """

    def __init__(self, kind: str, things: Iterable[Thing]) -> None:
        self._kind = kind
        self._known = {_name(one): one for one in things}

    def __getitem__(self, name: str) -> Thing:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def register(self, one: Thing) -> None:
        """Add a thing, or another of the same class in its place; a class that is defined again is the same.

        Raises:
            ConfigError: another class has its name.
        """
        name, home = _name(one), home_of(one)
        there = home_of(self._known[name]) if name in self._known else home
        if there != home:
            raise ConfigError(f"there is a {self._kind} {name!r} already, {there}: choose another name")
        self._known[name] = one

    def named(self, name: str) -> Thing:
        """Return the thing of this name.

        Raises:
            ConfigError: there is none; the message has the nearest name.
        """
        if name not in self._known:
            raise ConfigError(f"there is no {self._kind} {name!r}{did_you_mean(name, self._known)}")
        return self._known[name]


def _name(one: _Named | type[Any]) -> str:
    return one.__name__ if isinstance(one, type) else one.name


def home_of(one: object) -> str:
    """Return where the class of a thing, or a class, is defined: in which file, whatever name that was imported by."""
    cls = one if isinstance(one, type) else type(one)
    module = sys.modules.get(cls.__module__)
    file = None if module is None else vars(module).get("__file__")
    return f"{cls.__qualname__} of {file or cls.__module__}"
