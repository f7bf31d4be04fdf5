"""Exact error sums: absolute and squared residuals with their count, never means of means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

__all__ = ["ErrorSum", "merge"]


@dataclass(frozen=True)
class ErrorSum:
    """What is left of a set of residuals; the sum of the parts is the whole, however the set was cut into batches.

    >>> half, rest = ErrorSum.of(torch.tensor([3.0])), ErrorSum.of(torch.tensor([-4.0, 0.0]))
    >>> (half + rest).rmse == ErrorSum.of(torch.tensor([3.0, -4.0, 0.0])).rmse
    True
    """

    absolute: float
    """Sum of the absolute residuals (the residual's unit)."""
    squared: float
    """Sum of the squared residuals (the residual's unit, squared)."""
    count: int
    """Number of residuals."""

    zero: ClassVar[ErrorSum]
    """The sum over nothing."""

    @classmethod
    def of(cls, residual: Tensor) -> ErrorSum:
        """Sum a residual of any shape, in float64 and outside the graph."""
        flat = residual.detach().to(torch.float64).reshape(-1)
        sums = torch.stack((flat.abs().sum(), torch.dot(flat, flat)))
        absolute, squared = sums.tolist()
        return cls(absolute, squared, flat.numel())

    def __add__(self, other: ErrorSum) -> ErrorSum:
        return ErrorSum(self.absolute + other.absolute, self.squared + other.squared, self.count + other.count)

    @property
    def mae(self) -> float:
        """Mean absolute error; NaN of nothing."""
        return self.absolute / self.count if self.count else math.nan

    @property
    def rmse(self) -> float:
        """Root of the mean squared error; NaN of nothing."""
        return math.sqrt(self.squared / self.count) if self.count else math.nan


ErrorSum.zero = ErrorSum(0.0, 0.0, 0)


def merge(left: Mapping[str, ErrorSum], right: Mapping[str, ErrorSum]) -> dict[str, ErrorSum]:
    """Add two collections of sums by name; a name that only one of them has is taken over."""
    return {name: left.get(name, ErrorSum.zero) + right.get(name, ErrorSum.zero) for name in {**left, **right}}
