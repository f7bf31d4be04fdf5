"""A multilayer perceptron with one output, and its gradient by the input in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from potentia.nn.activations import ACTIVATIONS, Activation

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

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output [rows] and its gradient by the input [rows, inputs].

        Both are differentiable once, by the weights and by ``x``.
        """
        parameters = [p for layer in zip(self.weights, self.biases, strict=True) for p in layer]
        value, gradient = _ValueAndGradient.apply(x, self.activations, *parameters)
        return value, gradient


class _ValueAndGradient(torch.autograd.Function):
    """Output and input gradient of an MLP, with its backward pass in closed form: half the time of autograd's graph.

    With inputs x_l, sums z_l = x_{l-1} W_l' + b_l, slopes s_l = a'(z_l) and pulls d_{l-1} = (d_l s_l) W_l, which begin
    with the weights of the output, the gradient is d_0.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, activations: Sequence[Activation], *parameters: Tensor) -> tuple[Tensor, Tensor]:
        weights, biases = parameters[::2], parameters[1::2]
        inputs, sums, slopes = [x], [], []
        for weight, bias, activation in zip(weights, biases, activations, strict=False):
            sums.append(torch.addmm(bias, inputs[-1], weight.T))
            inputs.append(activation.function(sums[-1]))
            slopes.append(activation.derivative(sums[-1], inputs[-1]))
        value = inputs[-1] @ weights[-1][0] + biases[-1]
        pulls = [weights[-1].expand(len(x), -1)]
        for weight, slope in zip(reversed(weights[:-1]), reversed(slopes), strict=True):
            pulls.append((pulls[-1] * slope) @ weight)
        gradient = pulls.pop()
        ctx.activations = activations
        ctx.save_for_backward(*weights, *inputs, *sums, *slopes, *reversed(pulls))
        return value, gradient

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, value: Tensor, gradient: Tensor) -> tuple[Tensor | None, ...]:
        n = len(ctx.activations)
        saved, cuts = ctx.saved_tensors, (n + 1, 2 * n + 2, 3 * n + 2, 4 * n + 2)
        weights, inputs = saved[: cuts[0]], saved[cuts[0] : cuts[1]]
        sums, slopes, pulls = saved[cuts[1] : cuts[2]], saved[cuts[2] : cuts[3]], saved[cuts[3] :]
        by_weight, by_slope, up = [], [], gradient
        for weight, slope, pull in zip(weights, slopes, pulls, strict=False):  # along the pulls, input to output
            by_weight.append((pull * slope).T @ up)
            turned = up @ weight.T
            by_slope.append(turned * pull)
            up = turned * slope
        by_weight.append(up.sum(0, keepdim=True) + (value @ inputs[n])[None])
        by_bias = [value.sum(0, keepdim=True)]
        down = torch.outer(value, weights[n][0])
        for k in range(n - 1, -1, -1):  # along the sums, output to input
            curvature = ctx.activations[k].curvature(sums[k], inputs[k + 1], slopes[k])
            by_sum = torch.addcmul(down * slopes[k], by_slope[k], curvature)
            by_weight[k].addmm_(by_sum.T, inputs[k])
            by_bias.append(by_sum.sum(0))
            if k or ctx.needs_input_grad[0]:
                down = by_sum @ weights[k]
        layers = zip(by_weight, reversed(by_bias), strict=True)
        return down if ctx.needs_input_grad[0] else None, None, *(g for layer in layers for g in layer)
