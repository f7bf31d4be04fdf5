"""Systems with controls that are held between two times, and limits that no step may cross."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from potentia.errors import DataError
from potentia.ode.fixed_step import FixedStep, march
from potentia.ode.problem import Rates, problem_of
from potentia.ode.solution import Solution

__all__ = ["Limit", "solve_controlled"]

Limit = Callable[..., Tensor]
"""States [members, states], controls [members, controls], length of a step [members, 1] and the constants → the
controls that the step may use [members, controls]."""


def solve_controlled(
    rates: Rates,
    initial: Tensor,
    times: Tensor,
    controls: Tensor,
    method: FixedStep,
    *,
    limit: Limit | None = None,
    constants: tuple[Tensor, ...] = (),
) -> Solution:
    """Solve dy/dt = rates(t, y, u, *constants) where u is held from each wanted time to the next.

    A state with a limit (a steering angle, a valve) whose rate is a control stays inside it to rounding when ``limit``
    shortens that control to what the step has room for: it is asked before each substep.

    Args:
        rates: Times [members], states [members, states], controls [members, controls], constants → [members, states].
        initial: States at the first time.  [members, states]
        times: Shared by all [times] or of each [members, times]; in ascending order.
        controls: What is held from each time to the next.  [members, times − 1, controls]
        method: Settings of the method; a step never goes across a wanted time.
        limit: Says which controls a step may use; None for the given ones.
        constants: What the rates of a member depend on besides, given row by row.

    Raises:
        DataError: shapes do not agree, or times are not in order.
    """
    problem = problem_of(rates, initial, times, None, constants)
    wanted = (len(initial), times.shape[-1] - 1)
    if controls.ndim != 3 or tuple(controls.shape[:2]) != wanted:
        raise DataError(
            f"`controls` must have shape [members, times − 1, controls] = [{wanted[0]}, {wanted[1]}, ...], got "
            f"{tuple(controls.shape)}: each is held from one time to the next"
        )

    def held(interval: int, state: Tensor, h: Tensor) -> Rates:
        control = controls[:, interval - 1]
        used = control if limit is None else limit(state, control, h, *constants)
        return lambda t, y, *given: rates(t, y, used, *given)

    return march(method, problem, held)
