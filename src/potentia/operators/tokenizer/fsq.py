"""Finite scalar quantisation: each number of a latent is rounded to a few values (Mentzer et al. 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from potentia.operators.tokenizer.quantiser import Coded, Quantiser

__all__ = ["FSQ"]

MARGIN = 1e-3


class FSQ(Quantiser):
    """Codes on a fixed grid in [−1, 1]: nothing to learn, so no code can die.

    Args:
        values: Values of each number of a latent.

    >>> coded = FSQ((3, 2))(torch.tensor([[[-9.0, 9.0], [0.1, -9.0]]]))
    >>> coded.codes[0, 0].tolist(), coded.tokens.tolist()
    ([[-1.0, 0.0], [0.0, -1.0]], [[[3, 1]]])
    """

    unit = True
    count: Tensor
    place: Tensor

    def __init__(self, values: tuple[int, ...]) -> None:
        super().__init__()
        self.latent_dim, self.levels, self.size = len(values), 1, math.prod(values)
        self.register_buffer("count", torch.tensor(values), persistent=False)
        places = [math.prod(values[:k]) for k in range(len(values))]
        self.register_buffer("place", torch.tensor(places), persistent=False)

    def forward(self, latents: Tensor) -> Coded:
        """Return the codes of latents [categories, samples, latent], squeezed into the range of the grid."""
        half = (self.count - 1) * (1 + MARGIN) / 2
        shift = torch.where(self.count % 2 == 0, 0.5, 0.0)
        squeezed = torch.tanh(latents + torch.atanh(shift / half)) * half - shift
        return self.nearest((squeezed / self._half)[:, None])

    def nearest(self, inputs: Tensor) -> Coded:
        """Return the codes of what is squeezed already.  [categories, 1, samples, latent]"""
        low, high = -self._half, self.count - 1 - self._half
        with torch.no_grad():
            rounded = (inputs * self._half).round().clamp(low, high)
            tokens = ((rounded + self._half).long() * self.place).sum(-1)
        return Coded(inputs, rounded / self._half, tokens)

    @property
    def _half(self) -> Tensor:
        return self.count // 2
