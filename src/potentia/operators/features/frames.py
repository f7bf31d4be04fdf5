"""Fields as features look at them: what several features need (gradients, powers, sorted values) is computed once.

What is smaller than `FLOOR` of a field's own size is none to features: quotients and logarithms of it would be of
rounding, and a prediction that is right but for its noise would be as far from the truth as one that is wrong.

Space is periodic and the domain has length 1 along each axis, so gradients do not depend on the number of points.
Frequencies are in units of the Nyquist frequency of the axis with the fewest points.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

__all__ = ["BANDS", "FLOOR", "TINY", "Frames", "has_band", "log_above", "root", "slope_over_time"]

TINY = 1e-12
"""Keeps quotients and logarithms of fields that are 0 everywhere finite."""

FLOOR = 1e-2
"""Part of the root mean square of a field, of a trajectory over all of its steps, below which nothing is told apart."""

BANDS = (0.0, 0.04, 0.16, 0.36, 0.64)
"""Where the bands of frequencies begin; the last one has no end, for corners of the spectrum are beyond Nyquist."""


def root(squares: Tensor) -> Tensor:
    """Return square roots whose gradient at 0 is finite."""
    return (squares + TINY**2).sqrt()


def log_above(values: Tensor, floor: Tensor) -> Tensor:
    """Return logarithms of values, of which none counts as less than the floor."""
    return torch.maximum(values, floor).log()


def slope_over_time(series: Tensor) -> Tensor:
    """Return the slope of the straight line through series [samples, steps + 1, ...] over t/T, by least squares."""
    t = torch.linspace(-0.5, 0.5, series.shape[1], dtype=series.dtype, device=series.device)
    return torch.einsum("t,nt...->n...", t, series) / t.square().sum()


def has_band(_channels: int, grid: tuple[int, ...], band: int) -> bool:
    """Whether a mode of fields on this grid has a frequency in one of the `BANDS`."""
    frames = Frames(torch.zeros(1, *grid), len(grid))
    return bool((frames.bands == band).any())


class Frames:
    """Single fields.

    Args:
        fields: [..., channels, *grid]
        n_axes: 1 or 2 axes of space.
    """

    def __init__(self, fields: Tensor, n_axes: int) -> None:
        self.fields = fields
        self.n_axes = n_axes
        self.grid = tuple(fields.shape[-n_axes:])
        self.flat = fields.flatten(-n_axes)  # [..., channels, points]

    @cached_property
    def mean(self) -> Tensor:
        """Mean over space.  [..., channels]"""
        return self.flat.mean(-1)

    @cached_property
    def deviation(self) -> Tensor:
        """Fields without their mean.  [..., channels, points]"""
        return self.flat - self.mean[..., None]

    @cached_property
    def variance(self) -> Tensor:
        """Variance over space.  [..., channels]"""
        return self.deviation.square().mean(-1)

    @cached_property
    def energy(self) -> Tensor:
        """Mean square.  [..., channels]"""
        return self.flat.square().mean(-1)

    @cached_property
    def floor(self) -> Tensor:
        """Power that is none beside the field: the square of `FLOOR` times its root mean square.  [..., channels]"""
        return FLOOR**2 * self.energy + TINY

    @cached_property
    def spread(self) -> Tensor:
        """Variance over space, at least the floor.  [..., channels]"""
        return torch.maximum(self.variance, self.floor)

    @cached_property
    def sorted(self) -> Tensor:
        """Values from the least to the largest.  [..., channels, points]"""
        return self.flat.sort(-1).values

    def quantile(self, part: float) -> Tensor:
        """Return the value below which this part of the points lies, interpolated.  [..., channels]"""
        place = part * (self.flat.shape[-1] - 1)
        low = int(place)
        high = min(low + 1, self.flat.shape[-1] - 1)
        return torch.lerp(self.sorted[..., low], self.sorted[..., high], place - low)

    @cached_property
    def unit(self) -> Tensor:
        """Values from 0, the least, to 1, the largest; all 0 where there is one value only.  [..., channels, points]"""
        low, high = self.flat.amin(-1, keepdim=True), self.flat.amax(-1, keepdim=True)
        return (self.flat - low) / (high - low + TINY)

    def neighbours(self, values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Return the values one point before and one behind along an axis of space.  [..., channels, *grid] each"""
        dim = values.ndim - self.n_axes + axis
        return values.roll(1, dim), values.roll(-1, dim)

    @cached_property
    def gradient(self) -> list[Tensor]:
        """Central differences along each axis.  [..., channels, points] each"""
        found = []
        for axis, points in enumerate(self.grid):
            before, behind = self.neighbours(self.fields, axis)
            found.append(((behind - before) * (points / 2)).flatten(-self.n_axes))
        return found

    @cached_property
    def slope_squared(self) -> Tensor:
        """Square of the length of the gradient.  [..., channels, points]"""
        return torch.stack([one.square() for one in self.gradient]).sum(0)

    @cached_property
    def laplacian(self) -> Tensor:
        """Second differences, summed over the axes.  [..., channels, points]"""
        total = torch.zeros_like(self.fields)
        for axis, points in enumerate(self.grid):
            before, behind = self.neighbours(self.fields, axis)
            total = total + (before + behind - 2 * self.fields) * points**2
        return total.flatten(-self.n_axes)

    @cached_property
    def neighbour_sums(self) -> Tensor:
        """Sum of both neighbours of the deviations along each axis.  [axes, ..., channels, points]"""
        shaped = self.deviation.view(self.fields.shape)
        pairs = [self.neighbours(shaped, axis) for axis in range(self.n_axes)]
        return torch.stack([(before + behind).flatten(-self.n_axes) for before, behind in pairs])

    @cached_property
    def wave_numbers(self) -> Tensor:
        """Length of the wave vector of each mode in cycles per domain, the constant one left out.  [modes]"""
        last = torch.arange(self.grid[-1] // 2 + 1, dtype=self.fields.dtype, device=self.fields.device)
        if self.n_axes == 1:
            return last[1:]
        n = self.grid[0]
        first = torch.fft.fftfreq(n, 1 / n, dtype=self.fields.dtype, device=self.fields.device)
        found: Tensor = (first[:, None].square() + last.square()).sqrt().flatten()[1:]
        return found

    @property
    def nyquist(self) -> float:
        """Highest wave number of the axis with the fewest points (cycles per domain)."""
        return min(self.grid) / 2

    @cached_property
    def frequencies(self) -> Tensor:
        """Length of the wave vector of each mode in units of the Nyquist frequency.  [modes]"""
        return self.wave_numbers / self.nyquist

    @cached_property
    def multiplicity(self) -> Tensor:
        """How many modes of the whole spectrum each of the kept half stands for, 1 or 2.  [modes]"""
        n = self.grid[-1]
        twice = torch.full((n // 2 + 1,), 2.0, dtype=self.fields.dtype, device=self.fields.device)
        twice[0] = 1
        if n % 2 == 0:
            twice[-1] = 1
        whole = twice if self.n_axes == 1 else twice.expand(self.grid[0], -1).flatten()
        return whole[1:]

    @cached_property
    def power(self) -> Tensor:
        """Square of the amplitude of each mode; with `multiplicity` the sum is the variance.  [..., channels, modes]"""
        axes = tuple(range(-self.n_axes, 0))
        modes = torch.fft.rfftn(self.fields, dim=axes, norm="forward").flatten(-self.n_axes)[..., 1:]
        found: Tensor = modes.real.square() + modes.imag.square()
        return found

    @cached_property
    def seen_power(self) -> Tensor:
        """`power` with white noise as strong as the floor: a flat field has its spectrum.  [..., channels, modes]"""
        return self.power + (self.floor / self.multiplicity.sum())[..., None]

    @cached_property
    def spectrum(self) -> Tensor:
        """Part of each mode, with its multiplicity, in the whole `seen_power`.  [..., channels, modes]"""
        weighted = self.seen_power * self.multiplicity
        return weighted / weighted.sum(-1, keepdim=True)

    @cached_property
    def bands(self) -> Tensor:
        """Which of the `BANDS` the frequency of each mode is in.  [modes]"""
        edges = torch.tensor(BANDS[1:], dtype=self.fields.dtype, device=self.fields.device)
        return torch.bucketize(self.frequencies, edges, right=True)

    @cached_property
    def band_powers(self) -> Tensor:
        """`seen_power` in each of the `BANDS`.  [..., channels, bands]"""
        members = torch.nn.functional.one_hot(self.bands, len(BANDS)).to(self.fields.dtype)
        return (self.seen_power * self.multiplicity) @ members
