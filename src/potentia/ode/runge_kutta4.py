"""The classical method of Runge and Kutta: four evaluations of the rates in a step, fourth order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.ode.fixed_step import FixedStep
from potentia.ode.problem import Rates

__all__ = ["RungeKutta4"]


@dataclass(frozen=True, kw_only=True)
class RungeKutta4(FixedStep):
    """Settings of the classical Runge-Kutta method."""

    def step(self, rates: Rates, t: Tensor, h: Tensor, state: Tensor, constants: tuple[Tensor, ...]) -> Tensor:
        """Return y + h (k₁ + 2 k₂ + 2 k₃ + k₄)/6."""
        half, middle = h / 2, (t + h / 2)[:, 0]
        first = rates(t[:, 0], state, *constants)
        second = rates(middle, torch.addcmul(state, half, first), *constants)
        third = rates(middle, torch.addcmul(state, half, second), *constants)
        fourth = rates((t + h)[:, 0], torch.addcmul(state, h, third), *constants)
        inner = torch.add(first, second + third, alpha=2) + fourth
        return torch.addcmul(state, h, inner, value=1 / 6)
