"""Fields over time as features look at them: frames, their changes, and how alike the steps are."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from potentia.operators.features.frames import FLOOR, TINY, Frames, root

__all__ = ["Movie"]


class Movie(Frames):
    """Trajectories of fields.

    Args:
        fields: [samples, steps + 1, channels, *grid]
        n_axes: 1 or 2 axes of space.
    """

    @property
    def steps(self) -> int:
        """Steps behind the initial field."""
        return int(self.fields.shape[1]) - 1

    @cached_property
    def floor(self) -> Tensor:
        """Power that is none beside the trajectory: one for all of its steps.  [samples, 1, channels]"""
        return FLOOR**2 * self.energy.mean(1, keepdim=True) + TINY

    @cached_property
    def spread_over_time(self) -> Tensor:
        """Mean square of the changes, at least the floor.  [samples, channels]"""
        return torch.maximum(self.change.square().mean((1, 3)), self.floor[:, 0])

    @cached_property
    def change(self) -> Tensor:
        """Field minus the one before.  [samples, steps, channels, points]"""
        return self.flat[:, 1:] - self.flat[:, :-1]

    @cached_property
    def step_change(self) -> Tensor:
        """Length of each change over that of the field before.  [samples, steps, channels]"""
        return root(self.change.square().mean(-1)) / torch.maximum(self.energy[:, :-1], self.floor).sqrt()

    @cached_property
    def likeness(self) -> Tensor:
        """Cosine between the fields of two steps.  [samples, channels, steps + 1, steps + 1]"""
        rows = self.flat / torch.maximum(self.energy, self.floor).sqrt()[..., None]
        rows = rows.transpose(1, 2)
        return rows @ rows.mT / rows.shape[-1]

    @cached_property
    def fluctuation_gram(self) -> Tensor:
        """Products of the fields without their mean over time.  [samples, channels, steps + 1, steps + 1]"""
        rows = (self.flat - self.flat.mean(1, keepdim=True)).transpose(1, 2)
        return rows @ rows.mT / rows.shape[-1]

    @cached_property
    def energy_spectrum(self) -> Tensor:
        """Power of the energy over time, straight line removed and Hann-windowed.  [samples, channels, modes]

        Modes 1, 2, … of the window; the constant one is left out.
        """
        energy = self.energy.transpose(1, 2)
        n = energy.shape[-1]
        t = torch.linspace(-0.5, 0.5, n, dtype=energy.dtype, device=energy.device)
        slope = (energy @ t / t.square().sum())[..., None]
        window = torch.hann_window(n, dtype=energy.dtype, device=energy.device)
        left = (energy - energy.mean(-1, keepdim=True) - slope * t) * window
        modes = torch.fft.rfft(left, norm="forward")[..., 1:]
        found: Tensor = modes.real.square() + modes.imag.square()
        return found

    @cached_property
    def energy_power(self) -> Tensor:
        """Sum of `energy_spectrum`, at least the power of `FLOOR` of the mean energy.  [samples, channels]"""
        least = (FLOOR * self.energy.mean(1)).square() + TINY**2
        return torch.maximum(self.energy_spectrum.sum(-1), least)

    @cached_property
    def time_frequencies(self) -> Tensor:
        """Frequency of each mode of `energy_spectrum` in units of the Nyquist frequency of the steps.  [modes]"""
        n = self.steps + 1
        return torch.arange(1, n // 2 + 1, dtype=self.fields.dtype, device=self.fields.device) / (n / 2)

    @cached_property
    def correlation(self) -> Tensor:
        """Correlation over space between channels.  [samples, steps + 1, channels, channels]"""
        rows = self.deviation / self.spread.sqrt()[..., None]
        return rows @ rows.mT / rows.shape[-1]

    @cached_property
    def absolute(self) -> Tensor:
        """Mean of |u|.  [samples, steps + 1, channels]"""
        return self.flat.abs().mean(-1)

    @cached_property
    def rms(self) -> Tensor:
        """Root of the mean square.  [samples, steps + 1, channels]"""
        return root(self.energy)

    @cached_property
    def peak(self) -> Tensor:
        """Largest |u|.  [samples, steps + 1, channels]"""
        return self.flat.abs().amax(-1)

    @cached_property
    def entropy(self) -> Tensor:
        """Entropy over the points of |u| and the floor's root, as parts; 1 if all are equal.

        Shape: [samples, steps + 1, channels]
        """
        sizes = self.flat.abs() + self.floor.sqrt()[..., None]
        p = sizes / sizes.sum(-1, keepdim=True)
        return -(p * p.log()).sum(-1) / math.log(p.shape[-1])

    @cached_property
    def variation(self) -> Tensor:
        """Mean length of the gradient.  [samples, steps + 1, channels]"""
        return root(self.slope_squared).mean(-1)
