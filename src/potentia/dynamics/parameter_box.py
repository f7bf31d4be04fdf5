"""Bounded parameters as a box of unit length: from 0 at the lower bound to 1 at the upper one, on the scale of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.vector import flatten_bounds, flatten_params, unflatten_params
from potentia.errors import ConfigError

__all__ = ["ParameterBox", "params_of", "vector_of"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ParameterBox:
    """Places of the entries of a vector of parameters between their bounds.

    >>> import numpy as np
    >>> box = ParameterBox(low=np.array([0.0, 1.0]), high=np.array([2.0, 100.0]), log=np.array([False, True]))
    >>> box.values(np.array([0.5, 0.5])), box.places(np.array([2.0, 1.0]))
    (array([ 1., 10.]), array([1., 0.]))
    """

    low: Floats
    """[entries]"""
    high: Floats
    """[entries]"""
    log: NDArray[np.bool_]
    """Whether an entry moves on its logarithm.  [entries]"""

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """Return the box of a model."""
        low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.param_shapes)
        log = np.concatenate([np.full(one.size, one.scale == "log") for one in spec.parameters])
        return cls(low, high, log)

    def values(self, places: Floats) -> Floats:
        """Return the entries at places from 0 to 1.  [..., entries]"""
        low = np.where(self.log, self.low, 1.0)
        line = self.low + (self.high - self.low) * places
        curve = low * np.where(self.log, self.high / low, 1.0) ** places
        return np.clip(np.where(self.log, curve, line), self.low, self.high)

    def places(self, values: Floats) -> Floats:
        """Return where entries are, from 0 to 1.  [..., entries]"""
        low, high, inside = (np.where(self.log, one, 1.0) for one in (self.low, self.high, values))
        line = (values - self.low) / (self.high - self.low)
        curve = np.log(inside / low) / np.log(np.where(self.log, high / low, np.e))
        return np.where(self.log, curve, line)

    def slopes(self, places: Floats) -> Floats:
        """Return the derivatives of the entries by their places.  [..., entries]"""
        ratio = np.where(self.log, self.high / np.where(self.log, self.low, 1.0), np.e)
        return np.where(self.log, self.values(places) * np.log(ratio), self.high - self.low)


def vector_of(spec: ModelSpec, params: Mapping[str, ArrayLike]) -> Floats:
    """Return the entries of all parameters of a model behind each other.  [..., entries]

    Raises:
        ConfigError: a parameter is missing.
    """
    for key in spec.param_keys:
        if key not in params:
            raise ConfigError(f"parameter {key!r} of model {spec.name!r} is missing: give it, or fix it")
    tensors = {key: torch.as_tensor(np.array(params[key], dtype=np.float64)) for key in spec.param_keys}
    vector: Floats = flatten_params(tensors, spec.param_keys, spec.param_shapes).numpy()
    return vector


def params_of(spec: ModelSpec, vector: Floats) -> dict[str, Floats]:
    """Return the parameters by name; the inverse of `vector_of`.  [..., *shape] each"""
    split = unflatten_params(torch.as_tensor(vector), spec.param_keys, spec.param_shapes)
    return {key: tensor.numpy().copy() for key, tensor in split.items()}
