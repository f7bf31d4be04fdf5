"""What a model of dynamics is: states, controls, parameters with bounds, and the rates of change of the states."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from potentia.checks import choice, did_you_mean, integer, number
from potentia.errors import ConfigError

__all__ = ["ModelSpec", "Parameter", "Params", "Variable"]

Floats: TypeAlias = NDArray[np.float64]
Params: TypeAlias = Mapping[str, Tensor]
"""Parameters and constants by name, each [..., *shape] where ``...`` are the leading axes of the states."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A state or a control."""

    name: str
    """Short, as it stands in logs and tables."""
    unit: str = ""
    """SI: ``"m"``, ``"m/s"``, ``"rad"``; empty where it has none."""
    angle: bool = False
    """Whether values that differ by 2π mean the same: errors are wrapped."""
    pose: bool = False
    """Whether it says where the system is and no rate depends on it: networks do not see it."""

    def __post_init__(self) -> None:
        _require_name("variable", self.name)


@dataclass(frozen=True, kw_only=True, eq=False)
class Parameter:
    """A number, or an array of numbers, that a network may predict, with its bounds."""

    name: str
    """Short, as equations have it."""
    low: ArrayLike
    """Lower bound; one for all entries, or of the shape of the parameter."""
    high: ArrayLike
    """Upper bound."""
    default: ArrayLike
    """Where nothing is known; within the bounds."""
    unit: str = ""
    """SI."""
    scale: Literal["linear", "log"] = "linear"
    """Whether a network moves on a line between the bounds, or on its logarithm (``low`` > 0)."""
    shape: tuple[int, ...] = ()
    """Of an array; () for a number."""

    def __post_init__(self) -> None:
        _require_name("parameter", self.name)
        choice("scale", self.scale, ("linear", "log"))
        for axis in self.shape:
            integer(f"shape of parameter {self.name!r}", axis, low=1)
        for name in ("low", "high", "default"):
            object.__setattr__(self, name, self._filled(name))
        low, high, default = self.bounds[0], self.bounds[1], self.values
        if not (low < high).all():
            raise ConfigError(f"parameter {self.name!r}: low must be less than high, got {low} and {high}")
        if not ((default >= low) & (default <= high)).all():
            raise ConfigError(f"parameter {self.name!r}: default must lie within [{low}, {high}], got {default}")
        if self.scale == "log" and not (low > 0).all():
            raise ConfigError(f"parameter {self.name!r}: scale='log' needs low > 0, got {low}")

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Lower and upper bound of each entry.  [*shape] both"""
        return np.array(self.low, dtype=np.float64), np.array(self.high, dtype=np.float64)

    @property
    def values(self) -> Floats:
        """Default of each entry.  [*shape]"""
        return np.array(self.default, dtype=np.float64)

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape, dtype=np.int64))

    def _filled(self, name: str) -> Floats:
        try:
            value = np.array(getattr(self, name), dtype=np.float64)
            filled: Floats = np.array(np.broadcast_to(value, self.shape))
        except (TypeError, ValueError):
            raise ConfigError(
                f"parameter {self.name!r}: {name} must be a number or numbers of shape {self.shape}, "
                f"got {getattr(self, name)!r}"
            ) from None
        if not np.isfinite(filled).all():
            raise ConfigError(f"parameter {self.name!r}: {name} must be finite, got {getattr(self, name)!r}")
        return filled


DynamicsFunction: TypeAlias = Callable[[Tensor, Tensor, Params], Tensor]
"""States [..., states], controls [..., controls] and parameters → rates of change of the states [..., states]."""
LimitFunction: TypeAlias = Callable[[Tensor, Tensor, Tensor, Params], Tensor]
"""States, controls, length of a step [..., 1] (s) and parameters → the controls that the step may use."""
StiffnessFunction: TypeAlias = Callable[[Tensor, Params], Tensor]
"""States and parameters → an upper bound, to a tenth, of the magnitudes of the eigenvalues of the rates' Jacobian where
no control pushes [...], 1/s."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelSpec:
    """A model of dynamics: an ordinary differential equation with controls and bounded parameters.

    Its functions are written for tensors with any leading axes, in operations of torch, row by row: so they can be
    differentiated, and solved for many windows at once.

    Example:
        A tank that empties itself, with a pump:

        >>> import torch
        >>> def rates(states, controls, p):
        ...     level = states[..., 0].clamp(min=0)
        ...     return (p["k"] * controls[..., 0] - p["c"] * level.sqrt())[..., None]
        >>> tank = ModelSpec(
        ...     name="tank",
        ...     states=(Variable(name="level", unit="m"),),
        ...     controls=(Variable(name="pump", unit="V"),),
        ...     parameters=(
        ...         Parameter(name="k", low=0.01, high=1.0, default=0.1, unit="m/V/s", scale="log"),
        ...         Parameter(name="c", low=0.01, high=1.0, default=0.1, unit="m^0.5/s", scale="log"),
        ...     ),
        ...     dynamics_fn=rates,
        ... )
        >>> tank.param_keys, tank.vector_size
        (('k', 'c'), 2)
    """

    name: str
    """What it is called in settings and files."""
    states: tuple[Variable, ...]
    """In the order of a state's entries."""
    controls: tuple[Variable, ...]
    """In the order of a control's entries; may be empty."""
    parameters: tuple[Parameter, ...]
    """What a network predicts, in the order of its outputs."""
    dynamics_fn: DynamicsFunction
    """Rates of change."""
    constants: Mapping[str, ArrayLike] = field(default_factory=dict)
    """Numbers that are not predicted, such as limits; the functions find them beside the parameters."""
    limit_fn: LimitFunction | None = None
    """Which controls a step may use; None for the given ones."""
    stiffness_fn: StiffnessFunction | None = None
    """By which a step can be chosen that is stable; None where that is not known."""
    gauge: tuple[str, ...] = ()
    """Parameters that no data can tell from combinations of others: held at their defaults unless asked."""
    speed: str | None = None
    """Name of the state that is the speed (m/s), for those who leave out what stands still."""
    min_speed: float = 0.0
    """Windows in which the speed is below this say nothing about the parameters (m/s)."""

    def __post_init__(self) -> None:
        if not self.name or not set(self.name) <= _NAME:
            raise ConfigError(
                f"name of a model must be made of lower-case letters, digits and '-', got {self.name!r}: it names files"
            )
        if not self.states or not self.parameters:
            raise ConfigError(f"model {self.name!r} needs at least one state and one parameter")
        names = [*self.state_names, *self.control_names]
        _require_different(self.name, "states and controls", names)
        _require_different(self.name, "parameters and constants", [*self.param_keys, *self.constants])
        for key in self.gauge:
            if key not in self.param_keys:
                raise ConfigError(f"model {self.name!r}: gauge names {key!r}{did_you_mean(key, self.param_keys)}")
        if self.speed is not None and self.speed not in self.state_names:
            known = did_you_mean(self.speed, self.state_names)
            raise ConfigError(f"model {self.name!r}: speed names the state {self.speed!r}{known}")
        number("min_speed", self.min_speed, low=0)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the states."""
        return tuple(variable.name for variable in self.states)

    @property
    def control_names(self) -> tuple[str, ...]:
        """Names of the controls."""
        return tuple(variable.name for variable in self.controls)

    @property
    def param_keys(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def param_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter; () of a number."""
        return {parameter.name: parameter.shape for parameter in self.parameters}

    @property
    def param_bounds(self) -> dict[str, tuple[Floats, Floats]]:
        """Lower and upper bound of each parameter."""
        return {parameter.name: parameter.bounds for parameter in self.parameters}

    @property
    def default_params(self) -> dict[str, Floats]:
        """Default of each parameter."""
        return {parameter.name: parameter.values for parameter in self.parameters}

    @property
    def vector_size(self) -> int:
        """Entries of all parameters."""
        return sum(parameter.size for parameter in self.parameters)

    @property
    def angles(self) -> tuple[bool, ...]:
        """Whether each state is an angle.  [states]"""
        return tuple(variable.angle for variable in self.states)

    def parameter(self, key: str) -> Parameter:
        """Return the parameter of this name.

        Raises:
            ConfigError: there is none.
        """
        for parameter in self.parameters:
            if parameter.name == key:
                return parameter
        raise ConfigError(f"model {self.name!r} has no parameter {key!r}{did_you_mean(key, self.param_keys)}")

    def with_bounds(self, bounds: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Self:
        """Return the model with other bounds; a default outside of them goes to the nearer one.

        Example:
            ``spec.with_bounds({"m": (3.0, 4.5)})``
        """
        changed = {}
        for key, (low, high) in bounds.items():
            old = self.parameter(key)
            default = np.clip(old.values, np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64))
            changed[key] = replace(old, low=low, high=high, default=default)
        return replace(self, parameters=tuple(changed.get(one.name, one) for one in self.parameters))

    def with_defaults(self, values: Mapping[str, ArrayLike]) -> Self:
        """Return the model with other defaults, which must lie within the bounds."""
        changed = {key: replace(self.parameter(key), default=value) for key, value in values.items()}
        return replace(self, parameters=tuple(changed.get(one.name, one) for one in self.parameters))

    def with_fixed(self, values: Mapping[str, ArrayLike]) -> Self:
        """Return the model with some parameters as constants: no network predicts them.

        Example:
            ``spec.with_fixed({"m": 3.74})``
        """
        fixed = {key: np.array(np.broadcast_to(value, self.parameter(key).shape)) for key, value in values.items()}
        free = tuple(one for one in self.parameters if one.name not in fixed)
        gauge = tuple(key for key in self.gauge if key not in fixed)
        return replace(self, parameters=free, constants={**self.constants, **fixed}, gauge=gauge)

    def gauge_fixed(self) -> Self:
        """Return the model with the parameters of its gauge held at their defaults."""
        return self.with_fixed({key: self.parameter(key).values for key in self.gauge})

    def with_constants(self, like: Tensor, params: Params) -> dict[str, Tensor]:
        """Return parameters and constants, the latter as tensors of the kind of ``like``."""
        # By NumPy: torch would make a float32 of a number, and limits would be off by 1e-8 in float64.
        fixed = {key: torch.as_tensor(np.asarray(one, np.float64)).to(like) for key, one in self.constants.items()}
        return {**fixed, **params}

    def rates(self, states: Tensor, controls: Tensor, params: Params) -> Tensor:
        """Return the rates of change where ``params`` are without the constants.  [..., states]"""
        return self.dynamics_fn(states, controls, self.with_constants(states, params))

    def describe(self) -> dict[str, Any]:
        """Return what decides the results besides the equations, as plain values."""
        return {
            "name": self.name,
            "states": list(self.state_names),
            "controls": list(self.control_names),
            "parameters": [
                {
                    "name": one.name,
                    "low": one.bounds[0].tolist(),
                    "high": one.bounds[1].tolist(),
                    "default": one.values.tolist(),
                    "scale": one.scale,
                    "shape": list(one.shape),
                }
                for one in self.parameters
            ],
            "constants": {key: np.asarray(value, dtype=np.float64).tolist() for key, value in self.constants.items()},
        }


_NAME = set("abcdefghijklmnopqrstuvwxyz0123456789-")


def _require_name(kind: str, name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigError(f"name of a {kind} must be made of letters, digits and '_', got {name!r}")


def _require_different(model: str, kind: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"model {model!r}: {kind} must have different names, twice there: {', '.join(twice)}")
