"""Things that are known by name: those that come with the package, and those of users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from potentia.checks import did_you_mean
from potentia.errors import ConfigError

__all__ = ["Registry"]


class _Named(Protocol):
    @property
    def name(self) -> str:
        """What it is called."""


Thing = TypeVar("Thing", bound=_Named)


class Registry(Mapping[str, Thing], Generic[Thing]):
    """Name → thing, which only `register` changes.

    Args:
        kind: What the things are called in messages.
        things: Known from the beginning.
    """

    def __init__(self, kind: str, things: Iterable[Thing]) -> None:
        self._kind = kind
        self._known = {one.name: one for one in things}

    def __getitem__(self, name: str) -> Thing:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def register(self, one: Thing) -> None:
        """Add a thing, or another of the same class in its place.

        Raises:
            ConfigError: another class has its name.
        """
        there = self._known.get(one.name)
        if there is not None and type(there) is not type(one):
            kind, taken = self._kind, type(there).__name__
            raise ConfigError(f"there is a {kind} {one.name!r} already, {taken}: choose another name")
        self._known[one.name] = one

    def named(self, name: str) -> Thing:
        """Return the thing of this name.

        Raises:
            ConfigError: there is none; the message has the nearest name.
        """
        if name not in self._known:
            raise ConfigError(f"there is no {self._kind} {name!r}{did_you_mean(name, self._known)}")
        return self._known[name]
