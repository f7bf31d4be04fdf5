"""Burgers' equation, ∂u/∂t + ∂(u²/2)/∂x = ν ∂²u/∂x² on (0, 1): smooth waves that steepen into shocks and decay.

Fourier modes with two thirds of them kept free of aliasing, and in time ETDRK4: diffusion exact, order four for the
rest (Cox and Matthews, J. Comput. Phys. 176, 430 (2002); Kassam and Trefethen, SIAM J. Sci. Comput. 26, 1214 (2005)).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft  # works on one thread, so that threads can share the samples
from torch import Tensor

from potentia.checks import integer, number
from potentia.errors import ConfigError, DataError
from potentia.operators.initial import random_modes
from potentia.operators.space import Continuous, ParameterSpace
from potentia.operators.systems.base import FieldSystem
from potentia.seeding import stream

__all__ = ["Burgers"]

Floats: TypeAlias = NDArray[np.float64]
Complex: TypeAlias = NDArray[np.complex128]

CHUNK = 32
"""Samples that a thread solves at a time: their modes stay in the cache."""
MODES = 128
"""Modes that initial fields may have; the deviation of the last is 4e-5 of the first's."""
CIRCLE = 32
"""Points of the contour that the coefficients are means over."""


@dataclass(frozen=True, kw_only=True)
class Burgers(FieldSystem):
    """Burgers' equation in one dimension, from Gaussian random fields; each sample has its viscosity.

    Solved on a grid finer than what is stored: to start again from a stored field loses what its grid does not hold.
    """

    lowest: float = 0.005
    """Least viscosity ν."""
    highest: float = 0.05
    """Largest viscosity; if it is the least too, that is no parameter but a constant."""
    points: int = 512
    """Points to solve on, at least; 1024 or more are needed for viscosities below 0.005."""
    dt: float = 0.0025
    """Step of the solver; a whole number of them makes a stored step."""
    name: ClassVar[str] = "burgers"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    axes: ClassVar[tuple[str, ...]] = ("x",)
    time_step: ClassVar[float] = 0.1
    steps: ClassVar[int] = 10
    grid: ClassVar[tuple[int, ...]] = (256,)
    bound: ClassVar[float] = 10.0

    def __post_init__(self) -> None:
        number("lowest", self.lowest, low=0.0005)
        number("highest", self.highest, low=self.lowest)
        integer("points", self.points, low=512 if self.lowest >= 0.005 else 1024)
        inner = self.time_step / number("dt", self.dt, low=1e-5, high=self.time_step)
        if abs(inner - round(inner)) > 1e-9 * inner:
            raise ConfigError(f"dt must go into {self.time_step} a whole number of times, got {self.dt}")

    @property
    def space(self) -> ParameterSpace:
        """The viscosity, equal factors equally likely."""
        if self.lowest == self.highest:
            return ParameterSpace(())
        return ParameterSpace((Continuous(name="nu", low=self.lowest, high=self.highest, log=True),))

    def initial(self, samples: int, grid: tuple[int, ...], seed: int) -> Tensor:
        """Return fields with the covariance 625 (25 − d²/dx²)⁻² and mean 0."""
        (n,) = grid
        fields = [random_modes(stream(seed, "initial", k), n, MODES, 25.0) for k in range(samples)]
        return torch.from_numpy(np.stack(fields)[:, None]).float()

    def step(self, fields: Tensor, parameters: Tensor, generators: list[torch.Generator] | None = None) -> Tensor:
        """Return the fields one stored step later."""
        return self.solve(fields, parameters, 1, 1, generators)[:, 1]

    def solve(
        self, initial: Tensor, parameters: Tensor, steps: int, every: int, generators: list[torch.Generator] | None
    ) -> Tensor:
        """Return fields at equal times, in double precision inside; see `FieldSystem.solve`."""
        fixed = torch.full((len(initial),), self.lowest, dtype=torch.float64)
        nu = parameters[:, 0].double() if len(self.space) else fixed
        if len(nu) and float(nu.min()) < self.lowest * (1 - 1e-6):
            raise DataError(
                f"burgers: a viscosity of {float(nu.min()):g} is below {self.lowest:g}, for which its grid of "
                f"{self.points} points is made: use Burgers(lowest=…, points=…)"
            )
        fields = initial[:, 0].double().numpy()
        parts = [slice(first, first + CHUNK) for first in range(0, len(fields), CHUNK)]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            found = list(pool.map(lambda part: self._solve_some(fields[part], nu[part].numpy(), steps, every), parts))
        return torch.from_numpy(np.concatenate(found)[:, :, None]).to(initial.dtype)

    def _solve_some(self, initial: Floats, nu: Floats, steps: int, every: int) -> Floats:
        """Return fields.  [samples, x] → [samples, steps + 1, x]"""
        n = initial.shape[-1]
        fine = max(self.points, 2 ** math.ceil(math.log2(1.5 * n)))
        kept = fine // 3 + 1
        held = min(kept, (n + 1) // 2)  # modes of the stored grid, the one at Nyquist left out
        modes = np.zeros((len(initial), kept), dtype=np.complex128)
        modes[:, :held] = fft.rfft(initial)[:, :held] * (fine / n)
        flow = _Flow(nu, self.dt, fine, kept)
        out = [initial]
        for _ in range(steps):
            for _ in range(every * round(self.time_step / self.dt)):
                modes = flow.step(modes)
            out.append(fft.irfft(modes[:, :held] * (n / fine), n))
        return np.stack(out, 1)


class _Flow:
    """Steps of the modes of some samples; real and imaginary parts stand side by side where factors are real."""

    def __init__(self, nu: Floats, dt: float, points: int, kept: int) -> None:
        self.points = points
        wavenumber = 2 * math.pi * np.arange(kept)
        self.derivative = -0.5j * wavenumber  # of −u²/2
        rate = -dt * nu[:, None] * wavenumber**2  # [samples, modes]
        weights = [np.repeat(one, 2, axis=1) for one in _etdrk4(rate, dt)]  # [samples, 2 modes]
        self.whole, self.half, self.middle, self.first, self.inner, self.last = weights

    def step(self, modes: Complex) -> Complex:
        """Return the modes a step later.  [samples, modes]"""
        v = modes.view(np.float64)
        n_v = self.change(v)
        half = self.half * v
        a = half + self.middle * n_v
        n_a = self.change(a)
        b = half + self.middle * n_a
        n_b = self.change(b)
        c = self.half * a + self.middle * (2 * n_b - n_v)
        n_c = self.change(c)
        new: Floats = self.whole * v + self.first * n_v + self.inner * (n_a + n_b) + self.last * n_c
        return new.view(np.complex128)

    def change(self, modes: Floats) -> Floats:
        """Return −∂(u²/2)/∂x.  [samples, 2 modes]"""
        fields = fft.irfft(modes.view(np.complex128), self.points)
        fields *= fields
        change: Complex = self.derivative * fft.rfft(fields)[:, : len(self.derivative)]
        return change.view(np.float64)


def _etdrk4(rate: Floats, dt: float) -> list[Floats]:
    """Return exp(z), exp(z/2) and the four weights of ETDRK4 at z = ``rate``, as means over circles around z."""
    z = rate[..., None] + np.exp(1j * np.pi * (np.arange(CIRCLE) + 0.5) / CIRCLE)
    e = np.exp(z)
    means = (
        (np.exp(z / 2) - 1) / z,
        (-4 - z + e * (4 - 3 * z + z**2)) / z**3,
        2 * (2 + z + e * (z - 2)) / z**3,
        (-4 - 3 * z - z**2 + e * (4 - z)) / z**3,
    )
    return [np.exp(rate), np.exp(rate / 2), *(dt * one.mean(-1).real for one in means)]
