"""Windows rolled out: initial states, controls and parameters → states after each step, differentiable throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from potentia.checks import choice, did_you_mean, integer
from potentia.dynamics.compiled import Plan, plan_of, roll_out
from potentia.dynamics.spec import ModelSpec, Params
from potentia.dynamics.vector import flatten_params, unflatten_params
from potentia.errors import ConfigError, DataError
from potentia.ode import Euler, FixedStep, RungeKutta4, solve_controlled

__all__ = [
    "RolloutSettings",
    "matrix_of",
    "plan_for",
    "require_limits",
    "require_shapes",
    "rollout",
    "rollout_of_entries",
    "rows_of",
]

Integrator = Literal["rk4", "euler", "rk4-clamped"]


@dataclass(frozen=True, kw_only=True)
class RolloutSettings:
    """How the equations are solved."""

    method: Integrator = "rk4"
    """``"rk4"``; ``"euler"``; or ``"rk4-clamped"``, whose steps never cross a limit of a controlled state."""
    substeps: int = 1
    """Equal steps inside a step of the data, over which the controls are held."""
    compiled: bool = True
    """Whether roll-outs on the CPU are machine code where the model allows it: `compiled.why_not_compiled` says."""

    def __post_init__(self) -> None:
        choice("method", self.method, ("rk4", "euler", "rk4-clamped"))
        integer("substeps", self.substeps, low=1)

    def solver(self) -> FixedStep:
        """Return the method with its substeps."""
        return Euler(substeps=self.substeps) if self.method == "euler" else RungeKutta4(substeps=self.substeps)


def rollout(
    spec: ModelSpec,
    initial_states: Tensor,
    controls: Tensor,
    params: Params,
    dt: Tensor | float,
    settings: RolloutSettings | None = None,
) -> Tensor:
    """Return the states after each step.  [windows, steps, states]

    Angles are not wrapped. A window whose states are no longer finite has NaN from there on. Compiled
    roll-outs depend neither on the number of threads nor on which windows stand side by side, to the last bit.

    Args:
        spec: The model.
        initial_states: [windows, states]
        controls: What is held over each step.  [windows, steps, controls]
        params: Parameters by name, of each window [windows, *shape] or the same for all [*shape].
        dt: Lengths of the steps (s): one for all, or [windows, steps].
        settings: How the equations are solved; ``RolloutSettings()`` if None.

    Raises:
        DataError: shapes do not agree.
        ConfigError: a parameter is missing or unknown, or the model has no limits to clamp to.
    """
    settings = RolloutSettings() if settings is None else settings
    require_shapes(spec, initial_states, controls, dt)
    vector = matrix_of(spec, rows_of(spec, params, initial_states))
    return rollout_of_entries(spec, initial_states, controls, vector, dt, settings)


def rollout_of_entries(
    spec: ModelSpec,
    initial_states: Tensor,
    controls: Tensor,
    vector: Tensor,
    dt: Tensor | float,
    settings: RolloutSettings,
) -> Tensor:
    """Return what `rollout` does for parameters behind each other [windows, entries], as a network predicts them."""
    require_limits(spec, settings)
    plan = plan_for(spec, settings, [initial_states, controls, vector], dt)
    if plan is not None:
        return roll_out(plan, initial_states, controls, vector)
    keys, windows, steps = spec.param_keys, *controls.shape[:2]
    rows = unflatten_params(vector, keys, spec.param_shapes).values()
    fixed = spec.with_constants(initial_states, {})
    lengths = torch.as_tensor(dt, dtype=torch.float64, device=initial_states.device).expand(windows, steps)
    times = torch.cat((torch.zeros_like(lengths[:, :1]), lengths.cumsum(1)), 1)

    def rates(t: Tensor, states: Tensor, held: Tensor, *given: Tensor) -> Tensor:
        return spec.dynamics_fn(states, held, {**fixed, **dict(zip(keys, given, strict=True))})

    def limit(states: Tensor, held: Tensor, h: Tensor, *given: Tensor) -> Tensor:
        assert spec.limit_fn is not None
        return spec.limit_fn(states, held, h, {**fixed, **dict(zip(keys, given, strict=True))})

    clamped = limit if settings.method == "rk4-clamped" else None
    solved = solve_controlled(
        rates, initial_states, times, controls, settings.solver(), limit=clamped, constants=tuple(rows)
    )
    return solved.states[:, 1:]


def plan_for(spec: ModelSpec, settings: RolloutSettings, given: Sequence[Tensor], dt: Tensor | float) -> Plan | None:
    """Return how the roll-out is compiled; None where torch takes the steps.

    That is on other devices, in mixed precision, for derivatives by the lengths of the steps, and inside `torch.func`
    and forward differentiation, which compiled roll-outs do not see through.
    """
    initial_states, controls = given[:2]
    lengths = torch.as_tensor(dt, dtype=torch.float64)
    plain = all(one.device.type == "cpu" and one.dtype == initial_states.dtype for one in given)
    watched = torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0
    if not (settings.compiled and plain) or watched or lengths.requires_grad or lengths.device.type != "cpu":
        return None
    return plan_of(spec, settings.method, settings.substeps, initial_states, lengths.expand(controls.shape[:2]))


def matrix_of(spec: ModelSpec, rows: Sequence[Tensor]) -> Tensor:
    """Return the entries of all parameters.  [windows, entries]"""
    return flatten_params(dict(zip(spec.param_keys, rows, strict=True)), spec.param_keys, spec.param_shapes)


def require_limits(spec: ModelSpec, settings: RolloutSettings) -> None:
    """Raise `ConfigError` where the method clamps to limits that the model does not have."""
    if settings.method == "rk4-clamped" and spec.limit_fn is None:
        raise ConfigError(f"method 'rk4-clamped' needs limits, and model {spec.name!r} has none: take 'rk4'")


def require_shapes(spec: ModelSpec, initial_states: Tensor, controls: Tensor, dt: Tensor | float) -> tuple[int, int]:
    """Return windows and steps, or raise `DataError` where shapes do not agree."""
    if initial_states.ndim != 2 or initial_states.shape[1] != len(spec.states):
        raise DataError(
            f"`initial_states` must have shape [windows, {len(spec.states)}] for {', '.join(spec.state_names)}, got "
            f"{tuple(initial_states.shape)}"
        )
    wanted = (len(initial_states), len(spec.controls))
    if controls.ndim != 3 or (controls.shape[0], controls.shape[2]) != wanted:
        raise DataError(
            f"`controls` must have shape [{wanted[0]}, steps, {wanted[1]}] for {', '.join(spec.control_names)}, got "
            f"{tuple(controls.shape)}"
        )
    shape = () if isinstance(dt, float | int) else tuple(dt.shape)
    if shape not in {(), (1,), tuple(controls.shape[:2])}:
        raise DataError(f"`dt` must be one number or have shape {tuple(controls.shape[:2])}, got {shape}")
    return len(initial_states), controls.shape[1]


def rows_of(spec: ModelSpec, params: Params, like: Tensor) -> list[Tensor]:
    """Return the parameters in the order of the model, one row for each window; refuse wrong names and shapes."""
    for key in params:
        if key not in spec.param_keys:
            raise ConfigError(f"model {spec.name!r} has no parameter {key!r}{did_you_mean(key, spec.param_keys)}")
    rows = []
    for parameter in spec.parameters:
        if parameter.name not in params:
            raise ConfigError(f"parameter {parameter.name!r} of model {spec.name!r} is missing: give it, or fix it")
        value = torch.as_tensor(params[parameter.name], dtype=like.dtype, device=like.device)
        if tuple(value.shape) not in {parameter.shape, (len(like), *parameter.shape)}:
            raise DataError(
                f"parameter {parameter.name!r} must have shape {parameter.shape} or {(len(like), *parameter.shape)}, "
                f"got {tuple(value.shape)}"
            )
        rows.append(value.expand(len(like), *parameter.shape))
    return rows
