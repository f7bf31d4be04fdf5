"""A random convolutional operator: a network with drawn, fixed weights as the law of motion of a field.

The kernels turn smoothly with the parameters between two drawn sets, under a Gaussian envelope, so the parameters
decide the motion and can be learned from.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from potentia.checks import choice, integer
from potentia.errors import ConfigError, DataError
from potentia.operators.initial import band_limited, bumps, gaussian_field, wave
from potentia.operators.space import Choice, Continuous, Integer, ParameterSpace
from potentia.operators.systems.base import FieldSystem
from potentia.seeding import stream, torch_stream

__all__ = ["RandomConv"]

WIDTH = 16
"""Channels inside."""
LAYERS = 3
"""Most layers."""
SIZE = 7
"""Points along each side of a kernel."""
KAPPA = (0.2, 1.0)
"""Rate of decay of the leaky and the convex policy."""
KINDS = ("noise", "bands", "wave", "blobs")
"""Kinds of initial fields, equally likely."""


@dataclass(frozen=True, kw_only=True)
class RandomConv(FieldSystem):
    """u ← u + s (tanh(2 r(u) + c u) − κ u), with r a random convolutional network; |u| stays below max(|u₀|, 1/κ)."""

    weights: Literal["shared", "independent"] = "shared"
    """``"independent"`` draws other weights for each sample from its seed: parameters then tell little, and a benchmark
    that shows a surrogate to be good there is wrong."""
    weights_seed: int = 0
    """Seed of the shared weights: another one is another family of operators."""
    noisy: bool = False
    """Whether there is noise, its strength one parameter more."""
    name: ClassVar[str] = "random_conv"
    channels: ClassVar[tuple[str, ...]] = ("u",)
    axes: ClassVar[tuple[str, ...]] = ("x", "y")
    time_step: ClassVar[float] = 1.0
    steps: ClassVar[int] = 32
    grid: ClassVar[tuple[int, ...]] = (32, 32)
    bound: ClassVar[float] = 20.0

    def __post_init__(self) -> None:
        choice("weights", self.weights, ("shared", "independent"))
        integer("weights_seed", self.weights_seed, low=0)
        if not isinstance(self.noisy, bool):
            raise ConfigError(f"noisy must be True or False, got {self.noisy!r}")

    @property
    def space(self) -> ParameterSpace:
        """What shapes the kernels, then what moves the field."""
        known = (
            Continuous(name="gain", low=0.5, high=4.0, log=True),
            Continuous(name="mix", low=0.0, high=1.0),
            Continuous(name="sigma", unit="points", low=0.6, high=2.0),
            Continuous(name="anisotropy", low=0.0, high=0.8),
            Continuous(name="angle", unit="rad", low=0.0, high=math.pi, angle=True),
            Continuous(name="feedback", low=-0.5, high=0.5),
            Continuous(name="s", low=0.05, high=0.5, log=True),
            Integer(name="depth", low=1, high=LAYERS),
            Choice(name="policy", options=("leaky", "convex"), weights=(0.75, 0.25)),
        )
        noise = (Continuous(name="noise_scale", low=1e-5, high=1e-1, log=True),)
        return ParameterSpace(known + noise if self.noisy else known)

    @property
    def needs_seeds(self) -> bool:
        """Whether there is noise, or each sample has its own weights."""
        return self.noisy or self.weights == "independent"

    def initial(self, samples: int, grid: tuple[int, ...], seed: int) -> Tensor:
        """Return fields of the kinds noise, bands, wave and blobs, equally often on average."""
        fields = [_initial(kind, stream(seed, "initial", k), grid) for k, kind in enumerate(self.kinds(samples, seed))]
        return torch.from_numpy(np.stack(fields)[:, None]).float()

    def kinds(self, samples: int, seed: int) -> list[str]:
        """Return the kinds of the fields that `initial` returns."""
        return [KINDS[int(stream(seed, "kind", k).integers(len(KINDS)))] for k in range(samples)]

    def drawn(self, seed: int) -> bytes:
        """Return the drawn weights of a sample."""
        inner, last = self._basis(seed)
        return b"".join(one.numpy().tobytes() for one in (*inner, last))

    def step(self, fields: Tensor, parameters: Tensor, generators: list[torch.Generator] | None = None) -> Tensor:
        """Return the fields one step later."""
        return self.solve(fields, parameters, 1, 1, generators)[:, 1]

    def solve(
        self, initial: Tensor, parameters: Tensor, steps: int, every: int, generators: list[torch.Generator] | None
    ) -> Tensor:
        """Return fields at equal times, those of one depth together; see `FieldSystem.solve`."""
        if generators is None and self.needs_seeds:
            raise DataError("random_conv with noise or independent weights needs the seeds of the samples")
        out = initial.new_empty((len(initial), steps + 1, *initial.shape[1:]))
        depths = parameters[:, self.space.names.index("depth")]
        for depth in depths.unique().tolist():
            which = torch.nonzero(depths == depth)[:, 0]
            sources = None if generators is None else [generators[k] for k in which.tolist()]
            out[which] = self._solve_depth(initial[which], parameters[which], int(depth), (steps, every), sources)
        return out

    def _solve_depth(
        self,
        u: Tensor,
        parameters: Tensor,
        depth: int,
        times: tuple[int, int],
        sources: list[torch.Generator] | None,
    ) -> Tensor:
        """Return fields of operators of one depth.  [samples, steps + 1, 1, x, y]"""
        by_name = dict(zip(self.space.names, parameters.to(u.dtype).T, strict=True))
        bases = [self._basis(None if sources is None else sources[k].initial_seed()) for k in range(len(u))]
        envelope, weights = _envelopes(by_name), _mixing(by_name["mix"])
        kernels = [_unit(envelope * _mixed(weights, [inner[layer] for inner, _ in bases])) for layer in range(depth)]
        last = _unit(_mixed(weights, [last for _, last in bases]))
        gain, feedback, s = (by_name[key][:, None, None, None] for key in ("gain", "feedback", "s"))
        kappa = torch.tensor(KAPPA, dtype=u.dtype)[parameters[:, self.space.names.index("policy")].long()]
        fields = [u]
        for _ in range(times[0]):
            for _ in range(times[1]):
                change = torch.tanh(2 * _network(u, kernels, last, gain) + feedback * u)
                u = u + s * (change - kappa[:, None, None, None] * u)
                if self.noisy and sources is not None:
                    noise = torch.stack([torch.randn(u.shape[1:], generator=one) for one in sources])
                    u = u + by_name["noise_scale"][:, None, None, None] * s.sqrt() * noise
            fields.append(u)
        return torch.stack(fields, 1)

    def _basis(self, seed: int | None) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return two sets of kernels of every layer, and of weights of the output, of the sample with this seed."""
        return _draw(self.weights_seed if self.weights == "shared" or seed is None else seed, self.weights)


