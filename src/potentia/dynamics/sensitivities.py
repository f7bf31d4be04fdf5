"""Derivatives of roll-outs by parameters and initial states: the equations of variation along the steps taken.

Where the model is compiled, tangents go along with the states in machine code. Elsewhere a window is rolled out once
and every state at which rates were asked is kept. The derivatives of the rates at all of them, of all windows at once,
are then a backward pass for each state, and the chain rule goes through the steps: exact derivatives of what the
integrator computes, not of the equation that it approximates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.dynamics.compiled import roll_out_with_tangents
from potentia.dynamics.rollout import (
    RolloutSettings,
    matrix_of,
    plan_for,
    require_limits,
    require_shapes,
    rows_of,
)
from potentia.dynamics.spec import ModelSpec, Params
from potentia.dynamics.vector import unflatten_params

__all__ = ["RolloutJacobian", "entry_names", "rollout_jacobian", "windows_at_a_time"]

HELD = 2**22
"""Derivatives that are held at a time, of states or of rates (32 MiB of float64)."""
RUNGE_KUTTA = ((0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
EULER = ((0.0,), (1.0,))


@dataclass(frozen=True, eq=False)
class RolloutJacobian:
    """States of a roll-out, and how they change."""

    states: Tensor
    """[windows, steps, states]"""
    by_params: Tensor
    """By the parameters of the window itself, as `flatten_params` orders them.  [windows, steps, states, entries]"""
    by_initial: Tensor | None
    """By the initial state of the window; None where not asked for.  [windows, steps, states, states]"""


@dataclass(frozen=True, eq=False)
class _Walk:
    """A roll-out with all that rates were asked for; asked = steps · substeps · stages."""

    states: Tensor
    """After each step.  [windows, steps, states]"""
    begun: Tensor
    """At the beginning of each substep.  [steps · substeps, windows, states]"""
    asked: Tensor
    """[asked, windows, states]"""
    held: Tensor
    """Controls of each substep.  [steps · substeps, windows, controls]"""
    h: Tensor
    """Length of each substep (s).  [steps · substeps, windows, 1]"""

    def part(self, rows: slice) -> _Walk:
        """Return some of the windows."""
        return _Walk(self.states[rows], self.begun[:, rows], self.asked[:, rows], self.held[:, rows], self.h[:, rows])


def rollout_jacobian(
    spec: ModelSpec,
    initial_states: Tensor,
    controls: Tensor,
    params: Params,
    dt: Tensor | float,
    settings: RolloutSettings | None = None,
    *,
    by_initial: bool = False,
) -> RolloutJacobian:
    """Return the states after each step, and their derivatives by each window's parameters.

    What is given is that of `rollout`. Nothing that is returned can be differentiated further.

    Args:
        spec: The model.
        initial_states: [windows, states]
        controls: [windows, steps, controls]
        params: By name, of each window [windows, *shape] or the same for all [*shape].
        dt: Lengths of the steps (s): one for all, or [windows, steps].
        settings: How the equations are solved; ``RolloutSettings()`` if None.
        by_initial: Whether derivatives by the initial states are wanted too.

    Raises:
        DataError: shapes do not agree.
        ConfigError: a parameter is missing or unknown, or the model has no limits to clamp to.
    """
    settings = RolloutSettings() if settings is None else settings
    require_shapes(spec, initial_states, controls, dt)
    require_limits(spec, settings)
    initial, controls = initial_states.detach(), controls.detach()
    vector = matrix_of(spec, rows_of(spec, params, initial)).detach()  # [windows, entries]
    plan = plan_for(spec, settings, [initial, controls, vector], dt)
    if plan is not None and plan.has_tangents:
        states, jacobian = roll_out_with_tangents(plan, initial, controls, vector, by_initial=by_initial)
    else:
        windows, steps = controls.shape[:2]
        lengths = torch.as_tensor(dt, dtype=torch.float64).to(initial).expand(windows, steps)
        h = (lengths / settings.substeps).T[..., None].repeat_interleave(settings.substeps, 0)
        with torch.no_grad():
            walk = _walk(spec, initial, controls, vector, h, settings)
        states, jacobian = walk.states, _jacobian(spec, walk, controls, vector, settings, by_initial)
    entries = vector.shape[1]
    return RolloutJacobian(states, jacobian[..., :entries], jacobian[..., entries:] if by_initial else None)


def windows_at_a_time(steps: int, states: int, columns: int) -> int:
    """Return how many windows have derivatives that are held at a time."""
    return max(1, HELD // (steps * states * columns))


def entry_names(spec: ModelSpec) -> list[str]:
    """Return a name for each entry of the vector of parameters: ``"mu"``, ``"W1[0, 3]"``."""
    names = []
    for parameter in spec.parameters:
        if not parameter.shape:
            names.append(parameter.name)
            continue
        indices = torch.cartesian_prod(*(torch.arange(axis) for axis in parameter.shape)).reshape(parameter.size, -1)
        names += [f"{parameter.name}[{', '.join(map(str, row))}]" for row in indices.tolist()]
    return names


def _method(settings: RolloutSettings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return nodes and weights of the stages; each stage begins from the one before it."""
    return EULER if settings.method == "euler" else RUNGE_KUTTA


