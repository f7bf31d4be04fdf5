"""A network whose outputs are parameters of a model, always within their bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from potentia.checks import choice, integer
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.vector import unflatten_params
from potentia.errors import ConfigError
from potentia.nn import ACTIVATION_MODULES

__all__ = ["SATURATED", "ParameterNetwork", "check_layers", "places_of"]

SATURATED = 0.01
"""An entry is saturated where it is nearer to a bound than this part of the way between the bounds."""
INSIDE = 0.02
"""A default that is nearer to a bound is moved to this part of the way: on the bound the gradient is zero for ever."""
AT_BOUND = 1e-12
"""What is nearer to a bound than this part of the way counts as this far: the bound itself has no finite z."""


class ParameterNetwork(nn.Module):
    """Inputs of a window → the parameters of the model for that window.

    An output z becomes ``low + (high − low) σ(z)``, or ``low (high/low)^σ(z)`` for a parameter of logarithmic scale. z
    is counted from the default: a new network returns the defaults exactly, for the weights of its last layer begin at
    zero, and a decay of the weights pulls to the defaults. A default within 2 % of a bound (of the way between the
    bounds) begins at these 2 %.

    Args:
        spec: The model; what it has fixed is not predicted.
        n_inputs: Inputs of a window; with 0 the parameters are constants, and there are no hidden layers.
        hidden: Nodes of each hidden layer; () for a linear map.
        activation: Behind each hidden layer.
        layer_norm: Whether each hidden layer is normalised over its nodes before the activation.
    """

    low: Tensor
    """Lower bounds.  [entries]"""
    high: Tensor
    """Upper bounds.  [entries]"""
    log_ratio: Tensor
    """log(high/low), 0 of a linear scale.  [entries]"""
    start: Tensor
    """z of the defaults.  [entries]"""

    def __init__(
        self,
        spec: ModelSpec,
        n_inputs: int,
        hidden: Sequence[int] = (128, 128),
        *,
        activation: str = "silu",
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        check_layers(hidden, activation)
        self.keys, self.shapes = spec.param_keys, spec.param_shapes
        low, high = (_flat([parameter.bounds[side] for parameter in spec.parameters]) for side in (0, 1))
        log = _flat([np.full(parameter.shape, parameter.scale == "log") for parameter in spec.parameters]) > 0
        place = places_of(spec, spec.default_params).clamp(INSIDE, 1 - INSIDE)
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        ratio = torch.where(log, high / torch.where(log, low, 1.0), 1.0).log()
        self.register_buffer("log_ratio", ratio, persistent=False)
        self.any_log = bool(log.any())
        self.register_buffer("start", torch.logit(place), persistent=False)
        widths = [n_inputs, *hidden] if n_inputs else []
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers.append(nn.Linear(inputs, outputs))
            layers += [nn.LayerNorm(outputs)] if layer_norm else []
            layers.append(ACTIVATION_MODULES[activation]())
        self.body = nn.Sequential(*layers)
        self.bias = nn.Parameter(torch.zeros(spec.vector_size))
        self.weight = nn.Parameter(torch.zeros(spec.vector_size, widths[-1])) if widths else None

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return the parameters by name, [windows, *shape] each, for inputs [windows, inputs]."""
        return self.named(self.vector(inputs))

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        """Return entries [windows, entries] by name.  [windows, *shape] each"""
        return unflatten_params(vector, self.keys, self.shapes)

    def vector(self, inputs: Tensor) -> Tensor:
        """Return the entries of all parameters behind each other.  [windows, entries]"""
        return self.between(self.places(inputs))

    def places(self, inputs: Tensor) -> Tensor:
        """Return where each entry is between its bounds, 0 at the lower and 1 at the upper one.  [windows, entries]"""
        return torch.sigmoid(self.start + self.outputs(inputs))

    def outputs(self, inputs: Tensor) -> Tensor:
        """Return z, counted from the defaults.  [windows, entries]"""
        if self.weight is None:
            return self.bias.expand(len(inputs), -1)
        return functional.linear(self.body(inputs), self.weight, self.bias)

    def between(self, places: Tensor) -> Tensor:
        """Return the entries at these places between their bounds.  [windows, entries]"""
        linear = torch.lerp(self.low.expand_as(places), self.high.expand_as(places), places)
        if not self.any_log:
            return linear
        grown = (self.low * torch.exp(places * self.log_ratio)).clamp(self.low, self.high)
        return torch.where(self.log_ratio > 0, grown, linear)

    @torch.no_grad()
    def move_to(self, places: Tensor) -> None:
        """Let a network of constants, which has no inputs, return what is at these places [entries]."""
        if self.weight is not None:
            raise ConfigError("only a network without inputs has constants that can be set")
        self.bias.copy_(torch.logit(places.to(self.bias), eps=AT_BOUND) - self.start)

    @torch.no_grad()
    def saturation(self, inputs: Tensor) -> dict[str, float]:
        """Return for each parameter the part of the windows in which an entry of it is at a bound."""
        places = self.places(inputs)
        at_bound = (places < SATURATED) | (places > 1 - SATURATED)  # [windows, entries]
        by_name = self.named(at_bound)
        return {key: float(found.reshape(len(inputs), -1).any(1).double().mean()) for key, found in by_name.items()}


def check_layers(hidden: Sequence[int], activation: str) -> None:
    """Raise `ConfigError` unless a network can have such layers."""
    if isinstance(hidden, str | int):
        raise ConfigError(f"hidden must be the nodes of each hidden layer, such as (128, 128), got {hidden!r}")
    for nodes in hidden:
        integer("hidden", nodes, low=1)
    choice("activation", activation, list(ACTIVATION_MODULES))


def places_of(spec: ModelSpec, params: Mapping[str, ArrayLike]) -> Tensor:
    """Return where parameters, each [*shape], are between their bounds, as `ParameterNetwork.places`.  [entries]"""
    parts = []
    for parameter in spec.parameters:
        (low, high), value = parameter.bounds, np.asarray(params[parameter.name], dtype=np.float64)
        if parameter.scale == "log":
            low, high, value = np.log(low), np.log(high), np.log(value)
        parts.append((value - low) / (high - low))
    return _flat(parts)


def _flat(parts: Sequence[ArrayLike]) -> Tensor:
    return torch.from_numpy(np.concatenate([np.asarray(part, dtype=np.float64).reshape(-1) for part in parts]))
