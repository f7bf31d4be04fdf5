"""The one map of time of a data set: u = 0 at the first time of the whole set, 1 at the last, never clipped.

It goes by the horizon of the set and not by the times in an array, so a time has the same u in the whole set and in
every part that is cut from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.errors import DataError

__all__ = ["TimeMap"]


@dataclass(frozen=True)
class TimeMap:
    """Linear, u = (t − t₀)/(t₁ − t₀), or logarithmic, u = ln(t/t₀)/ln(t₁/t₀).

    The logarithmic map has no hidden shift: it needs times above 0.

    >>> TimeMap(1.0, 100.0, log=True)(torch.tensor([1.0, 10.0, 1000.0]))
    tensor([0.0000, 0.5000, 1.5000])
    """

    first: float
    """Time of u = 0, in the unit of the times."""
    last: float
    """Time of u = 1."""
    log: bool = False
    """Whether equal factors of time are equal steps of u."""

    def __post_init__(self) -> None:
        if not self.last > self.first:
            raise DataError(f"a horizon must end after it begins, got {self.first:g} to {self.last:g}")
        if self.log and self.first <= 0:
            raise DataError(
                f"log_timesteps needs times above 0, these begin at {self.first:g}: leave out that time, add an offset "
                "to all times, or set log_timesteps=False"
            )

    def __call__(self, times: Tensor) -> Tensor:
        """Return u of times of any shape, in their own precision; it is computed in double precision."""
        exact = times.double().contiguous()  # strides would choose another logarithm, which may differ in the last bit
        if not self.log:
            return ((exact - self.first) / (self.last - self.first)).to(times.dtype)
        if bool((exact <= 0).any()):
            raise DataError(f"time {float(exact.min()):g} has no logarithm: log_timesteps needs times above 0")
        return ((exact / self.first).log() / self._span(exact)).to(times.dtype)

    def inverse(self, u: Tensor) -> Tensor:
        """Return the times of ``u``."""
        exact = u.double()
        if not self.log:
            return (self.first + exact * (self.last - self.first)).to(u.dtype)
        return (self.first * (exact * self._span(exact)).exp()).to(u.dtype)

    def _span(self, like: Tensor) -> Tensor:
        """Return ln(t₁/t₀) as the tensor's own logarithm has it, so that u of the last time is 1 to the bit."""
        return torch.tensor([self.last], dtype=like.dtype, device=like.device).div(self.first).log()[0]
