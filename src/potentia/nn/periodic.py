"""Convolutions and refinement of fields on periodic 2D grids.

torch's own circular padding is right but slow in training: its derivative writes into whole arrays eight times over.
In memory the channels of a point are neighbours ("channels last"): derivatives of convolutions with few channels take
less than half of the time then.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

__all__ = ["PeriodicConv2d", "doubled", "framed"]


class PeriodicConv2d(nn.Conv2d):
    """A convolution of 3 × 3 points that goes on at the other side of an edge.

    Args:
        channels_in: Channels of the fields.
        channels: Channels of the result.
        stride: 2 keeps every other point along both axes.
    """

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__(channels_in, channels, 3, stride=stride)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolved fields.  [samples, channels, x, y]"""
        return functional.conv2d(framed(input), self.weight, self.bias, self.stride)


def framed(fields: Tensor) -> Tensor:
    """Return fields with one more point at each edge, that of the other side.  [samples, channels, x + 2, y + 2]"""
    found: Tensor = _Frame.apply(fields)
    return found


def doubled(fields: Tensor) -> Tensor:
    """Return fields on twice as many points along both axes: bilinear, and across the edges.

    The new points lie a quarter of the old spacing before and behind the old ones.  [samples, channels, 2 x, 2 y]
    """
    lines = framed(fields).permute(0, 2, 3, 1)  # [samples, x + 2, y + 2, channels]
    n, (x, y, channels) = len(lines), (lines.shape[1] - 2, lines.shape[2] - 2, lines.shape[3])
    middle, ends = 0.75 * lines[:, 1:-1], 0.25 * lines
    rows = torch.stack((middle + ends[:, :-2], middle + ends[:, 2:]), 2).view(n, 2 * x, y + 2, channels)
    middle, ends = 0.75 * rows[:, :, 1:-1], 0.25 * rows
    both = torch.stack((middle + ends[:, :, :-2], middle + ends[:, :, 2:]), 3).view(n, 2 * x, 2 * y, channels)
    return both.permute(0, 3, 1, 2)


class _Frame(Function):
    @staticmethod
    def forward(ctx: Any, fields: Tensor) -> Tensor:
        n, channels, x, y = fields.shape
        wide = fields.new_empty(n, x + 2, y + 2, channels).permute(0, 3, 1, 2)
        wide[:, :, 1:-1, 1:-1] = fields
        wide[:, :, 0, 1:-1], wide[:, :, -1, 1:-1] = fields[:, :, -1], fields[:, :, 0]
        wide[..., 0], wide[..., -1] = wide[..., -2], wide[..., 1]
        return wide

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        inner = gradient[:, :, :, 1:-1].clone()
        inner[..., -1] += gradient[..., 0]
        inner[..., 0] += gradient[..., -1]
        found = inner[:, :, 1:-1].clone()
        found[:, :, -1] += inner[:, :, 0]
        found[:, :, 0] += inner[:, :, -1]
        return found
