"""Burgers' equation, ∂u/∂t + ∂(u²/2)/∂x = ν ∂²u/∂x² on (0, 1): smooth waves that steepen into shocks and decay.

Fourier modes with two thirds of them kept free of aliasing, and in time ETDRK4: diffusion exact, order four for the
rest (Cox and Matthews, J. Comput. Phys. 176, 430 (2002); Kassam and Trefethen, SIAM J. Sci. Comput. 26, 1214 (2005)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from potentia.checks import integer, number
from potentia.errors import ConfigError, DataError
from potentia.operators.initial import random_modes
from potentia.operators.space import Continuous, ParameterSpace
from potentia.operators.systems.base import FieldSystem
from potentia.seeding import stream

__all__ = ["Burgers"]

CHUNK = 64
"""Samples that are solved at a time: their modes stay in the cache."""
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
        parts = [
            self._solve_some(some.double(), own, steps, every)
            for some, own in zip(initial[:, 0].split(CHUNK), nu.split(CHUNK), strict=True)
        ]
        return torch.cat(parts)[:, :, None].to(initial.dtype)

    def _solve_some(self, initial: Tensor, nu: Tensor, steps: int, every: int) -> Tensor:
        """Return fields.  [samples, x] → [samples, steps + 1, x]"""
        n = initial.shape[-1]
        fine = max(self.points, 2 ** math.ceil(math.log2(1.5 * n)))
        kept = fine // 3 + 1
        held = min(kept, (n + 1) // 2)  # modes of the stored grid, the one at Nyquist left out
        modes = torch.zeros(len(initial), kept, dtype=torch.complex128)
        modes[:, :held] = torch.fft.rfft(initial)[:, :held] * (fine / n)
        flow = _Flow(nu, self.dt, fine, kept)
        out = [initial]
        for _ in range(steps):
            for _ in range(every * round(self.time_step / self.dt)):
                modes = flow.step(modes)
            out.append(torch.fft.irfft(modes[:, :held] * (n / fine), n))
        return torch.stack(out, 1)


class _Flow:
    """Steps of the modes of some samples."""

    def __init__(self, nu: Tensor, dt: float, points: int, kept: int) -> None:
        self.points = points
        wavenumber = 2 * math.pi * torch.arange(kept, dtype=torch.float64)
        self.derivative = -0.5j * wavenumber  # of −u²/2
        rate = dt * (-nu[:, None] * wavenumber**2).numpy()  # [samples, modes]
        coefficients = [torch.from_numpy(one)[..., None] for one in _etdrk4(rate, dt)]
        self.whole, self.half, self.middle, self.first, self.inner, self.last = coefficients

    def step(self, modes: Tensor) -> Tensor:
        """Return the modes a step later.  [samples, modes]"""
        v = torch.view_as_real(modes)  # so that real coefficients cost no complex product
        n_v = self.change(v)
        half = self.half * v
        a = half + self.middle * n_v
        n_a = self.change(a)
        b = half + self.middle * n_a
        n_b = self.change(b)
        c = self.half * a + self.middle * (2 * n_b - n_v)
        n_c = self.change(c)
        new = self.whole * v + self.first * n_v + self.inner * (n_a + n_b) + self.last * n_c
        return torch.view_as_complex(new)

    def change(self, modes: Tensor) -> Tensor:
        """Return −∂(u²/2)/∂x, real and imaginary parts last."""
        fields = torch.fft.irfft(torch.view_as_complex(modes), self.points)
        squared = torch.fft.rfft(fields * fields)[:, : len(self.derivative)]
        return torch.view_as_real(self.derivative * squared)


def _etdrk4(
    rate: np.ndarray[tuple[int, ...], np.dtype[np.float64]], dt: float
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
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
