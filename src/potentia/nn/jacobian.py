"""Derivatives by every weight of many sums over rows at once: one row of a Jacobian for each segment of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from potentia.nn.passes import Factors

__all__ = ["segment_jacobian"]


def segment_jacobian(layers: Sequence[Factors], counts: Tensor) -> Tensor:
    """Return the derivative of each segment's sum by the weights of all layers, then by their biases.

    Args:
        layers: From `Trace.factors`.
        counts: Rows of each segment, one segment after the other.  [segments]

    Returns:
        [segments, parameters], in the order of an `MLP`'s parameters.
    """
    padding = _Padding(counts)
    weights = [_outer(layer, padding) for layer in layers]
    return torch.cat([*weights, *(padding(layer.bias).sum(1) for layer in layers)], dim=1)


class _Padding:
    """Brings rows to [segments, longest segment, ...] with zeros behind the shorter ones."""

    def __init__(self, counts: Tensor) -> None:
        self.n = len(counts)
        self.segment = torch.repeat_interleave(torch.arange(self.n, device=counts.device), counts)
        first = torch.cumsum(counts, 0) - counts
        self.position = torch.arange(len(self.segment), device=counts.device) - first[self.segment]
        self.longest = int(counts.max()) if self.n else 0

    def __call__(self, rows: Tensor) -> Tensor:
        padded = rows.new_zeros(self.n, self.longest, *rows.shape[1:])
        padded[self.segment, self.position] = rows
        return padded


def _outer(layer: Factors, padding: _Padding) -> Tensor:
    left = torch.cat([padding(left) for left, _ in layer.pairs], dim=1)  # [segments, rows of it, outputs]
    right = torch.cat([padding(right) for _, right in layer.pairs], dim=1)
    return torch.bmm(left.transpose(1, 2), right).flatten(1)
