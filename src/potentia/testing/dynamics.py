"""Laws of models of dynamics: their derivatives, their axes, rest, turns of the plane, and what bounds stiffness."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from potentia.dynamics.motion import Motion
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.spec import ModelSpec, Params
from potentia.errors import ConfigError
from potentia.seeding import torch_stream
from potentia.testing.comparing import require, require_close

__all__ = [
    "at_rest_rates_and_derivatives_are_finite",
    "check_model",
    "defaults_lie_inside_the_bounds",
    "no_eigenvalue_is_larger_than_the_stiffness_says",
    "rates_take_any_leading_axes",
    "roll_outs_have_the_derivatives_of_differences",
    "turned_world_gives_the_turned_path",
]

TORCH = RolloutSettings(compiled=False)


def check_model(
    spec: ModelSpec, states: Tensor, controls: Tensor, params: Params, dt: float, settings: RolloutSettings = TORCH
) -> None:
    """Check the laws that hold for every model.

    Args:
        spec: The model.
        states: Initial ones, at which the rates are smooth.  [windows, states], float64
        controls: [windows, steps, controls], float64
        params: Within the bounds, of each window.  [windows, *shape] by name, float64
        dt: Length of a step (s).
        settings: How roll-outs are solved.

    Raises:
        AssertionError: a law is broken; the message names it.

    >>> from potentia.dynamics import get_model_spec
    >>> spec = get_model_spec("unicycle")
    >>> states, controls = torch.rand(3, 4, dtype=torch.float64) + 1, torch.rand(3, 5, 2, dtype=torch.float64)
    >>> params = {key: torch.as_tensor(value).expand(3) for key, value in spec.default_params.items()}
    >>> check_model(spec, states, controls, params, dt=0.02)
    """
    defaults_lie_inside_the_bounds(spec)
    rates_take_any_leading_axes(spec, states, controls[:, 0], params)
    roll_outs_have_the_derivatives_of_differences(spec, states, controls, params, dt, settings)


def defaults_lie_inside_the_bounds(spec: ModelSpec) -> None:
    """A default on a bound cannot be reached: a network gives what lies between the bounds."""
    for one in spec.parameters:
        low, high = one.bounds
        inside = bool(((one.values > low) & (one.values < high)).all())
        require("defaults lie inside the bounds", inside, f"{one.name} = {one.values} within [{low}, {high}]")


def rates_take_any_leading_axes(spec: ModelSpec, states: Tensor, controls: Tensor, params: Params) -> None:
    """Rows are independent of each other, whatever axes they stand along, and keep their precision.

    Args:
        spec: The model.
        states: [rows, states], float64
        controls: [rows, controls]
        params: [rows, *shape] by name
    """
    flat = spec.rates(states, controls, params)
    folded = {key: value[None, :, None] for key, value in params.items()}
    boxed = spec.rates(states[None, :, None], controls[None, :, None], folded)
    require_close("rates take any leading axes", boxed.detach()[0, :, 0], flat.detach())
    single = spec.rates(states.float(), controls.float(), {key: value.float() for key, value in params.items()})
    law = "rates keep the precision of the states"
    require(law, (flat.dtype, single.dtype) == (states.dtype, torch.float32), f"{flat.dtype} and {single.dtype}")


def roll_outs_have_the_derivatives_of_differences(
    spec: ModelSpec, states: Tensor, controls: Tensor, params: Params, dt: float, settings: RolloutSettings = TORCH
) -> None:
    """Torch's derivative of a roll-out along one direction through everything is a central difference.

    Args:
        spec: The model.
        states: Initial ones, at which the rates are smooth.  [windows, states], float64
        controls: [windows, steps, controls], float64
        params: [windows, *shape] by name, float64
        dt: Length of a step (s).
        settings: How roll-outs are solved.
    """
    random = torch_stream(0, "direction", spec.name)
    given = {"": states, " ": controls, **params}  # no parameter can have such a name
    spans = {key: torch.as_tensor(high - low) for key, (low, high) in spec.param_bounds.items()}
    along = {key: _normal(value, random) * spans.get(key, torch.tensor(1.0)) for key, value in given.items()}
    weights = _normal(states.new_empty(len(states), controls.shape[1], len(spec.states)), random)

    def seen(at: dict[str, Tensor]) -> Tensor:
        path = rollout(spec, at[""], at[" "], {key: at[key] for key in params}, dt, settings)
        return (weights * path).sum()

    leaves = {key: value.clone().requires_grad_() for key, value in given.items()}
    slopes = torch.autograd.grad(seen(leaves), list(leaves.values()), allow_unused=True)
    found = sum(float((g * along[key]).sum()) for key, g in zip(leaves, slopes, strict=True) if g is not None)
    step = 1e-6
    ends = [float(seen({key: value + way * along[key] for key, value in given.items()})) for way in (step, -step)]
    law = "derivatives of a roll-out are those of differences"
    require_close(law, found, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-5)


def at_rest_rates_and_derivatives_are_finite(spec: ModelSpec, settings: RolloutSettings = TORCH) -> None:
    """Where all states and controls are 0, a roll-out and its derivatives are numbers."""
    states = torch.zeros(1, len(spec.states), dtype=torch.float64, requires_grad=True)
    params = {key: torch.tensor(value, requires_grad=True) for key, value in spec.default_params.items()}
    controls = torch.zeros(1, 3, len(spec.controls), dtype=torch.float64)
    path = rollout(spec, states, controls, params, 0.01, settings)
    require("a roll-out from rest is finite", bool(path.isfinite().all()), f"{path.tolist()}")
    (path**2).sum().backward()
    for name, value in {"the states": states, **params}.items():
        finite = value.grad is None or bool(value.grad.isfinite().all())
        require("derivatives at rest are finite", finite, f"by {name}: {value.grad}")


def turned_world_gives_the_turned_path(
    spec: ModelSpec, states: Tensor, controls: Tensor, params: Params, dt: float, settings: RolloutSettings = TORCH
) -> None:
    """A start elsewhere in the plane, in another direction, gives the same path moved and turned.

    Args:
        spec: A model with two positions and a heading.
        states: Initial ones.  [windows, states], float64
        controls: [windows, steps, controls]
        params: [windows, *shape] by name
        dt: Length of a step (s).
        settings: How roll-outs are solved.

    Raises:
        AssertionError: it does not.
        ConfigError: the model has no plane to turn.
    """
    motion = Motion.of(spec)
    if motion is None or motion.heading is None:
        raise ConfigError(f"model {spec.name!r} has no two positions and a heading, so no plane can be turned")
    path = rollout(spec, states, controls, params, dt, settings)
    turned = rollout(spec, _turned(motion, states), controls, params, dt, settings)
    require_close("a turned world gives the turned path", turned, _turned(motion, path), atol=1e-9)


def no_eigenvalue_is_larger_than_the_stiffness_says(spec: ModelSpec, states: Tensor, params: Params) -> None:
    """`ModelSpec.stiffness_fn` bounds the eigenvalues of the rates' Jacobian, and half of it is reached somewhere.

    Args:
        spec: A model with such a function.
        states: Slow and fast ones.  [rows, states], float64
        params: [rows, *shape] by name

    Raises:
        AssertionError: an eigenvalue is larger, or all are far smaller.
        ConfigError: the model says nothing of its stiffness.
    """
    if spec.stiffness_fn is None:
        raise ConfigError(f"model {spec.name!r} has no stiffness_fn, so there is no bound to compare with")
    controls = states.new_zeros(len(states), len(spec.controls))
    bound = spec.stiffness_fn(states, spec.with_constants(states, params))
    by_row = torch.func.vmap(torch.func.jacrev(spec.rates), in_dims=(0, 0, dict.fromkeys(params, 0)))
    radius = torch.linalg.eigvals(by_row(states, controls, dict(params))).abs().amax(-1)
    excess = radius - (1.1 * bound + 1.0)  # a tenth for what couples the speed
    law = "no eigenvalue is larger than the stiffness says"
    require(law, bool((excess <= 0).all()), f"by {float(excess.max()):.3g} 1/s in row {int(excess.argmax())}")
    share = float((radius / bound).max())
    require("the stiffness is an eigenvalue within a factor of two", share > 0.5, f"at most {share:.3g} of it")


def _normal(like: Tensor, random: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=random, dtype=torch.float64)


def _turned(motion: Motion, states: Tensor) -> Tensor:
    """Return states whose plane is turned by 0.7 and moved.  [..., states]"""
    assert motion.heading is not None
    cos, sin = math.cos(0.7), math.sin(0.7)
    found = states.clone()
    x, y = states[..., motion.x], states[..., motion.y]
    found[..., motion.x], found[..., motion.y] = cos * x - sin * y + 3.0, sin * x + cos * y - 2.0
    found[..., motion.heading] += 0.7
    return found
