"""Residual vector quantisation: each level has codes for what the ones before have left (Zeghidour et al. 2021).

The codes are running means of the latents nearest to them (van den Oord et al. 2017, appendix A.1). They are buffers:
the loss moves the encoder towards the codes, and the codes move by their means alone.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from potentia.operators.tokenizer.quantiser import Coded, Quantiser
from potentia.seeding import stream

__all__ = ["ResidualVQ", "k_means"]

SMOOTHING = 1e-5
ROUNDS = 10
POINTS = 4096
"""Latents that the codes begin with at most."""


class ResidualVQ(Quantiser):
    """Learned codes.

    Args:
        categories: Number of categories.
        latent_dim: Numbers of a latent.
        levels: Levels of each category.
        size: Codes of each level.
        decay: How much of the running means a batch leaves.
        dead_below: Part of the mean use of a level below which a code is revived.
    """

    codebooks: Tensor
    """[categories, levels, codes, latent]"""
    counts: Tensor
    """Running mean of how many latents of a batch each code has.  [categories, levels, codes]"""
    sums: Tensor
    """Running mean of their sum.  [categories, levels, codes, latent]"""

    def __init__(
        self, categories: int, latent_dim: int, levels: int, size: int, decay: float, dead_below: float
    ) -> None:
        super().__init__()
        self.latent_dim, self.levels, self.size = latent_dim, levels, size
        self.decay, self.dead_below = decay, dead_below
        self.register_buffer("codebooks", torch.zeros(categories, levels, size, latent_dim))
        self.register_buffer("counts", torch.ones(categories, levels, size))
        self.register_buffer("sums", torch.zeros(categories, levels, size, latent_dim))

    def forward(self, latents: Tensor) -> Coded:
        """Return the codes of latents [categories, samples, latent], level by level."""
        inputs, codes, tokens = [], [], []
        left = latents
        for level in range(self.levels):
            token, code = _nearest(left, self.codebooks[:, level])
            inputs.append(left)
            codes.append(code)
            tokens.append(token)
            left = left - code
        return Coded(torch.stack(inputs, 1), torch.stack(codes, 1), torch.stack(tokens, 1))

    def nearest(self, inputs: Tensor) -> Coded:
        """Return the codes of what the levels are given.  [categories, levels, samples, latent]"""
        token, code = _nearest(inputs.flatten(0, 1), self.codebooks.flatten(0, 1))
        return Coded(inputs, code.view(inputs.shape), token.view(inputs.shape[:-1]))

    @torch.no_grad()
    def start(self, latents: Tensor, seed: int) -> None:
        """Put the codes where k-means finds the latents, level by level."""
        left = latents[:, :POINTS].double().cpu().numpy()
        for level in range(self.levels):
            for category, points in enumerate(left):
                codes, counts = k_means(points, self.size, stream(seed, "codes", category, level))
                self.codebooks[category, level] = torch.from_numpy(codes)
                self.counts[category, level] = torch.from_numpy(counts)
                left[category] = points - codes[_labels(points, codes)]
        self.sums.copy_(self.codebooks * self.counts[..., None])

    @torch.no_grad()
    def follow(self, coded: Coded) -> None:
        """Move the running means, and so the codes, by a batch."""
        chosen = functional.one_hot(coded.tokens, self.size).to(self.sums)
        self.counts.lerp_(chosen.sum(2), 1 - self.decay)
        self.sums.lerp_(chosen.mT @ coded.inputs.detach(), 1 - self.decay)
        self._settle()

    @torch.no_grad()
    def revive(self, coded: Coded, seed: int, epoch: int, batch: int) -> None:
        """Move codes that are hardly used to latents of the batch, and let them count as much as the mean code."""
        mean = self.counts.mean(-1, keepdim=True)
        dead = self.counts < self.dead_below * mean
        samples = coded.inputs.shape[2]
        drawn = stream(seed, "dead codes", epoch, batch).integers(samples, size=tuple(self.counts.shape))
        places = torch.from_numpy(drawn).to(self.sums.device)[..., None].expand_as(self.sums)
        fresh = coded.inputs.detach().gather(2, places)
        self.counts.copy_(torch.where(dead, mean, self.counts))
        self.sums.copy_(torch.where(dead[..., None], fresh * mean[..., None], self.sums))
        self._settle()

    def _settle(self) -> None:
        whole = self.counts.sum(-1, keepdim=True)
        smooth = (self.counts + SMOOTHING) / (whole + self.size * SMOOTHING) * whole
        self.codebooks.copy_(self.sums / smooth[..., None])


def k_means(
    points: NDArray[np.float64], size: int, draws: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres and how many points each has, from k-means++ and some rounds of Lloyd's.

    Args:
        points: [points, latent]
        size: Centres; where there are fewer points, some centres are the same.
        draws: Where random numbers come from.
    """
    centres = points[[draws.integers(len(points))]]
    squares = np.square(points - centres[0]).sum(1)
    while len(centres) < size:
        whole = squares.sum()
        chosen = draws.choice(len(points), p=squares / whole if whole > 0 else None)
        centres = np.concatenate((centres, points[[chosen]]))
        squares = np.minimum(squares, np.square(points - points[chosen]).sum(1))
    for _ in range(ROUNDS):
        member = np.eye(size)[_labels(points, centres)]  # [points, centres]
        counts = member.sum(0)
        centres = np.where(counts[:, None] > 0, member.T @ points / np.maximum(counts, 1)[:, None], centres)
    return centres, np.bincount(_labels(points, centres), minlength=size).astype(np.float64)


def _labels(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = (np.square(centres).sum(1) - 2 * points @ centres.T).argmin(1)
    return found


def _nearest(latents: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
    """Return number and values of the nearest of codes [books, codes, latent] for latents [books, samples, latent]."""
    with torch.no_grad():
        products = latents @ codebook.mT
        token = (codebook.square().sum(-1)[:, None] - 2 * products).argmin(-1)
        code = codebook.gather(1, token[..., None].expand_as(latents))
    return token, code
