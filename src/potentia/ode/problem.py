"""What is to be solved: rates, initial states and the wanted times of many members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.errors import DataError

__all__ = ["Problem", "Rates", "problem_of"]

Rates = Callable[..., Tensor]
"""Times [members], states [members, states] and, one after the other, the constants of the same members → rates of
change [members, states]. Row i must depend on row i of the arguments only; the members given are some of all."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Members that share their rates and nothing else."""

    rates: Rates
    initial: Tensor
    """States at ``start``.  [members, states]"""
    times: Tensor
    """Wanted times in ascending order, shared by all [times] or of each [members, times]; float64."""
    start: Tensor
    """Time of the initial state.  [members], float64"""
    constants: tuple[Tensor, ...] = ()
    """What the rates of a member depend on besides time and state.  [members, ...] each"""

    @property
    def end(self) -> Tensor:
        """Last wanted time.  [members]"""
        return self.times.detach()[..., -1].expand(len(self.initial))

    def passed(self, members: Tensor, t: Tensor) -> Tensor:
        """Return how many of their times these members have behind them at ``t``.  [some members]"""
        if self.times.ndim == 1:
            return torch.searchsorted(self.times.detach(), t, right=True)
        return torch.searchsorted(self.times.detach()[members], t[:, None], right=True)[:, 0]

    def times_at(self, members: Tensor, numbers: Tensor) -> Tensor:
        """Return the wanted times of these numbers.  [pairs]"""
        return self.times[numbers] if self.times.ndim == 1 else self.times[members, numbers]

    def rates_at(self, t: Tensor, states: Tensor) -> Tensor:
        """Return the rates of all members.  [members, states]"""
        return self.rates(t.to(states.dtype), states, *self.constants)


def problem_of(
    rates: Rates, initial: Tensor, times: Tensor, start: Tensor | float | None, constants: tuple[Tensor, ...]
) -> Problem:
    """Return the checked problem; ``start`` None is the first wanted time of each member."""
    if initial.ndim != 2 or not initial.is_floating_point():
        raise DataError(f"`initial` must be floats [members, states], got {initial.dtype} of shape {_shape(initial)}")
    members = len(initial)
    if times.ndim not in {1, 2} or not times.shape[-1] or (times.ndim == 2 and len(times) != members):
        raise DataError(
            f"`times` must have shape [times] or [members, times] with {members} members, got {_shape(times)}"
        )
    for number, constant in enumerate(constants):
        if constant.ndim < 1 or len(constant) != members:
            raise DataError(f"constant {number} must have a row for each of {members} members, got {_shape(constant)}")
    times = times.to(initial.device, torch.float64)
    begin = torch.as_tensor(times.detach()[..., 0] if start is None else start, dtype=torch.float64).to(times.device)
    if begin.ndim > 1 or (begin.ndim == 1 and len(begin) != members):
        raise DataError(f"`start` must be one time or one for each of {members} members, got shape {_shape(begin)}")
    _require_order(times.detach(), begin.detach())
    return Problem(rates, initial, times, begin.detach().expand(members).contiguous(), constants)


def _require_order(times: Tensor, start: Tensor) -> None:
    first = start[..., None].expand(*times.shape[:-1], 1) if start.ndim < times.ndim else start[:, None]
    rows = times.expand(len(first), -1) if first.ndim == 2 else times
    chain = torch.cat((first, rows), -1)
    wrong = ~(chain[..., 1:] >= chain[..., :-1])
    if not wrong.any() and bool(torch.isfinite(chain).all()):
        return
    where = torch.nonzero(wrong | ~torch.isfinite(chain[..., 1:]))
    member = f" of member {int(where[0, 0])}" if wrong.ndim == 2 and len(where) else ""
    raise DataError(
        f"`times`{member} must be finite, in ascending order and none before the start: sort them, and begin the "
        "solution at the first of them"
    )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
