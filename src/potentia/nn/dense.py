"""Layers of a network with several outputs: linear ones, with an activation after each but the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from potentia.checks import choice

__all__ = ["ACTIVATION_MODULES", "dense"]

ACTIVATION_MODULES: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "elu": nn.ELU,
    "prelu": nn.PReLU,
    "mish": nn.Mish,
    "silu": nn.SiLU,
}
"""Activations that a network may name. Every layer gets one of its own: a PReLU has a slope to learn."""


def dense(sizes: Sequence[int], activation: str) -> nn.Sequential:
    """Return linear layers between rows of these lengths; the weights are drawn from torch's generators.

    >>> dense([2, 8, 3], "silu")
    Sequential(
      (0): Linear(in_features=2, out_features=8, bias=True)
      (1): SiLU()
      (2): Linear(in_features=8, out_features=3, bias=True)
    )
    """
    module = ACTIVATION_MODULES[choice("activation", activation, list(ACTIVATION_MODULES))]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), module()]
    return nn.Sequential(*layers[:-1])
