"""Features of the initial field: clusters, order in space, spectrum and complexity."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from potentia.operators.features.clusters import clusters, lempel_ziv
from potentia.operators.features.families import Family, square_grid
from potentia.operators.features.frames import TINY, Frames, root

__all__ = ["INITIAL"]

INITIAL: Family[Frames] = Family("initial")
"""Each has a value for each channel of the initial field."""

BINS = 32
PATCHES = 4
SHARPNESS = 20.0


@INITIAL.add(differentiable=False)
def cluster_count(frames: Frames) -> Tensor:
    """log(1 + number of clusters of points with u > ⟨u⟩ + s/2)."""
    count, _, _ = _clusters(frames)
    return count.log1p()


@INITIAL.add(differentiable=False)
def largest_cluster_frac(frames: Frames) -> Tensor:
    """Part of the points with u > ⟨u⟩ + s/2 that is in the largest cluster; 0 where there are none."""
    _, largest, active = _clusters(frames)
    return largest / active.clamp_min(1)


@INITIAL.add()
def autocorr(frames: Frames) -> Tensor:
    """Moran's I: ⟨d d'⟩/⟨d²⟩ over next neighbours d' along the axes."""
    products = (frames.deviation * frames.neighbour_sums.sum(0)).mean(-1)
    return products / (2 * frames.n_axes * frames.spread)


@INITIAL.add()
def centroid_dist(frames: Frames) -> Tensor:
    """1 − |⟨|u| exp(2πix)⟩|/⟨|u|⟩, averaged over the axes."""
    weights = frames.flat.abs().view(frames.fields.shape)
    spread = []
    for axis, points in enumerate(frames.grid):
        others = [d for d in range(-frames.n_axes, 0) if d != axis - frames.n_axes]
        along = weights.sum(others) if others else weights
        angle = 2 * math.pi / points * torch.arange(points, dtype=along.dtype, device=along.device)
        resultant = root((along @ angle.cos()).square() + (along @ angle.sin()).square())
        spread.append(1 - resultant / (along.sum(-1) + TINY))
    return torch.stack(spread).mean(0)


@INITIAL.add(differentiable=False)
def dominant_freq(frames: Frames) -> Tensor:
    """Length of the wave vector with the most power, in units of Nyquist."""
    return frames.frequencies[frames.power.argmax(-1)]


@INITIAL.add()
def spectral_centroid(frames: Frames) -> Tensor:
    """Σ k P/Σ P, with k in units of Nyquist."""
    return frames.spectrum @ frames.frequencies


@INITIAL.add()
def power_law_exp(frames: Frames) -> Tensor:
    """Minus the slope of log P over log k, P averaged over rings of wave numbers 1, 2, … up to Nyquist."""
    rings = int(frames.nyquist)
    ring = frames.wave_numbers.round().long()
    members = torch.nn.functional.one_hot(ring, int(ring.max()) + 1)[:, 1 : rings + 1]
    weights = members.to(frames.power.dtype) * frames.multiplicity[:, None]
    profile = (frames.power @ weights) / weights.sum(0)  # [..., channels, rings]
    relative = profile / (profile.sum(-1, keepdim=True) + TINY) + TINY
    k = torch.arange(1, rings + 1, dtype=profile.dtype, device=profile.device).log()
    k = k - k.mean()
    return -(relative.log() @ k) / k.square().sum()


@INITIAL.add()
def entropy(frames: Frames) -> Tensor:
    """−Σ p log p/log 32 of a soft histogram of 32 bins from the least value to the largest."""
    return _entropy(frames.unit)


@INITIAL.add(needs=lambda _channels, grid: all(points % PATCHES == 0 for points in grid))
def local_entropy_var(frames: Frames) -> Tensor:
    """Variance over patches, a quarter of the domain along each axis, of the entropy of the soft histogram."""
    patches = frames.unit.view(frames.fields.shape)
    for axis in range(frames.n_axes):
        size = frames.grid[axis] // PATCHES
        patches = patches.unfold(-frames.n_axes, size, size)
    entropies = _entropy(patches.flatten(-frames.n_axes)).flatten(-frames.n_axes)
    return entropies.var(-1, correction=0)


@INITIAL.add(differentiable=False)
def lz_complexity(frames: Frames) -> Tensor:
    """Phrases of Lempel and Ziv (1976) in u > median, row by row, over n/log₂ n."""
    above = (frames.flat > frames.quantile(0.5)[..., None]).flatten(0, -2).cpu().numpy()
    values = [lempel_ziv(bits) for bits in above]
    return torch.tensor(values, dtype=frames.flat.dtype, device=frames.flat.device).view(frames.mean.shape)


@INITIAL.add()
def predictability(frames: Frames) -> Tensor:
    """R² of the best linear prediction of d from its next neighbours along the axes."""
    sums = frames.neighbour_sums.movedim(0, -2)  # [..., channels, axes, points]; both sides weigh the same
    gram = sums @ sums.mT / sums.shape[-1]
    shared = (sums @ frames.deviation[..., None])[..., 0] / sums.shape[-1]
    ridge = 1e-6 * (gram.diagonal(dim1=-2, dim2=-1).sum(-1) + frames.variance) + TINY
    eye = torch.eye(frames.n_axes, dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram + ridge[..., None, None] * eye, shared)
    found: Tensor = (weights * shared).sum(-1) / frames.spread
    return found


@INITIAL.add()
def density(frames: Frames) -> Tensor:
    """Part of the points above the middle between the least and the largest value, with a soft border."""
    return torch.sigmoid(SHARPNESS * (frames.unit - 0.5)).mean(-1)


@INITIAL.add(heavy=True)
def gradient_rms(frames: Frames) -> Tensor:
    """√⟨|∇u|²⟩."""
    return root(frames.slope_squared.mean(-1))


@INITIAL.add(needs=square_grid)
def symmetry(frames: Frames) -> Tensor:
    """Largest correlation of the field with itself turned by 90, 180 and 270 degrees."""
    shaped = frames.deviation.view(frames.fields.shape)
    turned = [torch.rot90(shaped, quarter, (-2, -1)).flatten(-2) for quarter in (1, 2, 3)]
    products = torch.stack([(frames.deviation * one).mean(-1) for one in turned])
    return products.amax(0) / frames.spread


def _clusters(frames: Frames) -> tuple[Tensor, Tensor, Tensor]:
    """Return count and size of the largest of clusters, and the number of points in them.  [..., channels] each"""
    active = frames.deviation > 0.5 * root(frames.variance)[..., None]
    fields = active.reshape(-1, *frames.grid).cpu().numpy()
    count, largest = clusters(fields)
    found = np.stack((count, largest, fields.reshape(len(fields), -1).sum(1)))
    return tuple(torch.from_numpy(found).to(frames.flat).view(3, *frames.mean.shape).unbind(0))  # type: ignore[return-value]


def _entropy(unit: Tensor) -> Tensor:
    """Return the entropy of values in [0, 1], each spread over the bins near it, over that of equal bins."""
    centres = torch.linspace(0, 1, BINS, dtype=unit.dtype, device=unit.device)
    distance = (unit[..., None] - centres) * (BINS - 1)  # in bins
    p = torch.softmax(-2 * distance.square(), -1).mean(-2)
    return -(p * (p + TINY).log()).sum(-1) / math.log(BINS)