def _rates(spec: ModelSpec) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return rates as a function of states, controls and the vector of parameters, each [rows, ...]."""

    def rates(states: Tensor, held: Tensor, vector: Tensor) -> Tensor:
        params = unflatten_params(vector, spec.param_keys, spec.param_shapes)
        return spec.dynamics_fn(states, held, spec.with_constants(states, params))

    return rates


def _limits(spec: ModelSpec) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return the used controls as a function of states, vector, given controls and length, each [rows, ...]."""

    def limits(states: Tensor, vector: Tensor, given: Tensor, h: Tensor) -> Tensor:
        assert spec.limit_fn is not None
        params = unflatten_params(vector, spec.param_keys, spec.param_shapes)
        return spec.limit_fn(states, given, h, spec.with_constants(states, params))

    return limits


def _walk(
    spec: ModelSpec, initial: Tensor, controls: Tensor, vector: Tensor, h: Tensor, settings: RolloutSettings
) -> _Walk:
    nodes, weights = _method(settings)
    rates, limits = _rates(spec), _limits(spec)
    state, states, begun, asked, used = initial, [], [], [], []
    for k in range(len(h)):
        held = controls[:, k // settings.substeps]
        if settings.method == "rk4-clamped":
            held = limits(state, vector, held, h[k])
        begun.append(state)
        used.append(held)
        rate, total = torch.zeros_like(state), torch.zeros_like(state)
        for node, weight in zip(nodes, weights, strict=True):
            place = torch.addcmul(begun[-1], node * h[k], rate)
            rate = rates(place, held, vector)
            total = total + weight * rate
            asked.append(place)
        state = torch.addcmul(begun[-1], h[k], total)
        if (k + 1) % settings.substeps == 0:
            states.append(state)
    return _Walk(torch.stack(states, 1), torch.stack(begun), torch.stack(asked), torch.stack(used), h)


def _jacobian(
    spec: ModelSpec, walk: _Walk, controls: Tensor, vector: Tensor, settings: RolloutSettings, by_initial: bool
) -> Tensor:
    """Return what `_along` does, for as many windows at a time as the derivatives of their rates can be held of."""
    asked, windows, states = walk.asked.shape
    size = windows_at_a_time(asked, states, vector.shape[1] + states)
    parts = [slice(begin, begin + size) for begin in range(0, windows, size)]
    found = [_along(spec, walk.part(rows), controls[rows], vector[rows], settings, by_initial) for rows in parts]
    return torch.cat(found)


def _along(
    spec: ModelSpec, walk: _Walk, controls: Tensor, vector: Tensor, settings: RolloutSettings, by_initial: bool
) -> Tensor:
    """Return the derivatives of the states after each step.  [windows, steps, states, entries (+ states)]"""
    nodes, weights = _method(settings)
    held = walk.held.repeat_interleave(len(nodes), 0)
    by_state, by_held, by_entry = _derivatives(_rates(spec), walk.asked, held, vector.expand(len(held), -1, -1))
    clamped = settings.method == "rk4-clamped"
    if clamped:
        given = controls.transpose(0, 1).repeat_interleave(settings.substeps, 0)
        held_by_state, held_by_entry, *_ = _derivatives(
            _limits(spec), walk.begun, vector.expand(len(given), -1, -1), given, walk.h
        )
    windows, entries = vector.shape
    states = walk.begun.shape[-1]
    change = vector.new_zeros(windows, states, entries + (states if by_initial else 0))
    if by_initial:
        change[..., entries:] = torch.eye(states).to(change)
    found = []
    for k in range(len(walk.h)):
        h = walk.h[k][..., None]  # [windows, 1, 1]
        rate, total = torch.zeros_like(change), torch.zeros_like(change)
        if clamped:
            turned = held_by_state[k] @ change
            turned[..., :entries] += held_by_entry[k]
        for stage, (node, weight) in enumerate(zip(nodes, weights, strict=True)):
            n = k * len(nodes) + stage
            rate = by_state[n] @ torch.addcmul(change, node * h, rate)
            rate[..., :entries] += by_entry[n]
            if clamped:
                rate += by_held[n] @ turned
            total = total + weight * rate
        change = torch.addcmul(change, h, total)
        if (k + 1) % settings.substeps == 0:
            found.append(change)
    return torch.stack(found, 1)


def _derivatives(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """Return the derivatives of a function of rows by each of its inputs, [..., values of a row, inputs of a row]."""
    leading = inputs[0].shape[:-1]
    leaves = [one.flatten(0, -2).detach().clone().requires_grad_() for one in inputs]
    with torch.enable_grad():
        values = function(*leaves)  # [rows, values]
    rows: list[list[Tensor]] = [[] for _ in leaves]
    for k in range(values.shape[1]):
        grads = torch.autograd.grad(
            values[:, k].sum(), leaves, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for found, grad in zip(rows, grads, strict=True):
            found.append(grad)
    return [torch.stack(found, 1).unflatten(0, leading) for found in rows]
