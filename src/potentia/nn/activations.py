"""Activation functions by name, each with its derivative as a differentiable function.

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
    """A function and its derivative."""

    function: Callable[[Tensor], Tensor]
    """y = a(x), element by element."""
    derivative: Callable[[Tensor, Tensor], Tensor]
    """a'(x) from x and y."""


def _normal_density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _sigmoid_slope(y: Tensor) -> Tensor:
    return y * (1 - y)


def _silu_slope(x: Tensor, y: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s + y * (1 - s)


def _gelu_slope(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * _normal_density(x)


def _mtanh(x: Tensor) -> Tensor:
    return MTANH_SCALE * torch.tanh(MTANH_SLOPE * x)


def _mtanh_slope(y: Tensor) -> Tensor:
    return MTANH_SLOPE * MTANH_SCALE - (MTANH_SLOPE / MTANH_SCALE) * (y * y)


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x: x, lambda x, y: torch.ones_like(x)),
    "tanh": Activation(torch.tanh, lambda x, y: 1 - y * y),
    "sigmoid": Activation(torch.sigmoid, lambda x, y: _sigmoid_slope(y)),
    "relu": Activation(torch.relu, lambda x, y: (x > 0).to(x.dtype)),
    "silu": Activation(functional.silu, _silu_slope),
    "gelu": Activation(functional.gelu, lambda x, y: _gelu_slope(x)),
    "mtanh": Activation(_mtanh, lambda x, y: _mtanh_slope(y)),
    "twist": Activation(
        lambda x: _mtanh(x) + TWIST_SLOPE * x, lambda x, y: _mtanh_slope(y - TWIST_SLOPE * x) + TWIST_SLOPE
    ),
}
"""The activation functions a network may name."""
