"""The loss of latent networks: states, their first two derivatives by u, and the way through encoder and decoder.

Derivatives are differences on the grid of the targets, whatever its spacing. By themselves they are of any size: a
target that bends on the scale of the spacing h has a mean square second derivative of order 1/h⁴. Each derivative is
therefore measured by that of the targets: the error of order k is

    mean((Dᵏ(prediction − target))²) · variance(target) / mean((Dᵏ target)²)

so that each term is the variance of the targets where the prediction is their mean, and the weights mean what they say
on every grid. Where two times are nearer than on an even grid, the difference is weighed down by (h/mean h)ᵏ; else
the first steps of a logarithmic grid, where differences are rounding, would outweigh all others.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from potentia.checks import number

__all__ = ["LatentLoss", "curvature", "derivative_error", "slope"]


@dataclass(frozen=True, kw_only=True)
class LatentLoss:
    """Weights of the terms of the loss."""

    states: float = 100.0
    """Of the error of the states, as the training's own loss function measures it."""
    identity: float = 1.0
    """Of the mean square by which encoding and decoding change the initial state; none where its condition is hard."""
    slope: float = 1.0
    """Of the error of the first derivative by u, in the size of the targets' variance; from two times on."""
    curvature: float = 1.0
    """Of the error of the second derivative by u, in the size of the targets' variance; from three times on."""

    def __post_init__(self) -> None:
        for field in fields(self):
            number(field.name, getattr(self, field.name), low=0)

    def of_derivatives(self, prediction: Tensor, target: Tensor, times: Tensor) -> Tensor:
        """Return the weighed terms of both derivatives; the arguments are those of `derivative_error`."""
        total = prediction.new_zeros(())
        for weight, order in ((self.slope, 1), (self.curvature, 2)):
            if weight > 0 and target.shape[1] > order:
                total = total + weight * derivative_error(prediction, target, times, order)
        return total


def derivative_error(prediction: Tensor, target: Tensor, times: Tensor, order: int) -> Tensor:
    """Return the mean square error of a derivative, in the size of the variance of the targets.

    Args:
        prediction: Scaled states.  [trajectories, times, quantities]
        target: The same of the data; where none of them changes there is no measure, and the error is 0.
        times: Mapped times u, shared [times] or of each [trajectories, times].
        order: 1 or 2.
    """
    derivative = {1: slope, 2: curvature}[order]
    with torch.no_grad():
        variance = target.var((0, 1), correction=0).mean()
        size = derivative(target, times).square().mean()
        scale = torch.where(size > 0, variance / size, 0.0)
    return scale * derivative(prediction - target, times).square().mean()


def slope(values: Tensor, times: Tensor) -> Tensor:
    """Return first derivatives: through three points, at the two ends through two.  [trajectories, times, quantities]

    Args:
        values: [trajectories, times, quantities], two times at least.
        times: [times] or [trajectories, times].
    """
    h, even = _spacings(times)
    lines = values.diff(dim=1) * _inverse(h)  # [trajectories, times − 1, quantities]
    left, right = h[:, :-1], h[:, 1:]
    inner = (left * lines[:, 1:] + right * lines[:, :-1]) * _inverse(left + right)
    inner = inner * (torch.minimum(left, right) * _inverse(even)).clamp(max=1)
    ends = lines * (h * _inverse(even)).clamp(max=1)
    return torch.cat((ends[:, :1], inner, ends[:, -1:]), 1)


def curvature(values: Tensor, times: Tensor) -> Tensor:
    """Return second derivatives through three points.  [trajectories, times − 2, quantities]

    Args:
        values: [trajectories, times, quantities], three times at least.
        times: [times] or [trajectories, times].
    """
    h, even = _spacings(times)
    left, right = h[:, :-1], h[:, 1:]
    bends = (values.diff(dim=1) * _inverse(h)).diff(dim=1) * _inverse(left + right)
    return 2 * bends * (torch.minimum(left, right) * _inverse(even)).clamp(max=1).square()


def _spacings(times: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spacings [trajectories or 1, times − 1, 1], and those of an even grid [trajectories or 1, 1, 1]."""
    rows = torch.atleast_2d(times)
    h = rows.diff(dim=1)[..., None]
    return h, h.mean(1, keepdim=True)


def _inverse(h: Tensor) -> Tensor:
    """Return 1/h, and 0 where two times have become one in this precision."""
    return torch.where(h > 0, 1 / h, 0.0)
