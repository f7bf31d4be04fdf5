"""Tsitouras' method of fifth order with steps of one length: no error control, dense output at any times.

Its work does not depend on how many times are wanted, and nothing has to wait for a step that another member rejects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from potentia.checks import number
from potentia.errors import ConfigError
from potentia.ode.method import Method
from potentia.ode.problem import Problem
from potentia.ode.replay import Plan, replay
from potentia.ode.solution import Solution, solution_of_fixed_steps

__all__ = ["FixedTsit5"]


@dataclass(frozen=True, kw_only=True)
class FixedTsit5(Method):
    """Settings of the method with steps of one length."""

    step: float
    """Length of a step, in the unit of the times; the last one may end behind the last wanted time."""

    def __post_init__(self) -> None:
        if not number("step", self.step, low=0) > 0:
            raise ConfigError(f"step must be greater than 0, got {self.step!r}")

    def solve_problem(self, problem: Problem) -> Solution:
        """Return the states of all members at their wanted times."""
        members = len(problem.initial)
        span = float((problem.end - problem.start).max()) if members else 0.0
        count = math.ceil(span / self.step * (1 - 1e-12))
        numbers = torch.arange(count + 1, dtype=torch.float64, device=problem.start.device)
        bounds = problem.start[:, None] + self.step * numbers  # [members, steps + 1]
        counts = torch.full((members,), count, device=bounds.device)
        begins, ends = bounds[:, :-1].contiguous(), bounds[:, 1:].contiguous()
        ends[:, -1:] = torch.maximum(ends[:, -1:], problem.end[:, None])
        slope = problem.rates_at(problem.start, problem.initial)
        states = replay(problem, slope, Plan(begins, ends - begins, ends, counts))
        return solution_of_fixed_steps(states, count)
