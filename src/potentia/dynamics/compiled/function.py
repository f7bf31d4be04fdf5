"""Compiled roll-outs of tensors, as a function that torch differentiates once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from potentia.dynamics.compiled.codegen import Compiled
from potentia.dynamics.compiled.rollouts_numba import CLAMPED_RK4, EULER, PLAIN_RK4, backward, forward
from potentia.simd.threads import torch_threads

__all__ = ["METHODS", "Plan", "roll_out"]

METHODS = {"euler": EULER, "rk4": PLAIN_RK4, "rk4-clamped": CLAMPED_RK4}


@dataclass(frozen=True, eq=False)
class Plan:
    """What a roll-out is made of besides tensors with derivatives."""

    compiled: Compiled
    method: int
    """One of `METHODS`."""
    substeps: int
    constants: Tensor
    """Numbers that are the same for all windows, in the order of the model.  [entries]"""
    lengths: Tensor
    """Of the steps (s), expanded.  [windows, steps]"""

    def arguments(self, initial: Tensor, controls: Tensor, params: Tensor) -> tuple[Any, ...]:
        """Return what the kernels are given in front."""
        windows, steps = controls.shape[:2]
        stride = self.lengths.stride()
        kept = self.lengths.as_strided((1 + (windows - 1) * stride[0] + (steps - 1) * stride[1],), (1,))
        flat = [_flat(one) for one in (initial, controls, params, self.constants)]
        shape = (np.array(stride, dtype=np.int64), windows, steps)
        return (self.compiled, self.method, self.substeps, *flat, kept.numpy(), *shape)


def roll_out(plan: Plan, initial: Tensor, controls: Tensor, params: Tensor) -> Tensor:
    """Return the states after each step.  [windows, steps, states]

    Args:
        plan: Equations, method and lengths.
        initial: [windows, states]
        controls: [windows, steps, controls]
        params: Entries of all parameters.  [windows, entries]
    """
    found: Tensor = _RollOut.apply(plan, initial, controls, params)
    return found


class _RollOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, initial: Tensor, controls: Tensor, params: Tensor) -> Tensor:
        windows, steps = controls.shape[:2]
        states = initial.new_empty((windows, steps, initial.shape[1]))
        if windows and steps:
            with torch_threads():
                forward(*plan.arguments(initial, controls, params), states.view(-1).numpy())
        ctx.plan = plan
        ctx.save_for_backward(initial, controls, params, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangents: Tensor) -> tuple[Tensor | None, ...]:
        initial, controls, params, states = ctx.saved_tensors
        found = [torch.zeros(one.shape, dtype=one.dtype) for one in (initial, controls, params)]
        if states.numel():
            with torch_threads():
                backward(
                    *ctx.plan.arguments(initial, controls, params),
                    _flat(states),
                    _flat(cotangents),
                    *(one.view(-1).numpy() for one in found),
                )
        return None, *found


def _flat(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().view(-1).numpy()
