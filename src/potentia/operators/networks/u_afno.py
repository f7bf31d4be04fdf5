"""U-shaped network on periodic 2D grids that mixes waves at its bottom (AFNO: Guibas et al., arXiv:2111.13587)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from potentia.checks import integer
from potentia.errors import ConfigError, DataError
from potentia.nn import PeriodicConv2d, doubled, fields_of, modes_of
from potentia.operators.networks.base import FieldNetwork, FieldNetworkConfig, FieldShape
from potentia.operators.networks.film import Conditioning, Modulation, require_parameters

__all__ = ["UAFNO", "UAFNOConfig"]

MOST = 8
"""Channels are doubled at each level up to so many times the first ones."""
SHRINK = 0.01
"""Parts of amplitudes that are smaller become 0."""
EXPANSION = 2
"""Hidden channels of the perceptron in a mixing block, in parts of its channels."""


@dataclass(frozen=True, kw_only=True)
class UAFNOConfig(FieldNetworkConfig):
    """Settings of a U-shaped network with mixing of waves.

    >>> network = UAFNOConfig(update="direct").build(FieldShape(1, 2, 0))
    >>> sum(parameter.numel() for parameter in network.parameters())
    9558785
    """

    base_channels: int = 32
    """Channels behind the first convolution; each level has twice as many as the one above, at most 8 times these."""
    encoder_levels: int = 3
    """Times that the grid is halved: its points along each axis must be a multiple of 2 to that power."""
    modes: int = 16
    """Waves with wavenumbers below it are mixed, of both signs; at most all those of the coarse grid. No parameter
    depends on it."""
    afno_blocks: int = 4
    """Mixing blocks, all of them at the bottom."""
    residual_blocks: int = 2
    """Residual blocks of each level, on the way down and on the way up."""
    mixing_groups: int = 8
    """Groups of channels at the bottom that waves are mixed within."""
    conditioning_width: int = 64
    """Numbers that are made of the parameters; they scale and shift the features in each residual block."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            "base_channels", "encoder_levels", "modes", "afno_blocks", "residual_blocks", "mixing_groups",
            "conditioning_width",
        ):  # fmt: skip
            integer(name, getattr(self, name), low=1)
        if self.channels[-1] % self.mixing_groups:
            raise ConfigError(
                f"mixing_groups must divide the {self.channels[-1]} channels at the bottom, got {self.mixing_groups}"
            )

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each level, the finest first."""
        return tuple(min(2 ** (level + 1), MOST) * self.base_channels for level in range(self.encoder_levels))

    def build(self, shape: FieldShape) -> UAFNO:
        """Return the network; its weights are drawn from torch's generators."""
        if shape.n_axes != 2:
            raise ConfigError(f"a U-AFNO works on fields of 2 axes, these have {shape.n_axes}: take an FNOConfig")
        return UAFNO(self, shape)


class UAFNO(FieldNetwork):
    """Encoder, mixing blocks, decoder that sees what the encoder has made.

    Args:
        config: Settings.
        shape: Sizes that the data set.
    """

    def __init__(self, config: UAFNOConfig, shape: FieldShape) -> None:
        super().__init__(shape, config.update, config.scale)
        self.levels, channels = config.encoder_levels, config.channels
        self.bottleneck_channels = channels[-1]
        self.n_parameters = shape.n_parameters if config.use_parameters else 0
        told = config.conditioning_width if self.n_parameters else 0
        self.conditioning = Conditioning(self.n_parameters, told) if told else None
        self.stem = PeriodicConv2d(shape.n_channels, config.base_channels)
        self.down, self.halve, self.join, self.up = (nn.ModuleList() for _ in range(4))
        above = config.base_channels
        for here in channels:
            self.down.append(_blocks(above, here, config.residual_blocks, told))
            self.halve.append(PeriodicConv2d(here, here, stride=2))
            above = here
        self.bottom = nn.ModuleList(
            MixingBlock(channels[-1], config.modes, config.mixing_groups) for _ in range(config.afno_blocks)
        )
        for here in reversed(channels):
            self.join.append(PeriodicConv2d(above + here, here))
            self.up.append(_blocks(here, here, config.residual_blocks, told))
            above = here
        self.out = nn.Conv2d(above, shape.n_channels, 1)

    def require_grid(self, grid: tuple[int, ...]) -> None:
        """Raise `DataError` where a grid cannot be halved so many times, or the coarse one has too few points."""
        part = 2**self.levels
        if len(grid) != 2 or any(points % part or points < 4 * part for points in grid):
            raise DataError(
                f"a U-AFNO with encoder_levels={self.levels} needs 2 axes of a multiple of {part} points, at least "
                f"{4 * part}, got the grid {grid}; choose fewer levels or interpolate the fields to such a grid",
                page="operators.md#networks-and-training",
            )

    def change(self, fields: Tensor, parameters: Tensor | None) -> Tensor:
        """Return what `forward` makes a step of."""
        told = self._told(fields, parameters)
        skips, now = self._encoded(fields, told)
        for join, blocks, skip in zip(self.join, self.up, reversed(skips), strict=True):
            now = join(torch.cat((doubled(now), skip), 1))
            for block in _list(blocks):
                now = block(now, told)
        found: Tensor = self.out(now)
        return found

    def intermediate_features(self, fields: Tensor, parameters: Tensor | None) -> dict[str, Tensor]:
        """Return ``"bottleneck"``, and of each level ``"skip_0"`` …, the finest first."""
        skips, bottleneck = self._encoded(fields, self._told(fields, parameters))
        return {"bottleneck": bottleneck, **{f"skip_{k}": skip for k, skip in enumerate(skips)}}

    def _told(self, fields: Tensor, parameters: Tensor | None) -> Tensor | None:
        seen = require_parameters(parameters, self.n_parameters, len(fields))
        if seen is None or self.conditioning is None:
            return None
        told: Tensor = self.conditioning(seen)
        return told

    def _encoded(self, fields: Tensor, told: Tensor | None) -> tuple[list[Tensor], Tensor]:
        """Return what the decoder sees of each level, and the features at the bottom."""
        now, skips = self.stem(fields), list[Tensor]()
        for blocks, halve in zip(self.down, self.halve, strict=True):
            for block in _list(blocks):
                now = block(now, told)
            skips.append(now)
            now = halve(now)
        for block in self.bottom:
            now = block(now)
        return skips, now


