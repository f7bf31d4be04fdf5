"""What may be asked of latents besides reconstruction: different categories tell different things, distances remain."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["orthogonality", "topography"]

TINY = 1e-8


def orthogonality(latents: Tensor) -> Tensor:
    """Return the mean square correlation over a batch between numbers of different categories.  []

    0 where there is one category.

    Args:
        latents: [categories, samples, latent]
    """
    categories, samples, width = latents.shape
    deviation = latents - latents.mean(1, keepdim=True)
    units = deviation / (deviation.square().sum(1, keepdim=True) + TINY).sqrt()
    rows = units.transpose(0, 1).reshape(samples, categories * width)
    squares = (rows.mT @ rows).square().view(categories, width, categories, width).sum((1, 3))
    apart = squares.sum() - squares.diagonal().sum()
    return apart / max(categories * (categories - 1) * width**2, 1)


def topography(features: Tensor, codes: Tensor) -> Tensor:
    """Return 1 − Pearson's correlation between distances of features and distances of codes within a batch.  []

    0 where there are fewer than three samples.

    Args:
        features: Normalised.  [samples, features]
        codes: Quantised latents.  [categories, samples, latent]
    """
    if len(features) < 3:
        return codes.sum() * 0
    first, second = torch.triu_indices(len(features), len(features), 1, device=features.device)
    rows = codes.transpose(0, 1).flatten(1)
    ours, theirs = (((one[first] - one[second]).square().sum(1) + TINY).sqrt() for one in (rows, features))
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    return 1 - (ours * theirs).sum() / ((ours.square().sum() * theirs.square().sum()).sqrt() + TINY)
