"""Fourier transforms of real fields on periodic grids, of the few longest waves only.

The waves kept are k = 0 … m − 1 along the last axis, and k = 0 … ⌈r/2⌉ − 1 and −⌊r/2⌋ … −1, so both signs, along the
axis before it. Few waves cost less as products with cosines and sines than by a fast transform that finds them all:
measured, by size, see `MATRIX_MODES`. Both ways give the same numbers to rounding.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from potentia.errors import DataError

__all__ = ["MATRIX_MODES", "Norm", "fields_of", "modes_of"]

Norm: TypeAlias = Literal["forward", "ortho"]
"""``"forward"``: a wave's amplitude, whatever the grid; ``"ortho"``: the transform keeps the sum of squares."""

MATRIX_MODES = 48
"""Up to so many waves along an axis, matrix products take less time than fast transforms."""


def modes_of(fields: Tensor, kept: tuple[int, ...], norm: Norm = "forward") -> Tensor:
    """Return the amplitudes of the waves kept.

    Args:
        fields: Real.  [..., x] or [..., x, y]
        kept: Number of waves along each axis.
        norm: How amplitudes are scaled.

    Returns:
        Complex, with the last axis first.  [..., kept x] or [..., kept y, kept x]

    Raises:
        DataError: the grid has not so many waves.
    """
    grid = tuple(fields.shape[-len(kept) :])
    _require_waves(grid, kept)
    if max(kept) > MATRIX_MODES:
        return _fast_modes(fields, grid, kept, norm)
    n, m = grid[-1], kept[-1]
    along = fields.reshape(-1, n) @ _columns(n, m, norm, fields.dtype, fields.device)
    lead = fields.shape[: -len(kept)]
    if len(kept) == 1:
        return torch.view_as_complex(along.view(*lead, m, 2))
    rows = along.view(-1, grid[0], 2 * m).transpose(1, 2).reshape(-1, 2 * grid[0])  # [... · m, re and im of x]
    both = rows @ _rows(grid[0], kept[0], norm, fields.dtype, fields.device)
    return torch.view_as_complex(both.view(*lead, m, kept[0], 2))


def fields_of(modes: Tensor, grid: tuple[int, ...], norm: Norm = "forward") -> Tensor:
    """Return the fields whose waves have these amplitudes, and no others: the inverse of `modes_of`.

    Args:
        modes: Complex.  [..., kept x] or [..., kept y, kept x]
        grid: Points along each axis.
        norm: How amplitudes are scaled.

    Returns:
        Real.  [..., *grid]

    Raises:
        DataError: the grid has not so many waves.
    """
    kept = tuple(reversed(modes.shape[-len(grid) :]))
    _require_waves(grid, kept)
    if max(kept) > MATRIX_MODES:
        return _fast_fields(modes, grid, kept, norm)
    n, m = grid[-1], kept[-1]
    parts = torch.view_as_real(modes)
    dtype, lead = parts.dtype, modes.shape[: -len(grid)]
    if len(kept) == 2:
        both = parts.reshape(-1, 2 * kept[0]) @ _rows_back(grid[0], kept[0], norm, dtype, modes.device)
        parts = both.view(-1, 2 * m, grid[0]).transpose(1, 2)  # [..., x, re and im of m]
    back = parts.reshape(-1, 2 * m) @ _columns_back(n, m, norm, dtype, modes.device)
    return back.view(*lead, *grid)


def _require_waves(grid: tuple[int, ...], kept: tuple[int, ...]) -> None:
    most = (*grid[:-1], grid[-1] // 2 + 1)
    if any(k > n for k, n in zip(kept, most, strict=True)):
        raise DataError(f"a grid of {grid} points has {most} waves along its axes, and cannot give {kept}: keep fewer")


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # kept, so it must serve training too
def _columns(n: int, m: int, norm: Norm, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Real part and imaginary part, in turn, of exp(−2πi kx/n) for k < m.  [n, 2 m]"""
    turns = torch.outer(torch.arange(n, dtype=torch.int64), torch.arange(m, dtype=torch.int64)) % n
    angle = turns.double() * (2 * math.pi / n)
    waves = torch.stack((angle.cos(), -angle.sin()), 2).flatten(1)
    return (waves * _scale(n, norm)).to(device, dtype)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # kept, so it must serve training too
def _columns_back(n: int, m: int, norm: Norm, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Real fields of real and imaginary part, in turn, of k < m: all but k = 0 and n/2 stand for −k too.  [2 m, n]"""
    k = torch.arange(m)
    twice = torch.where((k == 0) | (2 * k == n), 1.0, 2.0).double().repeat_interleave(2)
    waves = _columns(n, m, norm, torch.float64, torch.device("cpu")).T * twice[:, None]
    return (waves * (_scale_back(n, norm) / _scale(n, norm))).to(device, dtype).contiguous()


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # kept, so it must serve training too
def _rows(n: int, r: int, norm: Norm, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Complex transform as real numbers: all real, then all imaginary parts, to pairs of parts.  [2 n, 2 r]"""
    turns = torch.outer(torch.arange(n, dtype=torch.int64), torch.tensor(_wavenumbers(r))) % n
    angle = turns.double() * (2 * math.pi / n)
    cosine, sine = angle.cos(), angle.sin()
    of_real = torch.stack((cosine, -sine), 2).flatten(1)
    of_imaginary = torch.stack((sine, cosine), 2).flatten(1)
    return (torch.cat((of_real, of_imaginary)) * _scale(n, norm)).to(device, dtype)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)  # kept, so it must serve training too
def _rows_back(n: int, r: int, norm: Norm, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Pairs of parts to all real, then all imaginary parts.  [2 r, 2 n]"""
    waves = _rows(n, r, norm, torch.float64, torch.device("cpu")).T
    return (waves * (_scale_back(n, norm) / _scale(n, norm))).to(device, dtype).contiguous()


def _wavenumbers(r: int) -> list[int]:
    return [*range((r + 1) // 2), *range(-(r // 2), 0)]


def _scale(n: int, norm: Norm) -> float:
    return 1 / n if norm == "forward" else 1 / math.sqrt(n)


def _scale_back(n: int, norm: Norm) -> float:
    return 1.0 if norm == "forward" else 1 / math.sqrt(n)


def _fast_modes(fields: Tensor, grid: tuple[int, ...], kept: tuple[int, ...], norm: Norm) -> Tensor:
    along: Tensor = torch.fft.rfft(fields, norm=norm)[..., : kept[-1]]
    if len(kept) == 1:
        return along
    both = torch.fft.fft(along.transpose(-1, -2), norm=norm)  # [..., kept y, x]
    up, down = (kept[0] + 1) // 2, kept[0] // 2
    return torch.cat((both[..., :up], both[..., grid[0] - down :]), -1)


def _fast_fields(modes: Tensor, grid: tuple[int, ...], kept: tuple[int, ...], norm: Norm) -> Tensor:
    if len(kept) == 2:
        up, missing = (kept[0] + 1) // 2, grid[0] - kept[0]
        none = modes.new_zeros(*modes.shape[:-1], missing)
        whole = torch.cat((modes[..., :up], none, modes[..., up:]), -1)
        modes = torch.fft.ifft(whole, norm=norm).transpose(-1, -2)  # [..., x, kept y]
    back: Tensor = torch.fft.irfft(modes, n=grid[-1], norm=norm)
    return back
