"""Passes through a perceptron in closed form: output, gradient by the input, and what both add to each weight.

With inputs x_l, sums z_l = x_{l-1} W_l' + b_l and slopes s_l = a'(z_l), the output is N = x_n W_out' + b_out. Its
gradient by the input is d_0, where the pulls d_{l-1} = (d_l s_l) W_l begin with the weights of the output. Going
through both once more in the other direction gives the derivative of any function of N and d_0 by the weights, at half
the cost of autograd's graph, and as a sum of outer products of which each belongs to one row of input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from potentia.nn.activations import Activation

__all__ = ["Factors", "Trace", "trace", "weight_gradients"]


class Factors(NamedTuple):
    """Derivative of Σ over rows by one layer: Σ left ⊗ right of each pair for the weights, Σ ``bias`` for the bias."""

    pairs: list[tuple[Tensor, Tensor]]
    """left [rows, outputs of the layer] and right [rows, inputs of the layer]."""
    bias: Tensor
    """[rows, outputs of the layer]"""


@dataclass(frozen=True)
class Trace:
    """A pass through the network with all that its derivatives need."""

    weights: Sequence[Tensor]
    activations: Sequence[Activation]
    inputs: list[Tensor]
    """Of each layer.  [rows, inputs of the layer]"""
    sums: list[Tensor]
    """Of each hidden layer, before the activation.  [rows, nodes]"""
    slopes: list[Tensor]
    """a'(sums).  [rows, nodes]"""
    pulls: list[Tensor]
    """Gradient of the output by the nodes of each hidden layer; empty without `gradient`.  [rows, nodes]"""
    value: Tensor
    """Output.  [rows]"""
    gradient: Tensor | None
    """Of the output by the input.  [rows, inputs]"""

    def factors(self, value: Tensor, gradient: Tensor | None = None) -> list[Factors]:
        """Return what each layer's weights get from the cotangents of `value` [rows] and `gradient` [rows, inputs]."""
        by_slope, layers = self._along_the_pulls(gradient)
        n = len(self.activations)
        column = value[:, None]
        layers[n].append((column, self.inputs[n]))
        found = [Factors(layers[n], column)]
        down = torch.outer(value, self.weights[n][0])
        for k in range(n - 1, -1, -1):
            by_sum = down * self.slopes[k]
            if by_slope:
                curvature = self.activations[k].curvature(self.sums[k], self.inputs[k + 1], self.slopes[k])
                by_sum.addcmul_(by_slope[k], curvature)
            layers[k].append((by_sum, self.inputs[k]))
            found.append(Factors(layers[k], by_sum))
            if k:
                down = by_sum @ self.weights[k]
        return found[::-1]

    def _along_the_pulls(self, gradient: Tensor | None) -> tuple[list[Tensor], list[list[tuple[Tensor, Tensor]]]]:
        """From the input to the output: what the pulls give to slopes and weights, nothing without ``gradient``."""
        by_slope: list[Tensor] = []
        layers: list[list[tuple[Tensor, Tensor]]] = [[] for _ in self.weights]
        if gradient is None:
            return by_slope, layers
        up = gradient
        for k, (slope, pull) in enumerate(zip(self.slopes, self.pulls, strict=True)):
            layers[k].append((pull * slope, up))
            turned = up @ self.weights[k].T
            by_slope.append(turned * pull)
            up = turned.mul_(slope)
        layers[-1].append((torch.ones_like(up[:, :1]), up))
        return by_slope, layers


def trace(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    activations: Sequence[Activation],
    *,
    gradient: bool,
) -> Trace:
    """Pass ``x`` [rows, inputs] through the network; with ``gradient``, also the gradient of the output by ``x``."""
    inputs, sums, slopes, pulls = [x], [], [], []
    for weight, bias, activation in zip(weights, biases, activations, strict=False):
        sums.append(torch.addmm(bias, inputs[-1], weight.T))
        inputs.append(activation.function(sums[-1]))
        slopes.append(activation.derivative(sums[-1], inputs[-1]))
    value = (inputs[-1] @ weights[-1][0]).add_(biases[-1])
    slope = None
    if gradient:
        slope = weights[-1].expand(len(x), -1)
        for weight, a in zip(reversed(weights[:-1]), reversed(slopes), strict=True):
            pulls.append(slope)
            slope = (slope * a) @ weight
    return Trace(weights, activations, inputs, sums, slopes, pulls[::-1], value, slope)


def weight_gradients(layers: Sequence[Factors]) -> list[Tensor]:
    """Return the sums over rows: of each layer's weights, then of each layer's bias."""
    weights = []
    for layer in layers:
        (left, right), *others = layer.pairs
        total = left.T @ right
        for left, right in others:
            total.addmm_(left.T, right)
        weights.append(total)
    return [*weights, *(layer.bias.sum(0) for layer in layers)]
