"""Derivatives of roll-outs by parameters and initial states, in forward mode: one pass for all windows and entries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.spec import ModelSpec, Params
from potentia.dynamics.vector import flatten_params, unflatten_params

__all__ = ["RolloutJacobian", "entry_names", "rollout_jacobian", "windows_at_a_time"]

HELD = 2**23
"""Numbers of a Jacobian that are held at a time (64 MiB of float64)."""


@dataclass(frozen=True, eq=False)
class RolloutJacobian:
    """States of a roll-out, and how they change."""

    states: Tensor
    """[windows, steps, states]"""
    by_params: Tensor
    """Each entry is that of a parameter of the window itself.  [windows, steps, states, entries]"""
    by_initial: Tensor | None
    """By the initial state of the window.  [windows, steps, states, states]"""


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
    """Return a roll-out with its derivatives; windows do not depend on each other, so each entry is varied in all.

    Args:
        spec: The model.
        initial_states: [windows, states]
        controls: [windows, steps, controls]
        params: By name, of each window [windows, *shape] or the same for all [*shape].
        dt: Lengths of the steps (s): one for all, or [windows, steps].
        settings: How the equations are solved.
        by_initial: Whether derivatives by the initial states are wanted too.
    """
    keys, shapes = spec.param_keys, spec.param_shapes
    whole = {
        key: torch.as_tensor(params[key]).to(initial_states).expand(len(initial_states), *shapes[key]) for key in keys
    }
    vector = flatten_params(whole, keys, shapes)  # [windows, entries]
    entries, states = vector.shape[1], initial_states.shape[1]

    def solved(shift: Tensor) -> tuple[Tensor, Tensor]:
        moved = unflatten_params(vector + shift[:entries], keys, shapes)
        start = initial_states + shift[entries:] if by_initial else initial_states
        found = rollout(spec, start, controls, moved, dt, settings)
        return found, found

    nothing = torch.zeros(entries + (states if by_initial else 0)).to(initial_states)
    jacobian, found = torch.func.jacfwd(solved, has_aux=True)(nothing)
    first, rest = jacobian[..., :entries], jacobian[..., entries:]
    return RolloutJacobian(found.detach(), first.detach(), rest.detach() if by_initial else None)


def windows_at_a_time(steps: int, states: int, columns: int) -> int:
    """Return how many windows have a Jacobian that is held at a time."""
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
