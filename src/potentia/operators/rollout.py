"""A network applied again and again: fields over time from the initial ones."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from potentia.checks import choice, integer
from potentia.operators.networks.base import FieldNetwork

__all__ = ["Gradient", "rollout"]

Gradient: TypeAlias = Literal["all", "none"] | int
"""Through all steps, through none, or through so many steps at a time: behind each of them the field is detached."""


def rollout(
    network: FieldNetwork,
    initial: Tensor,
    parameters: Tensor | None,
    steps: int,
    *,
    grad: Gradient = "all",
    checkpoint_steps: bool = False,
) -> Tensor:
    """Return the fields after 0, 1, … ``steps`` steps; entry 0 is ``initial`` itself.

    Args:
        network: One step in time.
        initial: Normalised.  [samples, channels, *grid]
        parameters: Embedded parameters [samples, parameters], None where there are none.
        steps: How many.
        grad: Which steps gradients go through.
        checkpoint_steps: Whether a step keeps its two fields only and is computed again when its gradient is asked for:
            memory of one step instead of all, for about a third more time, and the same gradients.

    Returns:
        Normalised.  [samples, steps + 1, channels, *grid]

    Raises:
        DataError: the network cannot work on such a grid.
    """
    integer("steps", steps, low=0)
    every = integer("grad", grad, low=1) if not isinstance(grad, str) else 0
    if isinstance(grad, str):
        choice("grad", grad, ("all", "none"))
    network.require_grid(tuple(initial.shape[2:]))
    fields = [initial]
    with torch.set_grad_enabled(torch.is_grad_enabled() and grad != "none"):
        for number in range(steps):
            now = fields[-1].detach() if every and number and number % every == 0 else fields[-1]
            fields.append(_step(network, now, parameters, checkpoint_steps=checkpoint_steps))
    return torch.stack(fields, 1)


def _step(network: FieldNetwork, now: Tensor, parameters: Tensor | None, *, checkpoint_steps: bool) -> Tensor:
    if checkpoint_steps and torch.is_grad_enabled():
        kept: Tensor = checkpoint(network, now, parameters, use_reentrant=False)
        return kept
    new: Tensor = network(now, parameters)
    return new
