"""Compiled roll-outs of tensors: a function that torch differentiates once, and all derivatives by the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from potentia.dynamics.compiled.codegen import table_of
from potentia.dynamics.compiled.equations import Equations
from potentia.dynamics.compiled.model import equations_of
from potentia.dynamics.compiled.rollouts_numba import BLOCKS, CLAMPED_RK4, EULER, PLAIN_RK4, STEPS, backward, forward
from potentia.dynamics.compiled.tangents_numba import forward_with_tangents
from potentia.dynamics.spec import ModelSpec
from potentia.simd.lanes import LANES
from potentia.simd.sharing import share

__all__ = ["METHODS", "Plan", "plan_of", "roll_out", "roll_out_with_tangents"]

METHODS = {"euler": EULER, "rk4": PLAIN_RK4, "rk4-clamped": CLAMPED_RK4}
MOST_TANGENTS = 4096
"""Derivatives of prepared numbers by parameters that are written out; models with more go through torch."""
WORTH = 64
"""Blocks times steps that are worth a thread."""
PLACE = 3
"""Which argument of a kernel says how many blocks and steps there are."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a roll-out is made of besides what it is differentiated by."""

    equations: Equations
    method: int
    """One of `METHODS`."""
    substeps: int
    constants: Tensor
    """Numbers that are the same for all windows, in the order of the model.  [entries]"""
    lengths: Tensor
    """Of the steps (s); one number may stand for many, expanded.  [windows, steps]"""

    @property
    def has_tangents(self) -> bool:
        """Whether derivatives by all parameters are few enough."""
        return self.equations.n_params * self.equations.n_prepared <= MOST_TANGENTS

    def arguments(self, further: str, initial: Tensor, controls: Tensor, params: Tensor) -> tuple[Any, ...]:
        """Return what each kernel is given in front; ``further`` is the part of the equations that it needs as well."""
        table = table_of(self.equations, str(initial.dtype).removeprefix("torch."), further)
        windows, steps = controls.shape[:2]
        by_window, by_step = self.lengths.stride()
        lengths = self.lengths.as_strided((1 + (windows - 1) * by_window + (steps - 1) * by_step,), (1,))
        place = np.array((-(-windows // LANES), windows, steps, by_window, by_step), dtype=np.int64)
        flat = [_flat(one) for one in (initial, controls, params, self.constants)]
        return (table, self.method, self.substeps, place, *flat, lengths.numpy())


def plan_of(spec: ModelSpec, method: str, substeps: int, like: Tensor, lengths: Tensor) -> Plan | None:
    """Return the plan of a model's roll-outs, None where they are not compiled.

    Args:
        spec: The model.
        method: A name of `METHODS`.
        substeps: In each step.
        like: Initial states; their precision is that of the roll-out.
        lengths: [windows, steps] (s)
    """
    equations = equations_of(spec, like.dtype)
    if equations is None:
        return None
    constants = [one.reshape(-1) for one in spec.with_constants(like, {}).values()]
    flat = torch.cat(constants) if constants else like.new_empty(0)
    return Plan(equations, METHODS[method], substeps, flat, lengths.detach().to(like.dtype))


def roll_out(plan: Plan, initial: Tensor, controls: Tensor, params: Tensor) -> Tensor:
    """Return the states after each step.  [windows, steps, states]

    Derivatives go to all three tensors; those of a window whose states are no longer finite are NaN.

    Args:
        plan: Equations, method and lengths.
        initial: [windows, states]
        controls: [windows, steps, controls]
        params: Entries of all parameters.  [windows, entries]
    """
    found: Tensor = _RollOut.apply(plan, initial, controls, params)
    return found


def roll_out_with_tangents(
    plan: Plan, initial: Tensor, controls: Tensor, params: Tensor, *, by_initial: bool = False
) -> tuple[Tensor, Tensor]:
    """Return states [windows, steps, states], and their derivatives by the parameters [..., entries (+ states)].

    With ``by_initial`` those by the initial states stand behind.
    """
    windows, steps = controls.shape[:2]
    further = initial.shape[1] if by_initial else 0
    states = initial.new_empty((windows, steps, initial.shape[1]))
    jacobian = initial.new_empty((*states.shape, params.shape[1] + further))
    if jacobian.numel():
        given = (*plan.arguments("tangents", initial, controls, params), further)
        _run(forward_with_tangents, given, states.view(-1).numpy(), jacobian.view(-1).numpy())
    return states, jacobian


class _RollOut(torch.autograd.Function):
    """The states of a roll-out."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, initial: Tensor, controls: Tensor, params: Tensor) -> Tensor:
        windows, steps = controls.shape[:2]
        states = initial.new_empty((windows, steps, initial.shape[1]))
        if states.numel():
            _run(forward, plan.arguments("forward", initial, controls, params), states.view(-1).numpy())
        ctx.plan = plan
        ctx.save_for_backward(initial, controls, params, states)
        return states

    @staticmethod
    def backward(ctx: Any, cotangents: Tensor) -> tuple[Tensor | None, ...]:
        initial, controls, params, states = ctx.saved_tensors
        found = _OnlyOnce.apply(ctx.plan, cotangents, initial, controls, params, states)
        return None, *found


class _OnlyOnce(torch.autograd.Function):
    """The derivatives of a roll-out."""

    @staticmethod
    def forward(
        ctx: Any, plan: Plan, cotangents: Tensor, initial: Tensor, controls: Tensor, params: Tensor, states: Tensor
    ) -> tuple[Tensor, ...]:
        found = tuple(torch.zeros(one.shape, dtype=one.dtype) for one in (initial, controls, params))
        if states.numel():
            given = (*plan.arguments("backward", initial, controls, params), _flat(states), _flat(cotangents))
            _run(backward, given, *(one.view(-1).numpy() for one in found))
        return found

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        raise NotImplementedError("a compiled roll-out can be differentiated once: for more take compiled=False")


def _run(kernel: Any, arguments: tuple[Any, ...], *filled: Any) -> None:
    """Call a kernel, which fills the last arrays, for all blocks."""
    blocks, steps = int(arguments[PLACE][BLOCKS]), int(arguments[PLACE][STEPS])
    share(kernel, min(blocks, blocks * steps // WORTH), *arguments, *filled)


def _flat(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().view(-1).numpy()
