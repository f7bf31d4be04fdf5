"""Activation functions by name, each with its first and second derivative.

``mtanh`` is LeCun's 1.7159 tanh(2x/3) and ``twist`` the same plus 0.1 x, as in the Fortran code of ænet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ACTIVATIONS", "Activation"]

MTANH_SCALE = 1.7159
MTANH_SLOPE = 2.0 / 3.0
TWIST_SLOPE = 0.1


@dataclass(frozen=True)
class Activation:
    """A function and its derivatives."""

    function: Callable[[Tensor], Tensor]
    """y = a(x), element by element."""
    derivative: Callable[[Tensor, Tensor], Tensor]
    """a'(x) from x and y."""
    curvature: Callable[[Tensor, Tensor, Tensor], Tensor]
    """a''(x) from x, y and a'(x)."""


def _normal_density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _silu_slope(x: Tensor, y: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s + y * (1 - s)


def _gelu_slope(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * _normal_density(x)


def _mtanh(x: Tensor) -> Tensor:
    return MTANH_SCALE * torch.tanh(MTANH_SLOPE * x)


def _mtanh_slope(y: Tensor) -> Tensor:
    return MTANH_SLOPE * MTANH_SCALE - (MTANH_SLOPE / MTANH_SCALE) * (y * y)


def _silu_curvature(x: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s * (1 - s) * (2 + x * (1 - 2 * s))


def _twist_curvature(x: Tensor, y: Tensor, slope: Tensor) -> Tensor:
    return _mtanh_curvature(y - TWIST_SLOPE * x, slope - TWIST_SLOPE)


def _mtanh_curvature(y: Tensor, slope: Tensor) -> Tensor:
    return (-2 * MTANH_SLOPE / MTANH_SCALE) * y * slope


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x: x, lambda x, y: torch.ones_like(x), lambda x, y, slope: torch.zeros_like(x)),
    "tanh": Activation(torch.tanh, lambda x, y: 1 - y * y, lambda x, y, slope: -2 * y * slope),
    "sigmoid": Activation(torch.sigmoid, lambda x, y: y * (1 - y), lambda x, y, slope: slope * (1 - 2 * y)),
    "relu": Activation(torch.relu, lambda x, y: (x > 0).to(x.dtype), lambda x, y, slope: torch.zeros_like(x)),
    "silu": Activation(functional.silu, _silu_slope, lambda x, y, slope: _silu_curvature(x)),
    "gelu": Activation(
        functional.gelu, lambda x, y: _gelu_slope(x), lambda x, y, slope: _normal_density(x) * (2 - x * x)
    ),
    "mtanh": Activation(_mtanh, lambda x, y: _mtanh_slope(y), lambda x, y, slope: _mtanh_curvature(y, slope)),
    "twist": Activation(
        lambda x: _mtanh(x) + TWIST_SLOPE * x,
        lambda x, y: _mtanh_slope(y - TWIST_SLOPE * x) + TWIST_SLOPE,
        _twist_curvature,
    ),
}
"""The activation functions a network may name."""
