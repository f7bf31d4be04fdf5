"""Measures of residuals that a loss is made of: root mean square, mean absolute, and Huber's between them.

Each is a function of two sums over rows, so that a batch may be spread over processes. ``pull`` is what each squared
residual weighs in it: the loss has the gradient Σ pull·r·∂r, which makes it a least-squares problem with known weights
at each point (iteratively reweighted least squares), for the methods that need rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["MAE", "RMSE", "Huber", "Measure", "measure_of"]

TINY = 1e-30
"""Added under the root of a mean square, so that a residual of exactly zero has the gradient zero."""


class Measure(ABC):
    """A mean over rows with weights, and over the components of each row."""

    def total(self, residual: Tensor, weight: Tensor) -> Tensor:
        """Return Σ weight · `of_rows`, for residuals [rows, ...] and weights [rows]."""
        return torch.dot(weight, self.of_rows(residual))

    def of_rows(self, residual: Tensor) -> Tensor:
        """Return the mean over components of `of_each`, for residuals [rows, ...].  [rows]"""
        each = self.of_each(residual)
        return each.flatten(1).mean(1) if each.ndim > 1 else each

    @abstractmethod
    def of_each(self, residual: Tensor) -> Tensor:
        """Return what each component adds."""

    def value(self, total: Tensor, weight: Tensor) -> Tensor:
        """Return the measure from the sums of `total` and of the weights."""
        return total / weight.clamp_min(TINY)

    @abstractmethod
    def curvature(self, residual: Tensor, value: Tensor) -> Tensor:
        """Return the derivative of the measure by half the square of each component, times rows of weight 1."""

    def pull(self, residual: Tensor, weight: Tensor, value: Tensor, whole: Tensor) -> Tensor:
        """Return that derivative for rows of ``weight``, of which ``whole`` is the sum, at the measure's ``value``."""
        components = residual[:1].numel() or 1
        rows = (weight / (components * whole.clamp_min(TINY))).view(-1, *[1] * (residual.ndim - 1))
        return rows * self.curvature(residual, value)


@dataclass(frozen=True)
class RMSE(Measure):
    """Root of the mean square."""

    def of_each(self, residual: Tensor) -> Tensor:
        """Return the squares."""
        return residual.square()

    def value(self, total: Tensor, weight: Tensor) -> Tensor:
        """Return the root of the mean."""
        return torch.sqrt(total / weight.clamp_min(TINY) + TINY)

    def curvature(self, residual: Tensor, value: Tensor) -> Tensor:
        """Return one over the measure, for every component."""
        return (1 / value).expand_as(residual)


@dataclass(frozen=True)
class MAE(Measure):
    """Mean of the absolute values."""

    least: float = 1e-6
    """Residuals below this count as this one where they are divided by (eV/atom, eV/Å)."""

    def of_each(self, residual: Tensor) -> Tensor:
        """Return the absolute values."""
        return residual.abs()

    def curvature(self, residual: Tensor, value: Tensor) -> Tensor:
        """Return one over the absolute residual."""
        return 1 / residual.abs().clamp_min(self.least)


@dataclass(frozen=True)
class Huber(Measure):
    """``r²/(2δ)`` for residuals below δ, ``|r| - δ/2`` above, in the unit of r.

    P. J. Huber, Ann. Math. Stat. 35 (1964) 73.
    """

    delta: float
    """Where squares become absolute values (eV/atom, eV/Å)."""

    def of_each(self, residual: Tensor) -> Tensor:
        """Return Huber's function over δ."""
        size = residual.abs()
        inside = size.clamp_max(self.delta)
        return inside * (size - inside / 2) / self.delta

    def curvature(self, residual: Tensor, value: Tensor) -> Tensor:
        """Return 1/δ inside and ``1/|r|`` outside."""
        return 1 / residual.abs().clamp_min(self.delta)


def measure_of(name: str, delta: float) -> Measure:
    """Return the measure of this name: ``rmse``, ``mae`` or ``huber``."""
    return {"rmse": RMSE(), "mae": MAE(), "huber": Huber(delta)}[name]
