"""What a solver returns: the states at the wanted times, and for each member how it went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

__all__ = ["Solution", "Status", "solution_of_fixed_steps"]


class Status(IntEnum):
    """How the solution of a member ended."""

    DONE = 0
    """The last wanted time was reached."""
    TOO_MANY_STEPS = 1
    """The allowed number of steps did not suffice."""
    STEP_TOO_SMALL = 2
    """The tolerance asked for steps that no longer change the time: the equations are stiff, or the state diverges."""
    NOT_FINITE = 3
    """Rates or state became infinite or NaN."""


@dataclass(frozen=True, eq=False)
class Solution:
    """States of many members at their wanted times."""

    states: Tensor
    """NaN from where a member has failed on.  [members, times, states]"""
    status: Tensor
    """A `Status` for each member, as integers.  [members]"""
    steps: Tensor
    """Steps that brought a member forward.  [members]"""
    rejected: Tensor
    """Steps that were tried and had too large an error.  [members]"""

    def failures(self) -> dict[int, Status]:
        """Return the status of each member that did not reach its last time, by its number."""
        failed = torch.nonzero(self.status)[:, 0].tolist()
        return {member: Status(int(self.status[member])) for member in failed}


def solution_of_fixed_steps(states: Tensor, steps: int) -> Solution:
    """Return the record of a method without error control; what is behind a state that is not finite is NaN."""
    finite = torch.isfinite(states.detach()).all(-1)  # [members, times]
    if not finite.all():
        states = states.masked_fill(~finite.to(torch.int8).cummin(1).values.bool()[..., None], torch.nan)
    status = torch.where(finite.all(1), int(Status.DONE), int(Status.NOT_FINITE))
    return Solution(states, status, torch.full_like(status, steps), torch.zeros_like(status))
