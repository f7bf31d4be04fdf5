"""How long a step may be: error against tolerance, member by member (Hairer, Nørsett, Wanner: Solving ODEs I, II.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.ode.problem import Problem
from potentia.ode.tsit5_tableau import ORDER

__all__ = ["Tolerance", "first_step"]

SAFETY = 0.9
SMALLEST_FACTOR, LARGEST_FACTOR = 0.2, 10.0
MEMORY = 0.04
"""Exponent of the error before: damps steps that are now too long, now too short."""
SMALLEST_MEMORY = 1e-4
"""A smaller error before is taken for this one."""


@dataclass(frozen=True)
class Tolerance:
    """How large the error of a step may be."""

    rtol: float
    atol: float

    def ratio(self, before: Tensor, after: Tensor, error: Tensor) -> Tensor:
        """Return the error in units of the tolerance, root mean square over states; NaN is infinite.  [members]"""
        scale = torch.maximum(before.abs(), after.abs()).mul_(self.rtol).add_(self.atol)
        found = _norm(error / scale).double()
        return torch.where(torch.isfinite(found) & torch.isfinite(after).all(1), found, torch.inf)

    def factor(self, ratio: Tensor, before: Tensor) -> Tensor:
        """Return by how much the next step is longer, from the error and that of the step before.  [members]"""
        grown = SAFETY * ratio.pow(0.75 * MEMORY - 1 / ORDER) * before.clamp(min=SMALLEST_MEMORY).pow(MEMORY)
        largest = torch.where(ratio > 1, 1.0, LARGEST_FACTOR)
        return torch.minimum(grown.clamp(min=SMALLEST_FACTOR), largest)


def first_step(problem: Problem, slope: Tensor, tolerance: Tolerance) -> Tensor:
    """Return a first step that is likely to be accepted, from the rates and their change.  [members], float64"""
    scale = problem.initial.abs() * tolerance.rtol + tolerance.atol
    size, speed = _norm(problem.initial / scale).double(), _norm(slope / scale).double()
    guess = torch.where((size < 1e-5) | (speed < 1e-5), 1e-6, 0.01 * size / speed)
    guess = guess.nan_to_num(nan=1e-6).clamp(min=torch.finfo(torch.float64).tiny)
    moved = torch.addcmul(problem.initial, guess.to(slope.dtype)[:, None], slope)
    change = _norm((problem.rates_at(problem.start + guess, moved) - slope) / scale).double() / guess
    steepest = torch.maximum(speed, change.nan_to_num(nan=torch.inf))
    fine = torch.where(steepest > 1e-15, (0.01 / steepest).pow(1 / ORDER), (guess * 1e-3).clamp(min=1e-6))
    return torch.minimum(100 * guess, torch.where(torch.isfinite(steepest), fine, guess))


def _norm(values: Tensor) -> Tensor:
    return values.square().mean(1).sqrt()
