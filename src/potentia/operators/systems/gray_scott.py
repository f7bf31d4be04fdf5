"""Gray-Scott: two substances that diffuse and react to spots, stripes and waves (Pearson, Science 261, 189 (1993)).

∂u/∂t = Du Δu − u v² + F (1 − u) and ∂v/∂t = Dv Δv + u v² − (F + k) v, with distances in points of the grid.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from potentia.operators.initial import bumps
from potentia.operators.space import Continuous, ParameterSpace
from potentia.operators.systems.base import FieldSystem
from potentia.operators.systems.gray_scott_numba import advance
from potentia.seeding import stream

__all__ = ["GrayScott"]


@dataclass(frozen=True, kw_only=True)
class GrayScott(FieldSystem):
    """Gray-Scott near the curve in F and k along which patterns form; explicit Euler steps of length 1.

    The rate k = √F/2 − F + δ follows F, with δ from −0.002 (``delta`` 0) to −0.002 + 0.008 (1 − F/0.07) (``delta`` 1).
    """

    stride: ClassVar[int] = 40
    """Euler steps between two stored fields."""
    name: ClassVar[str] = "gray_scott"
    channels: ClassVar[tuple[str, ...]] = ("u", "v")
    axes: ClassVar[tuple[str, ...]] = ("x", "y")
    time_step: ClassVar[float] = 40.0
    steps: ClassVar[int] = 32
    grid: ClassVar[tuple[int, ...]] = (32, 32)
    bound: ClassVar[float] = 2.0

    @property
    def space(self) -> ParameterSpace:
        """F, the place of k beside the curve, Du, and Dv/Du."""
        return ParameterSpace(
            (
                Continuous(name="F", low=0.014, high=0.062),
                Continuous(name="delta", low=0.0, high=1.0),
                Continuous(name="Du", low=0.12, high=0.20),
                Continuous(name="ratio", low=0.4, high=0.6),
            )
        )

    def initial(self, samples: int, grid: tuple[int, ...], seed: int) -> Tensor:
        """Return 3 to 8 bumps of v of height 0.5 and width 1.5 to 3 points, with u = 1 − v."""
        v = np.stack([_bumps(stream(seed, "initial", k), grid) for k in range(samples)])
        return torch.from_numpy(np.stack((1 - v, v), axis=1)).float()

    def step(self, fields: Tensor, parameters: Tensor, generators: list[torch.Generator] | None = None) -> Tensor:
        """Return the fields one stored step later."""
        return self.solve(fields, parameters, 1, 1, generators)[:, 1]

    def solve(
        self, initial: Tensor, parameters: Tensor, steps: int, every: int, generators: list[torch.Generator] | None
    ) -> Tensor:
        """Return fields at equal times, of single precision, threads sharing the samples; see `FieldSystem.solve`."""
        feed, delta, du, ratio = parameters.double().T
        k = feed.sqrt() / 2 - feed - 0.002 + 0.008 * delta * (1 - feed / 0.07)
        rates = torch.stack((du, du * ratio, feed, feed + k), 1).float().numpy()
        out = np.empty((len(initial), steps + 1, *initial.shape[1:]), dtype=np.float32)
        out[:, 0] = initial.numpy()
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(threads) as pool:
            size = -(-len(out) // threads)
            parts = [slice(first, first + size) for first in range(0, len(out), size)]
            for done in [pool.submit(advance, out[part], rates[part], self.stride * every) for part in parts]:
                done.result()
        return torch.from_numpy(out)


def _bumps(source: np.random.Generator, grid: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return bumps that go over into each other without a sum above 1.  [*grid]"""
    count = int(source.integers(3, 9))
    each = bumps(source.random((count, len(grid))), source.uniform(1.5, 3.0, count), grid)
    return np.asarray(1 - np.prod(1 - 0.5 * each, axis=0))
