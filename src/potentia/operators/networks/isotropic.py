"""Fourier layer that knows no direction: mirrored and turned fields give mirrored and turned fields.

A filter has this symmetry if its number of a wave (k, l) is real and that of (±k, ±l) and (±l, ±k), too. So one real
matrix serves up to eight waves: an eighth of the weights, and half the products.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from potentia.operators.networks.fourier_layer import WaveLayer

__all__ = ["IsotropicLayer", "orbits"]


class IsotropicLayer(WaveLayer):
    """A real product for the waves of each orbit, and one for each point.

    Args:
        width: Channels in and out.
        modes: Waves along each axis: those with wavenumbers below it, of both signs.
        n_axes: Axes of space.
    """

    orbit: Tensor

    def __init__(self, width: int, modes: int, n_axes: int) -> None:
        orbit = orbits(modes, n_axes)
        drawn = torch.randn(int(orbit.max()) + 1, width, width)  # [orbits, in, out]
        super().__init__(width, (2 * modes - 1, modes) if n_axes == 2 else (modes,), drawn / math.sqrt(width))
        self.register_buffer("orbit", orbit, persistent=False)

    def _mixed(self, modes: Tensor) -> Tensor:
        """Multiply real and imaginary part of each wave by the matrix of its orbit.

        Shape: [width, samples, *kept (last axis first)].
        """
        width, samples = modes.shape[:2]
        rows = torch.view_as_real(modes).flatten(2, -2).permute(2, 3, 1, 0)  # [waves, 2, samples, width]
        mixed = torch.bmm(rows.reshape(len(rows), 2 * samples, width), self.waves[self.orbit])
        parts = mixed.view(-1, 2, samples, width).permute(3, 2, 0, 1).contiguous()  # [width, samples, waves, 2]
        return torch.view_as_complex(parts).view(modes.shape)


def orbits(modes: int, n_axes: int) -> Tensor:
    """Return the number of the orbit of each wave below ``modes``, in the order of `modes_of`, flat.

    >>> orbits(2, 2)  # of the waves (0, 0), (1, 0), (−1, 0), (0, 1), (1, 1), (−1, 1)
    tensor([0, 1, 1, 1, 2, 2])
    """
    last = torch.arange(modes)
    if n_axes == 1:
        return last
    first = torch.cat((last, last[1:].flip(0)))  # without the signs
    low, high = torch.minimum(last[:, None], first), torch.maximum(last[:, None], first)  # [last axis, other axis]
    return (high * (high + 1) // 2 + low).flatten()
