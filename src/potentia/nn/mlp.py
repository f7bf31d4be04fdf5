"""A multilayer perceptron with one output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from potentia.nn.activations import ACTIVATIONS
from potentia.nn.passes import Trace, trace

__all__ = ["MLP"]


class MLP(nn.Module):
    """Linear layers with activations between them; one number per row of input.

    Args:
        n_inputs: Length of an input row.
        hidden: Nodes and activation of each hidden layer.
        generator: Stream of the initial weights, uniform in ±1/√(inputs of the layer) with the precision of ``dtype``.
        dtype: Of the weights.

    Example:
        >>> mlp = MLP(3, [(4, "tanh")], generator=torch.Generator().manual_seed(0))
        >>> mlp(torch.ones(2, 3)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        n_inputs: int,
        hidden: Sequence[tuple[int, str]],
        *,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        sizes = [n_inputs, *(nodes for nodes, _ in hidden), 1]
        self.activations = [ACTIVATIONS[name] for _, name in hidden]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for fan_in, fan_out in pairwise(sizes):
            for held, shape in ((self.weights, (fan_out, fan_in)), (self.biases, (fan_out,))):
                drawn = torch.rand(shape, generator=generator, dtype=dtype)
                held.append(nn.Parameter((2 * drawn - 1) / math.sqrt(fan_in)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for each row of ``x`` [rows, inputs].  [rows]"""
        for weight, bias, activation in zip(self.weights, self.biases, self.activations, strict=False):
            x = activation.function(functional.linear(x, weight, bias))
        return functional.linear(x, self.weights[-1], self.biases[-1]).squeeze(-1)

    def trace(self, x: Tensor, *, gradient: bool) -> Trace:
        """Return output, and gradient by the input if asked for, with their derivatives in closed form (no graph)."""
        weights, biases = ([p.detach() for p in part] for part in (self.weights, self.biases))
        return trace(x, weights, biases, self.activations, gradient=gradient)
