"""What a method is: settings, and the solution of a problem; and the one call that solves."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from potentia.ode.problem import Problem, Rates, problem_of
from potentia.ode.solution import Solution

__all__ = ["Method", "solve"]


class Method(ABC):
    """Settings of a method; a new one is a frozen dataclass below this one, in a file of its own."""

    @abstractmethod
    def solve_problem(self, problem: Problem) -> Solution:
        """Return the states of all members at their wanted times."""


def solve(
    rates: Rates,
    initial: Tensor,
    times: Tensor,
    method: Method,
    *,
    start: Tensor | float | None = None,
    constants: tuple[Tensor, ...] = (),
) -> Solution:
    """Solve dy/dt = rates(t, y, *constants) for many members at once.

    Derivatives by initial states, constants, times and all that the rates hold go through the steps. A member's steps
    depend on no other member. A member that fails has NaN from there on and says so in its status.

    Args:
        rates: Times [members], states [members, states], constants [members, ...] → [members, states]; row by row.
        initial: States at ``start``, in the precision that is solved in.  [members, states]
        times: Wanted times in ascending order, shared by all [times] or of each [members, times].
        method: Settings of the method.
        start: Time of the initial states, one for all or for each [members]; None for the first wanted time.
        constants: What the rates of a member depend on besides, given row by row.

    Raises:
        DataError: shapes do not agree, or times are not in order or before the start.

    Example:
        >>> import torch
        >>> from potentia.ode import Tsit5
        >>> decay = solve(lambda t, y: -y, torch.ones(2, 1), torch.tensor([0.0, 1.0]), Tsit5())
        >>> decay.states[:, 1, 0]
        tensor([0.3679, 0.3679])
    """
    return method.solve_problem(problem_of(rates, initial, times, start, constants))
