"""Layers that multiply the longest waves of features by numbers of their own, and each point by the same matrix."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from potentia.nn import fields_of, modes_of

__all__ = ["FourierLayer", "WaveLayer"]


class WaveLayer(nn.Module, ABC):
    """A product for each wave kept, which a layer below says, and one for each point.

    Args:
        width: Channels in and out.
        kept: Waves along each axis.
        waves: First numbers of the waves.
    """

    def __init__(self, width: int, kept: tuple[int, ...], waves: Tensor) -> None:
        super().__init__()
        self.kept = kept
        self.waves = nn.Parameter(waves)
        self.point = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape.  [width, samples, *grid]"""
        modes = modes_of(features, self.kept)
        smooth = fields_of(self._mixed(modes), tuple(features.shape[2:]))
        local = torch.addmm(smooth.flatten(1), self.point.weight, features.flatten(1))
        return (local + self.point.bias[:, None]).view(features.shape)

    @abstractmethod
    def _mixed(self, modes: Tensor) -> Tensor:
        """Return waves times their matrices.  [width, samples, *kept (last axis first)]"""


class FourierLayer(WaveLayer):
    """A complex matrix for each wave kept, and a real one for each point.

    Args:
        width: Channels in and out.
        modes: Waves along each axis: 0 … modes − 1 along the last one, of both signs along the one before it.
        n_axes: Axes of space.
    """

    def __init__(self, width: int, modes: int, n_axes: int) -> None:
        kept = (2 * modes, modes) if n_axes == 2 else (modes,)
        drawn = torch.randn(*reversed(kept), width, 2, width)  # [*kept (last axis first), in, real and imaginary, out]
        super().__init__(width, kept, drawn / math.sqrt(2 * width))

    def _mixed(self, modes: Tensor) -> Tensor:
        """Multiply each wave by its own complex matrix.  [width, samples, *kept (last axis first)]

        Real and imaginary part are rows and columns of one real product, which is as many operations, and batches of
        real products are what linear algebra libraries are good at.
        """
        width, samples = modes.shape[:2]
        parts = torch.view_as_real(modes).flatten(2, -2).permute(2, 3, 1, 0)  # [waves, 2, samples, width]
        n = len(parts)
        all_four = torch.bmm(parts.reshape(n, 2 * samples, width), self.waves.view(n, width, 2 * width))
        four = all_four.view(n, 2, samples, 2, width).permute(1, 3, 4, 2, 0)  # [2, 2, width, samples, waves]
        real, imaginary = four[0, 0] - four[1, 1], four[0, 1] + four[1, 0]
        return torch.complex(real, imaginary).view(modes.shape)
