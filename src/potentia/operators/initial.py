"""Initial fields on a periodic grid: bumps, Gaussian random fields, bands of them, and waves; lengths in points."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["band_limited", "bumps", "gaussian_field", "random_modes", "wave"]

Floats: TypeAlias = NDArray[np.float64]


def bumps(centres: Floats, widths: Floats, grid: tuple[int, ...]) -> Floats:
    """Return Gaussian bumps of height 1, each the shortest way around the grid.  [bumps, *grid]

    Args:
        centres: As parts of the grid, 0 to 1.  [bumps, axes]
        widths: Standard deviations, in points.  [bumps]
        grid: Points along each axis.
    """
    total = np.ones((len(centres), *grid))
    for axis, n in enumerate(grid):
        away = (np.arange(n) - n * centres[:, axis, None] + n / 2) % n - n / 2  # [bumps, points], −n/2 to n/2
        shape = [len(centres), *(n if other == axis else 1 for other in range(len(grid)))]
        total *= np.exp(-0.5 * (away / widths[:, None]) ** 2).reshape(shape)
    return total


def gaussian_field(source: np.random.Generator, grid: tuple[int, ...], length: float) -> Floats:
    """Return a Gaussian random field of mean 0 and variance 1 over the grid, smooth over ``length`` points.  [*grid]"""
    spectrum = np.fft.rfftn(source.standard_normal(grid))
    field = np.fft.irfftn(spectrum * np.exp(-0.5 * (length * _wavenumbers(grid)) ** 2), grid, axes=range(len(grid)))
    return _standardised(field)


def band_limited(source: np.random.Generator, grid: tuple[int, ...], lengths: tuple[float, ...]) -> Floats:
    """Return the sum of Gaussian random fields of several lengths, of variance 1 in all.  [*grid]"""
    heights = source.uniform(0.3, 1.0, len(lengths))
    total = np.zeros(grid)
    for height, length in zip(heights, lengths, strict=True):
        total += height * gaussian_field(source, grid, length)
    return _standardised(total)


def wave(source: np.random.Generator, grid: tuple[int, ...], wavelength: float) -> Floats:
    """Return a plane wave of height 1 and random direction and phase.  [*grid]

    Its wavelength is the nearest to that many points which closes around the grid in that direction.
    """
    direction = source.standard_normal(len(grid))
    turns = np.round(direction / np.linalg.norm(direction) * np.array(grid) / wavelength)  # around each axis
    if not turns.any():
        turns[int(np.abs(direction).argmax())] = 1.0
    places = np.meshgrid(*(np.arange(n) / n for n in grid), indexing="ij")
    phase = sum((turn * place for turn, place in zip(turns, places, strict=True)), np.zeros(grid))
    return np.asarray(np.sin(2 * np.pi * phase + source.uniform(0, 2 * np.pi)))


def random_modes(source: np.random.Generator, points: int, modes: int, scale: float) -> Floats:
    """Return a field on (0, 1) of mean 0 with the covariance s⁴ (s² − d²/dx²)⁻², s² = ``scale``.  [points]

    The same draws give the same function on every grid, as far as the grid holds its modes.
    """
    draws = source.standard_normal((modes, 2))[: (points - 1) // 2]
    spectrum = np.zeros(points // 2 + 1, dtype=np.complex128)
    number = np.arange(1, len(draws) + 1)
    deviation = scale / ((2 * np.pi * number) ** 2 + scale)
    spectrum[1 : len(draws) + 1] = deviation * (draws[:, 0] - 1j * draws[:, 1]) / math.sqrt(2.0)
    return np.asarray(np.fft.irfft(spectrum, points) * points)


def _wavenumbers(grid: tuple[int, ...]) -> Floats:
    """Return |k| of the entries of `rfftn`, in radians per point."""
    axes = [np.fft.fftfreq(n) for n in grid[:-1]] + [np.fft.rfftfreq(grid[-1])]
    return np.asarray(2 * np.pi * np.sqrt(sum(k**2 for k in np.meshgrid(*axes, indexing="ij"))))


def _standardised(field: Floats) -> Floats:
    """Return the field with mean 0 and variance 1; one that is constant but for rounding stays 0."""
    field = field - field.mean()
    deviation = field.std()
    return np.asarray(field / deviation if deviation > 1e-12 else np.zeros_like(field))
