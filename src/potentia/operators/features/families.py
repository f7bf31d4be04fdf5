"""Families of features: each member is a function with its formula, and with what fields must have for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

__all__ = ["Family", "Feature", "Needs", "any_fields", "several_channels", "square_grid", "two_axes"]

View = TypeVar("View")

Needs = Callable[[int, tuple[int, ...]], bool]
"""Number of channels and grid → whether a feature is defined there."""


def any_fields(_channels: int, _grid: tuple[int, ...]) -> bool:
    """Defined for all fields."""
    return True


def two_axes(_channels: int, grid: tuple[int, ...]) -> bool:
    """Defined for fields with two axes of space."""
    return len(grid) == 2


def square_grid(_channels: int, grid: tuple[int, ...]) -> bool:
    """Defined for fields that can be turned by a right angle."""
    return len(grid) == 2 and grid[0] == grid[1]


def several_channels(channels: int, _grid: tuple[int, ...]) -> bool:
    """Defined for two channels and more."""
    return channels > 1


@dataclass(frozen=True, eq=False)
class Feature(Generic[View]):
    """One number of a field, or of each of its steps."""

    name: str
    """Unique in its family."""
    formula: str
    """What it is."""
    compute: Callable[[View], Tensor]
    """From the fields to one value for each channel, or for all where ``joint``."""
    differentiable: bool = True
    """Whether it has a gradient with respect to the fields; else its values carry none."""
    heavy: bool = False
    """Whether few samples have values far from the others: statistics are of its signed log1p then."""
    joint: bool = False
    """Whether it is of all channels together; else it is averaged over the channels."""
    needs: Needs = any_fields
    """Where it is defined; elsewhere it is absent."""

    def value(self, view: View) -> Tensor:
        """Return one value for each sample [samples], or for each of its steps [samples, steps + 1]."""
        found = self.compute(view)
        found = found if self.joint else found.mean(-1)
        return found if self.differentiable else found.detach()


class Family(Generic[View]):
    """Features that are made of the same view of the fields, in the order in which they were added.

    >>> family = Family("moments")
    >>> @family.add()
    ... def rms(fields):
    ...     '''Root of the mean square.'''
    ...     return (fields**2).mean(-1).sqrt()
    >>> list(family.members), family.members["rms"].formula
    (['rms'], 'Root of the mean square.')
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[str, Feature[View]] = {}

    def add(self, **flags: Any) -> Callable[[Callable[[View], Tensor]], Callable[[View], Tensor]]:
        """Return a decorator that makes a feature of a function: name and docstring are its name and formula."""

        def keep(function: Callable[[View], Tensor]) -> Callable[[View], Tensor]:
            formula = " ".join((function.__doc__ or "").split())
            self.members[function.__name__] = Feature(function.__name__, formula, function, **flags)
            return function

        return keep

    def put(self, name: str, formula: str, compute: Callable[[View], Tensor], **flags: Any) -> None:
        """Add one feature of a series that is made in a loop."""
        self.members[name] = Feature(name, formula, compute, **flags)

    def defined(self, channels: int, grid: tuple[int, ...]) -> list[Feature[View]]:
        """Return the features that such fields have."""
        return [feature for feature in self.members.values() if feature.needs(channels, grid)]
