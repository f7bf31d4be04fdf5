"""Predictions of several members as one: mean, spread, and the answer that is given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from potentia.checks import choice
from potentia.errors import ConfigError

__all__ = ["AGGREGATIONS", "Aggregate", "aggregated", "checked_aggregation", "require_several"]

AGGREGATIONS = ("mean", "reference")
"""What a committee answers: the mean of its members, or what one of them says."""


class Aggregate(NamedTuple):
    """What members say together."""

    value: NDArray[np.float64]
    """The answer."""
    mean: NDArray[np.float64]
    """Over members."""
    std: NDArray[np.float64]
    """Over members, divided by their number."""


def aggregated(values: NDArray[np.float64], aggregation: str = "mean", reference_member: int = 0) -> Aggregate:
    """Return answer, mean and standard deviation of the members' ``values`` [members, …].

    Raises:
        ConfigError: there is no such aggregation, or no such member.

    >>> aggregated(np.array([1.0, 3.0]))
    Aggregate(value=np.float64(2.0), mean=np.float64(2.0), std=np.float64(1.0))
    """
    checked_aggregation(aggregation, reference_member, len(values))
    mean = values.mean(axis=0)
    return Aggregate(mean if aggregation == "mean" else values[reference_member], mean, values.std(axis=0))


def checked_aggregation(aggregation: str, reference_member: int, num_members: int) -> None:
    """Raise `ConfigError` unless members can be put together so."""
    choice("aggregation", aggregation, AGGREGATIONS)
    if not 0 <= reference_member < num_members:
        raise ConfigError(f"reference_member must be one of the {num_members} members from 0, got {reference_member}")


def require_several(num_members: int) -> None:
    """Raise `ConfigError` unless there are members that can differ."""
    if num_members < 2:
        raise ConfigError("one member has no spread: train a committee of two or more (num_members)")
