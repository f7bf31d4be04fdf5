"""Fields less their mean over their spread, of each channel, as networks see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from potentia.errors import DataError
from potentia.operators.dataset import Samples

__all__ = ["Normaliser"]

CONSTANT = 1e-6
"""A channel whose spread is a smaller part of its largest value is taken for constant."""


@dataclass(frozen=True, eq=False)
class Normaliser:
    """(u − mean)/std of each channel: then the mean of the training part scores a mean squared error of 1."""

    mean: Tensor
    """Float64.  [channels]"""
    std: Tensor
    """Never 0: of a constant channel it is 1.  Float64, [channels]"""
    n_axes: int
    """Axes of space."""

    @classmethod
    def fit(cls, samples: Samples) -> Self:
        """Return the normaliser of these samples, all steps and points alike: give it the training part only."""
        fields = samples.fields
        axes = (0, 1, *range(3, fields.ndim))
        mean = fields.mean(axes, dtype=np.float64)
        std = np.array([np.std(fields[:, :, c], dtype=np.float64) for c in range(len(mean))])
        wide = np.where(std > CONSTANT * np.abs(fields).max(axes), std, 1.0)
        return cls(torch.from_numpy(mean), torch.from_numpy(wide), len(samples.grid))

    def scaled(self, physical: Tensor) -> Tensor:
        """Return normalised fields of physical ones.  [..., channels, *grid]"""
        mean, std = self._columns(physical)
        return (physical - mean) / std

    def unscaled(self, normalised: Tensor) -> Tensor:
        """Return physical fields of normalised ones.  [..., channels, *grid]"""
        mean, std = self._columns(normalised)
        return normalised * std + mean

    def to_state(self) -> dict[str, Any]:
        """Return plain values and tensors that `from_state` takes."""
        return {"mean": self.mean, "std": self.std, "n_axes": self.n_axes}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the normaliser that `to_state` has described."""
        return cls(state["mean"], state["std"], int(state["n_axes"]))

    def _columns(self, fields: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and std as they go with fields.  [channels, 1] or [channels, 1, 1]"""
        place = fields.ndim - 1 - self.n_axes
        if place < 0 or fields.shape[place] != len(self.mean):
            raise DataError(
                f"fields must have shape [..., {len(self.mean)} channels, {self.n_axes} axes of space], got "
                f"{tuple(fields.shape)}"
            )
        shape = (-1, *(1,) * self.n_axes)
        return self.mean.to(fields).view(shape), self.std.to(fields).view(shape)
