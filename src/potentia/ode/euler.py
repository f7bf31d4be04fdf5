"""Euler's method: one evaluation of the rates in a step, first order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.ode.fixed_step import FixedStep
from potentia.ode.problem import Rates

__all__ = ["Euler"]


@dataclass(frozen=True, kw_only=True)
class Euler(FixedStep):
    """Settings of Euler's method."""

    def step(self, rates: Rates, t: Tensor, h: Tensor, state: Tensor, constants: tuple[Tensor, ...]) -> Tensor:
        """Return y + h f(t, y)."""
        return torch.addcmul(state, h, rates(t[:, 0], state, *constants))
