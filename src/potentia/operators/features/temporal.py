"""Features of each step of a trajectory: moments, gradients, spectrum, change, and what channels have in common."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from potentia.operators.features.families import Family, several_channels, two_axes
from potentia.operators.features.frames import BANDS, has_band, root
from potentia.operators.features.movie import Movie

__all__ = ["COEFFICIENTS", "TEMPORAL", "cosine_coefficients"]

TEMPORAL: Family[Movie] = Family("temporal")
"""Each has a value for each step; `cosine_coefficients` makes numbers of a trajectory of them.

Powers P are those of the field with white noise as strong as f = 10⁻⁴ ⟨u²⟩ over all steps; s² is at least f.
"""

COEFFICIENTS = 4
"""Of each feature over time."""


def cosine_coefficients(series: Tensor, count: int = COEFFICIENTS) -> Tensor:
    """Return the first coefficients of the orthonormal DCT-II of series [samples, steps + 1, ...] along the steps.

    [samples, ..., coefficients]; as many as there are steps give the series back.
    """
    n = series.shape[1]
    times = torch.arange(n, dtype=series.dtype, device=series.device)
    orders = torch.arange(count, dtype=series.dtype, device=series.device)
    waves = torch.cos(math.pi * orders[:, None] * (2 * times + 1) / (2 * n)) * math.sqrt(2 / n)
    waves = torch.where(orders[:, None] == 0, waves / math.sqrt(2), waves)  # [coefficients, steps + 1]
    return torch.einsum("kt,nt...->n...k", waves, series)


@TEMPORAL.add()
def mean(movie: Movie) -> Tensor:
    """⟨u⟩."""
    return movie.mean


@TEMPORAL.add()
def std(movie: Movie) -> Tensor:
    """s = √⟨d²⟩ with d = u − ⟨u⟩."""
    return root(movie.variance)


@TEMPORAL.add(heavy=True)
def skew(movie: Movie) -> Tensor:
    """|⟨d³⟩|/s³; with signs, channels that mirror each other would cancel but for their errors."""
    return movie.deviation.pow(3).mean(-1).abs() / movie.spread.pow(1.5)


@TEMPORAL.add(heavy=True)
def kurt(movie: Movie) -> Tensor:
    """⟨d⁴⟩/s⁴ − 3."""
    return movie.deviation.pow(4).mean(-1) / movie.spread.square() - 3


@TEMPORAL.add()
def least(movie: Movie) -> Tensor:
    """Smallest value."""
    return movie.sorted[..., 0]


@TEMPORAL.add()
def largest(movie: Movie) -> Tensor:
    """Largest value."""
    return movie.sorted[..., -1]


@TEMPORAL.add()
def q05(movie: Movie) -> Tensor:
    """Value that 5 % of the points are below."""
    return movie.quantile(0.05)


@TEMPORAL.add()
def q50(movie: Movie) -> Tensor:
    """Median."""
    return movie.quantile(0.5)


@TEMPORAL.add()
def q95(movie: Movie) -> Tensor:
    """Value that 95 % of the points are below."""
    return movie.quantile(0.95)


@TEMPORAL.add()
def iqr(movie: Movie) -> Tensor:
    """Distance between the quartiles."""
    return movie.quantile(0.75) - movie.quantile(0.25)


@TEMPORAL.add(heavy=True)
def grad_rms(movie: Movie) -> Tensor:
    """√⟨|∇u|²⟩."""
    return root(movie.slope_squared.mean(-1))


@TEMPORAL.add(heavy=True)
def grad_max(movie: Movie) -> Tensor:
    """Largest |∇u|."""
    return root(movie.slope_squared.amax(-1))


@TEMPORAL.add(needs=two_axes)
def grad_anisotropy(movie: Movie) -> Tensor:
    """|⟨u_x²⟩ − ⟨u_y²⟩|/(⟨u_x²⟩ + ⟨u_y²⟩)."""
    x, y = (one.square().mean(-1) for one in movie.gradient)
    return (x - y).abs() / torch.maximum(x + y, movie.floor)


@TEMPORAL.add(heavy=True)
def lap_rms(movie: Movie) -> Tensor:
    """√⟨(Δu)²⟩."""
    return root(movie.laplacian.square().mean(-1))


def _band_fraction(movie: Movie, band: int) -> Tensor:
    return (movie.band_powers[..., band] / movie.band_powers.sum(-1)).log10()


for _band, _begin in enumerate(BANDS):
    _end = f"{BANDS[_band + 1]:g}" if _band + 1 < len(BANDS) else "∞"
    TEMPORAL.put(
        f"band_frac_{_band}",
        f"log₁₀ of the part of Σ P with frequencies in [{_begin:g}, {_end}) of Nyquist.",
        partial(_band_fraction, band=_band),
        needs=partial(has_band, band=_band),
    )


@TEMPORAL.add()
def centroid(movie: Movie) -> Tensor:
    """c = Σ k P/Σ P, with k in units of Nyquist."""
    return movie.spectrum @ movie.frequencies


@TEMPORAL.add()
def bandwidth(movie: Movie) -> Tensor:
    """√(Σ (k − c)² P/Σ P)."""
    first, second = movie.spectrum @ movie.frequencies, movie.spectrum @ movie.frequencies.square()
    return root(functional.relu(second - first.square()))


@TEMPORAL.add()
def flatness(movie: Movie) -> Tensor:
    """⟨log₁₀ P⟩ − log₁₀⟨P⟩ over all modes but the constant one: 0 of white noise."""
    weights = movie.multiplicity / movie.multiplicity.sum()
    return movie.seen_power.log10() @ weights - (movie.seen_power @ weights).log10()


@TEMPORAL.add()
def rms(movie: Movie) -> Tensor:
    """√⟨u²⟩."""
    return movie.rms


@TEMPORAL.add(heavy=True)
def step_change(movie: Movie) -> Tensor:
    """‖u_t − u_{t−1}‖/‖u_{t−1}‖, and 0 at the first step."""
    return functional.pad(movie.step_change, (0, 0, 1, 0))


@TEMPORAL.add(joint=True, needs=several_channels)
def corr_mean(movie: Movie) -> Tensor:
    """Mean correlation over space between two channels."""
    return _pairs(movie).mean(-1)


@TEMPORAL.add(joint=True, needs=several_channels)
def corr_absmax(movie: Movie) -> Tensor:
    """Largest absolute correlation over space between two channels."""
    return _pairs(movie).abs().amax(-1)


@TEMPORAL.add(joint=True, needs=several_channels)
def participation(movie: Movie) -> Tensor:
    """(Σ λ)²/Σ λ² of the matrix of correlations between channels, 1 on its diagonal."""
    channels = movie.correlation.shape[-1]
    return channels**2 / (channels + 2 * _pairs(movie).square().sum(-1))


def _pairs(movie: Movie) -> Tensor:
    """Return the correlation of each pair of channels.  [samples, steps + 1, pairs]"""
    n = movie.correlation.shape[-1]
    first, second = torch.triu_indices(n, n, 1, device=movie.fields.device)
    return movie.correlation[..., first, second]
