"""The search for the steps of each member: tried, measured, taken or made shorter. No derivatives here.

Members that are through or have failed leave at once, so they cost the others nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.ode.problem import Problem
from potentia.ode.solution import Status
from potentia.ode.step_control import Tolerance, first_step
from potentia.ode.tsit5_tableau import ERROR, combination, stages

__all__ = ["Outcome", "Trial", "search"]

SMALLEST_PART = 1e-14
"""A step is too small when it is less than this part of the time, and of the member's first step."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One step of each member that is on its way, with what is needed to look inside it."""

    members: Tensor
    """Numbers of the members.  [active]"""
    t: Tensor
    """Time before the step.  [active], float64"""
    h: Tensor
    """Length of the step.  [active], float64"""
    state: Tensor
    """State before the step.  [active, states]"""
    slopes: list[Tensor]
    """Rates at the seven stages.  [active, states] each"""
    taken: Tensor
    """Whether the step is taken.  [active]"""


@dataclass(frozen=True, eq=False)
class Outcome:
    """How it went for each member: status, steps taken and steps rejected.  [members] each"""

    status: Tensor
    steps: Tensor
    rejected: Tensor


@dataclass(frozen=True, eq=False)
class _Front:
    """Members on their way, each at its own time."""

    members: Tensor
    t: Tensor
    h: Tensor
    state: Tensor
    slope: Tensor
    error: Tensor
    """Of the last step taken, in units of the tolerance."""
    first: Tensor
    """First step that was tried."""
    end: Tensor
    constants: tuple[Tensor, ...]

    def only(self, which: Tensor) -> _Front:
        """Return the members of a mask."""
        rows = torch.nonzero(which)[:, 0]
        return _Front(
            self.members[rows],
            self.t[rows],
            self.h[rows],
            self.state[rows],
            self.slope[rows],
            self.error[rows],
            self.first[rows],
            self.end[rows],
            tuple(constant[rows] for constant in self.constants),
        )


def search(
    problem: Problem,
    slope: Tensor,
    tolerance: Tolerance,
    max_steps: int,
    record: Callable[[Trial], None],
) -> Outcome:
    """Take steps until each member is at or behind its last wanted time, or has failed.

    A step may end behind the last wanted time, so that a state at one time does not depend on which others are wanted.

    Args:
        problem: What is to be solved.
        slope: Rates at the start.  [members, states]
        tolerance: Of the error of a step.
        max_steps: Steps tried for a member at most.
        record: Gets every trial, also of steps that are not taken.
    """
    status = torch.full(problem.start.shape, int(Status.DONE), device=slope.device)
    outcome = Outcome(status, torch.zeros_like(status), torch.zeros_like(status))
    finite = torch.isfinite(slope).all(1) & torch.isfinite(problem.initial).all(1)
    status[~finite] = int(Status.NOT_FINITE)
    front = _begin(problem, slope, tolerance).only(finite & (problem.end > problem.start))
    for _ in range(max_steps):
        if not len(front.members):
            break
        front = _try_step(problem, front, tolerance, record, outcome)
    status[front.members] = int(Status.TOO_MANY_STEPS)
    return outcome


def _begin(problem: Problem, slope: Tensor, tolerance: Tolerance) -> _Front:
    h = first_step(problem, slope, tolerance)
    members = torch.arange(len(h), device=h.device)
    return _Front(
        members, problem.start, h, problem.initial, slope, torch.ones_like(h), h, problem.end, problem.constants
    )


def _try_step(
    problem: Problem, front: _Front, tolerance: Tolerance, record: Callable[[Trial], None], outcome: Outcome
) -> _Front:
    """Try one step of each member on its way, and return those that still are."""
    slopes, reached = stages(problem.rates, front.t, front.h, front.state, front.slope, front.constants)
    error = combination(ERROR, slopes).mul_(front.h.to(reached.dtype)[:, None])
    ratio = tolerance.ratio(front.state, reached, error)
    taken = ratio <= 1
    record(Trial(front.members, front.t, front.h, front.state, slopes, taken))
    outcome.steps[front.members] += taken
    outcome.rejected[front.members] += ~taken
    h = front.h * tolerance.factor(ratio, front.error)
    forward = taken[:, None]
    after = _Front(
        front.members,
        torch.where(taken, front.t + front.h, front.t),
        h,
        torch.where(forward, reached, front.state),
        torch.where(forward, slopes[-1], front.slope),
        torch.where(taken, ratio, front.error),
        front.first,
        front.end,
        front.constants,
    )
    small = ~taken & (h <= SMALLEST_PART * torch.maximum(after.t.abs(), front.first))
    leaving = small | (after.t >= after.end)
    if not leaving.any():
        return after
    lost = torch.where(torch.isinf(ratio), int(Status.NOT_FINITE), int(Status.STEP_TOO_SMALL))
    outcome.status[front.members[small]] = lost[small]
    return after.only(~leaving)
