"""Methods with equal steps between the wanted times: no error control, the same work for every member."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.checks import integer
from potentia.ode.method import Method
from potentia.ode.problem import Problem, Rates
from potentia.ode.solution import Solution, solution_of_fixed_steps

__all__ = ["FixedStep", "march"]


@dataclass(frozen=True, kw_only=True)
class FixedStep(Method):
    """Settings of a method that goes from one wanted time to the next."""

    substeps: int = 1
    """Equal steps between two wanted times."""

    def __post_init__(self) -> None:
        integer("substeps", self.substeps, low=1)

    @abstractmethod
    def step(self, rates: Rates, t: Tensor, h: Tensor, state: Tensor, constants: tuple[Tensor, ...]) -> Tensor:
        """Return the states [members, states] a time ``h`` after ``t``; both [members, 1]."""

    def solve_problem(self, problem: Problem) -> Solution:
        """Return the states of all members at their wanted times."""
        return march(self, problem, lambda interval, state, h: problem.rates)


def march(method: FixedStep, problem: Problem, rates_of: Callable[[int, Tensor, Tensor], Rates]) -> Solution:
    """Go from wanted time to wanted time; ``rates_of`` names the rates of each step when it begins.

    ``rates_of`` gets the number of the interval (the first ends at the first wanted time), the states [members, states]
    and the length of the step [members, 1].
    """
    dtype = problem.initial.dtype
    times = problem.times.expand(len(problem.initial), -1)
    lengths = torch.diff(times, dim=1, prepend=problem.start[:, None])
    state, states, steps = problem.initial, [], 0
    begin = problem.start[:, None]
    for interval in range(times.shape[1]):
        h = lengths[:, interval, None] / method.substeps  # [members, 1], float64
        moves = interval > 0 or times.requires_grad or bool((h != 0).any())
        for number in range(method.substeps if moves else 0):
            size = h.to(dtype)
            rates = rates_of(interval, state, size)
            state = method.step(rates, (begin + number * h).to(dtype), size, state, problem.constants)
            steps += 1
        begin = times[:, interval, None]
        states.append(state)
    return solution_of_fixed_steps(torch.stack(states, 1), steps)
