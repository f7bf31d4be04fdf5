"""States at the wanted times, written while the steps are taken: memory for the result only, no derivatives."""

from __future__ import annotations

import torch

from potentia.ode.problem import Problem
from potentia.ode.search import Trial
from potentia.ode.tsit5_tableau import interpolate, polynomial

__all__ = ["DenseOutput"]


class DenseOutput:
    """Looks into each step that is taken for the wanted times inside it.

    Args:
        problem: Its wanted times at the start get the initial states.
    """

    def __init__(self, problem: Problem) -> None:
        members, n_states = problem.initial.shape
        n_times = problem.times.shape[-1]
        self.problem = problem
        self.states = problem.initial.new_full((members, n_times, n_states), torch.nan)
        """NaN where no step has come yet.  [members, times, states]"""
        self._everyone = torch.arange(members, device=problem.initial.device)
        self._given = problem.passed(self._everyone, problem.start)  # times written so far, [members]
        at_start = torch.arange(n_times, device=problem.initial.device) < self._given[:, None]
        self.states[at_start] = problem.initial.repeat_interleave(self._given, 0)

    def __call__(self, trial: Trial) -> None:
        """Write the wanted times in the steps that are taken."""
        given = self._given[trial.members]
        upto = torch.where(trial.taken, self.problem.passed(trial.members, trial.t + trial.h), given)
        counts = upto - given
        total = int(counts.sum())
        if not total:
            return
        rows = torch.repeat_interleave(self._everyone[: len(counts)], counts, output_size=total)  # [pairs]
        before = torch.cumsum(counts, 0) - counts - given
        numbers = torch.arange(total, device=rows.device) - before[rows]  # of the times, [pairs]
        members = trial.members[rows]
        theta = (self.problem.times_at(members, numbers) - trial.t[rows]) / trial.h[rows]
        inside = polynomial(trial.h, trial.state, trial.slopes).index_select(0, rows)
        self.states[members, numbers] = interpolate(inside, theta.to(inside.dtype))
        self._given[trial.members] = upto