@functools.lru_cache(maxsize=128)
def _draw(seed: int, kind: str) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return kernels [2, WIDTH, channels, SIZE, SIZE] of each layer and output weights [2, 1, WIDTH, 1, 1]."""
    source = torch_stream(seed, "weights", kind)
    sizes = [(2, WIDTH, 1 if layer == 0 else WIDTH, SIZE, SIZE) for layer in range(LAYERS)]
    inner = tuple(torch.randn(size, generator=source) for size in sizes)
    return inner, torch.randn((2, 1, WIDTH, 1, 1), generator=source)


def _network(u: Tensor, kernels: list[Tensor], last: Tensor, gain: Tensor) -> Tensor:
    """Return what the network makes of a field, less its mean over space.  [samples, 1, x, y]"""
    h = functional.gelu(gain * _convolved(u, kernels[0]))  # [samples, WIDTH, x, y]
    for layer, kernel in enumerate(kernels[1:], start=1):
        h = h + functional.gelu(gain * _convolved(h, kernel)) / math.sqrt(layer + 1)
    out = (last[:, 0] * h).sum(1, keepdim=True)
    return out - out.mean((2, 3), keepdim=True)


def _convolved(fields: Tensor, kernels: Tensor) -> Tensor:
    """Convolve each sample with its own kernels on the periodic grid.  [samples, channels out, x, y]"""
    samples, out, inner, size, _ = kernels.shape
    rim = size // 2
    rows = torch.arange(-rim, fields.shape[2] + rim) % fields.shape[2]  # also for grids narrower than the rim
    columns = torch.arange(-rim, fields.shape[3] + rim) % fields.shape[3]
    padded = fields[:, :, rows][:, :, :, columns].flatten(0, 1)[None]
    convolved = functional.conv2d(padded, kernels.reshape(samples * out, inner, size, size), groups=samples)
    return convolved.view(samples, out, *fields.shape[2:])


def _mixing(mix: Tensor) -> Tensor:
    """Return the weights of the two sets, a quarter turn from one to the other.  [samples, 2]"""
    return torch.stack((torch.cos(0.5 * math.pi * mix), torch.sin(0.5 * math.pi * mix)), 1)


def _mixed(weights: Tensor, bases: list[Tensor]) -> Tensor:
    """Return what each sample makes of its two sets.  [samples, out, in, *size]"""
    return torch.stack([own[0] * pair[0] + own[1] * pair[1] for own, pair in zip(weights, bases, strict=True)])


def _unit(kernels: Tensor) -> Tensor:
    """Return kernels with the sum of squares of each output scaled to 1."""
    return kernels / kernels.square().sum((2, 3, 4), keepdim=True).sqrt()


def _envelopes(by_name: dict[str, Tensor]) -> Tensor:
    """Return a turned Gaussian for each sample.  [samples, 1, 1, SIZE, SIZE]"""
    along = torch.arange(SIZE, dtype=by_name["sigma"].dtype) - SIZE // 2
    x, y = along[:, None], along[None, :]
    sigma, a, angle = (by_name[key][:, None, None] for key in ("sigma", "anisotropy", "angle"))
    turned_x, turned_y = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    exponent = (turned_x / (sigma * (1 + a))) ** 2 + (turned_y / (sigma * (1 - a))) ** 2
    return torch.exp(-0.5 * exponent)[:, None, None]


def _initial(kind: str, source: np.random.Generator, grid: tuple[int, ...]) -> NDArray[np.float64]:
    """Return one field; lengths are parts of the grid, so a finer one shows the same at more points.  [*grid]"""
    n = min(grid)
    match kind:
        case "noise":
            return math.sqrt(source.uniform(0.25, 4.0)) * gaussian_field(source, grid, 0.05 * n)
        case "bands":
            return band_limited(source, grid, (0.35 * n, 0.10 * n, 0.025 * n))
        case "wave":
            return float(source.uniform(0.5, 2.0)) * wave(source, grid, source.uniform(8, 64) * n / 64)
    widths = source.uniform(5, 15, 5) * n / 64
    heights = source.uniform(-2.0, 2.0, 5)
    return np.asarray((heights[:, None, None] * bumps(source.random((5, 2)), widths, grid)).sum(0))
