"""Tsitouras' method of fifth order with steps as long as the tolerance allows, for each member by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.checks import integer, number
from potentia.errors import ConfigError
from potentia.ode.dense_output import DenseOutput
from potentia.ode.method import Method
from potentia.ode.problem import Problem
from potentia.ode.replay import Recorder, replay
from potentia.ode.search import search
from potentia.ode.solution import Solution
from potentia.ode.step_control import Tolerance

__all__ = ["Tsit5"]


@dataclass(frozen=True, kw_only=True)
class Tsit5(Method):
    """Settings of the adaptive method.

    The error of a step, root mean square over states, is held below atol + rtol·|state|. The wanted times shorten no
    step: states between are read from the method's own polynomial, of fourth order. Where derivatives are asked for,
    the steps are first found without them and then taken once more, with lengths that are constants to the derivatives.
    """

    rtol: float = 1e-6
    """Tolerance in parts of the state."""
    atol: float = 1e-6
    """Tolerance where the state is near zero, in its unit."""
    max_steps: int = 10_000
    """Steps tried for a member at most, the rejected ones included."""

    def __post_init__(self) -> None:
        number("rtol", self.rtol, low=0)
        number("atol", self.atol, low=0)
        integer("max_steps", self.max_steps, low=1)
        if not self.rtol + self.atol > 0:
            raise ConfigError("rtol and atol are both 0: no step has an error of zero, give one of them a value")

    def solve_problem(self, problem: Problem) -> Solution:
        """Return the states of all members at their wanted times."""
        slope = problem.rates_at(problem.start, problem.initial)
        tolerance = Tolerance(self.rtol, self.atol)
        if not (slope.requires_grad or problem.initial.requires_grad or problem.times.requires_grad):
            output = DenseOutput(problem)
            outcome = search(problem, slope, tolerance, self.max_steps, output)
            return Solution(output.states, outcome.status, outcome.steps, outcome.rejected)
        recorder = Recorder(len(slope))
        with torch.no_grad():
            outcome = search(_detached(problem), slope.detach(), tolerance, self.max_steps, recorder)
        states = replay(problem, slope, recorder.plan(outcome.steps))
        return Solution(states, outcome.status, outcome.steps, outcome.rejected)


def _detached(problem: Problem) -> Problem:
    def plain(tensor: Tensor) -> Tensor:
        return tensor.detach()

    constants = tuple(plain(constant) for constant in problem.constants)
    return Problem(problem.rates, plain(problem.initial), plain(problem.times), problem.start, constants)