class ResidualBlock(nn.Module):
    """x + two convolutions, each of the normalised and activated; parameters modulate what comes between them.

    Args:
        channels_in: Channels of x.
        channels: Channels of the result.
        told: Numbers made of the parameters, 0 for none.
    """

    def __init__(self, channels_in: int, channels: int, told: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.GroupNorm(1, channels_in), nn.GroupNorm(1, channels)
        self.first, self.second = PeriodicConv2d(channels_in, channels), PeriodicConv2d(channels, channels)
        self.modulation = Modulation(told, channels) if told else None
        self.skip = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor, told: Tensor | None) -> Tensor:
        """Return features.  [samples, channels, x, y]"""
        inner = self.second_norm(self.first(functional.gelu(self.first_norm(x))))
        if self.modulation is not None and told is not None:
            inner = self.modulation(inner, told)
        found: Tensor = self.second(functional.gelu(inner)) + self.skip(x)
        return found


class MixingBlock(nn.Module):
    """x + mixed waves of x, then + a perceptron at each point.

    Args:
        channels: Of x.
        modes: Waves with wavenumbers below it are mixed.
        groups: Groups of channels that are mixed within.
    """

    def __init__(self, channels: int, modes: int, groups: int) -> None:
        super().__init__()
        self.modes = modes
        self.first_norm, self.second_norm = nn.GroupNorm(1, channels), nn.GroupNorm(1, channels)
        size = channels // groups
        self.mix = nn.ModuleList(ComplexLinear(groups, size) for _ in range(2))
        self.perceptron = nn.Sequential(
            nn.Conv2d(channels, EXPANSION * channels, 1), nn.GELU(), nn.Conv2d(EXPANSION * channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape.  [samples, channels, x, y]"""
        x = x + self._mixed(self.first_norm(x))
        found: Tensor = self.perceptron(self.second_norm(x))
        return x + found

    def _mixed(self, x: Tensor) -> Tensor:
        """Return what the waves kept are turned into, all of them by the same perceptron.  [samples, channels, x, y]"""
        grid = (x.shape[2], x.shape[3])
        kept = (2 * min(self.modes, grid[0] // 2) - 1, min(self.modes, grid[1] // 2 + 1))
        modes = modes_of(x, kept, "ortho")  # [samples, channels, kept y, kept x]
        parts = torch.view_as_real(modes).flatten(2, 3).permute(3, 1, 0, 2)  # [2, channels, samples, waves]
        inner = functional.gelu(self.mix[0](parts.flatten(2)))
        new = functional.softshrink(self.mix[1](inner), SHRINK).view(parts.shape)
        real, imaginary = new.transpose(1, 2)  # [samples, channels, waves]
        return fields_of(torch.complex(real, imaginary).view(modes.shape), grid, "ortho")


class ComplexLinear(nn.Module):
    """A complex linear layer of each group of channels; real and imaginary parts are apart.

    Args:
        groups: Groups.
        size: Channels of each.
    """

    def __init__(self, groups: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, groups, size, size) / math.sqrt(2 * size))
        self.bias = nn.Parameter(torch.zeros(2, groups * size, 1))

    def forward(self, parts: Tensor) -> Tensor:
        """Return real and imaginary parts of the products.  [2, channels, columns]"""
        n, size = self.weight.shape[1:3]
        real, imaginary = self.weight
        whole = torch.cat((torch.cat((real, -imaginary), 2), torch.cat((imaginary, real), 2)), 1)
        columns = parts.view(2, n, size, -1).transpose(0, 1).reshape(n, 2 * size, -1)  # [groups, both parts, columns]
        found = torch.bmm(whole, columns).view(n, 2, size, -1).transpose(0, 1).reshape(parts.shape)
        return found + self.bias


def _blocks(channels_in: int, channels: int, count: int, told: int) -> nn.ModuleList:
    return nn.ModuleList(ResidualBlock(channels_in if k == 0 else channels, channels, told) for k in range(count))


def _list(blocks: nn.Module) -> nn.ModuleList:
    assert isinstance(blocks, nn.ModuleList)
    return blocks
