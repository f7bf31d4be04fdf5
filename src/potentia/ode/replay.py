"""Steps whose times are known are taken again, with derivatives, in which rejected steps leave no trace."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from potentia.ode.problem import Problem
from potentia.ode.search import Trial
from potentia.ode.tsit5_tableau import interpolate, polynomial, stages

__all__ = ["Plan", "Recorder", "replay"]


@dataclass(frozen=True, eq=False)
class Plan:
    """The steps of each member, which end where the next one begins."""

    t: Tensor
    """Beginnings; infinite behind a member's last step.  [members, steps], float64"""
    h: Tensor
    """Lengths.  [members, steps], float64"""
    ends: Tensor
    """Ends; infinite behind a member's last step.  [members, steps], float64"""
    counts: Tensor
    """Steps of each member.  [members]"""


@dataclass(frozen=True, eq=False)
class Recorder:
    """Keeps when the steps of each member were taken."""

    n_members: int
    trials: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    def __call__(self, trial: Trial) -> None:
        """Keep the steps that are taken."""
        rows = torch.nonzero(trial.taken)[:, 0]
        self.trials.append((trial.members[rows], trial.t[rows], trial.h[rows]))

    def plan(self, counts: Tensor) -> Plan:
        """Return the steps of each member, of which there are ``counts`` [members]."""
        longest = int(counts.max()) if len(counts) else 0
        t = torch.full((self.n_members, longest), torch.inf, dtype=torch.float64, device=counts.device)
        h, so_far = torch.ones_like(t), torch.zeros_like(counts)
        for members, begins, lengths in self.trials:
            numbers = so_far[members]
            t[members, numbers], h[members, numbers] = begins, lengths
            so_far[members] += 1
        return Plan(t, h, t + h, counts)


def replay(problem: Problem, slope: Tensor, plan: Plan) -> Tensor:
    """Return the states at the wanted times, NaN behind a member's last step.  [members, times, states]

    Args:
        problem: What is to be solved; derivatives go to its initial states, times, constants and rates.
        slope: Rates at the start.  [members, states]
        plan: Steps of each member; their lengths are constants to the derivatives.
    """
    order = torch.argsort(plan.counts, descending=True, stable=True)  # who takes part in a step stands in front
    state, slope = problem.initial[order], slope[order]
    constants = tuple(constant[order] for constant in problem.constants)
    sizes = (plan.counts[:, None] > torch.arange(plan.t.shape[1], device=order.device)).sum(0).tolist()
    nowhere = torch.zeros_like(state)
    pieces = [torch.stack([state, slope.nan_to_num(0, 0, 0), nowhere, nowhere, nowhere], 1)]  # the start itself
    for number, size in enumerate(sizes):
        front = order[:size]
        t, h = plan.t[front, number], plan.h[front, number]
        state, slope, constants = state[:size], slope[:size], tuple(constant[:size] for constant in constants)
        slopes, reached = stages(problem.rates, t, h, state, slope, constants)
        pieces.append(polynomial(h, state, slopes))
        state, slope = reached, slopes[-1]
    return _look_up(problem, plan, order, torch.cat(pieces), [len(order), *sizes])


def _look_up(problem: Problem, plan: Plan, order: Tensor, pieces: Tensor, sizes: list[int]) -> Tensor:
    """Return the states at the wanted times from the polynomials of all steps [steps of all members, 5, states]."""
    n_members = len(order)
    times = problem.times.expand(n_members, -1).contiguous()
    number = torch.searchsorted(plan.ends, times.detach())  # step that a time lies in, (t, t + h]
    reached = number < plan.counts[:, None]
    number = number.clamp(max=max(plan.t.shape[1] - 1, 0))
    if plan.t.shape[1]:
        theta = (times - plan.t.gather(1, number)) / plan.h.gather(1, number)
    else:
        theta = torch.zeros_like(times)
    at_start = times.detach() <= problem.start[:, None]
    first = torch.cumsum(torch.tensor([0, *sizes[:-1]], device=order.device), 0)  # piece of the first member of a step
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(n_members, device=order.device))
    valid = reached & ~at_start
    piece = torch.where(valid, first[(number + 1).clamp(max=len(sizes) - 1)] + rank[:, None], rank[:, None])
    at_once = torch.where(at_start, times - problem.start[:, None], 0.0)  # zero, with the derivative by the time
    theta = torch.where(valid, theta, at_once).to(pieces.dtype)
    states = interpolate(pieces.index_select(0, piece.flatten()), theta.flatten()).view(*times.shape, pieces.shape[-1])
    missing = ~(reached | at_start)
    return states.masked_fill(missing[..., None], torch.nan) if missing.any() else states
