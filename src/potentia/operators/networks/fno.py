"""Fourier neural operator on periodic grids of one or two axes (Li et al., arXiv:2010.08895).

Inside it features are [width, samples, *grid]: then all that goes over channels is one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from potentia.checks import choice, integer
from potentia.errors import ConfigError, DataError
from potentia.operators.networks.base import FieldNetwork, FieldNetworkConfig, FieldShape
from potentia.operators.networks.film import Conditioning, Modulation, require_parameters
from potentia.operators.networks.fourier_layer import FourierLayer
from potentia.operators.networks.isotropic import IsotropicLayer

__all__ = ["FNO", "FNOConfig"]

PROJECTION = 4
"""Nodes of the hidden layer behind the Fourier layers, in parts of the width."""


@dataclass(frozen=True, kw_only=True)
class FNOConfig(FieldNetworkConfig):
    """Settings of a Fourier neural operator.

    >>> network = FNOConfig(coordinates=True, update="direct").build(FieldShape(2, 2, 4))
    >>> sum(parameter.numel() for parameter in network.parameters())
    595034
    """

    width: int = 24
    """Channels inside."""
    modes: int = 8
    """Waves kept along each axis: k = 0 … modes − 1 along the last, both signs along the one before it. A grid needs
    twice as many points."""
    layers: int = 4
    """Fourier layers."""
    conditioning: Literal["channels", "film"] = "channels"
    """How it sees the parameters: as constant fields beside the others, or as scale and shift of each layer."""
    conditioning_width: int = 64
    """Numbers that ``"film"`` makes of the parameters."""
    coordinates: bool = False
    """Whether it sees where a point is. Without, moved fields give moved fields: right where nothing fixes the origin,
    which is so on a periodic grid with the same equations everywhere."""
    isotropic: bool = False
    """Whether mirrored and, on a square grid, turned fields give such fields: right for scalars, such as densities,
    under equations without direction. It has an eighth of the weights, and waves of both signs below ``modes``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "modes", "layers", "conditioning_width"):
            integer(name, getattr(self, name), low=1)
        choice("conditioning", self.conditioning, ("channels", "film"))
        for name in ("coordinates", "isotropic"):
            if not isinstance(self.__dict__[name], bool):
                raise ConfigError(f"{name} must be True or False, got {self.__dict__[name]!r}")
        if self.coordinates and self.isotropic:
            raise ConfigError("coordinates name a direction, isotropic knows none: take one of them")

    def build(self, shape: FieldShape) -> FNO:
        """Return the network; its weights are drawn from torch's generators."""
        return FNO(self, shape)


class FNO(FieldNetwork):
    """Lift, Fourier layers with activations between them, projection; works on any grid that has the waves it keeps.

    Args:
        config: Settings.
        shape: Sizes that the data set.
    """

    def __init__(self, config: FNOConfig, shape: FieldShape) -> None:
        super().__init__(shape, config.update, config.scale)
        self.width = self.bottleneck_channels = config.width
        self.modes, self.coordinates = config.modes, config.coordinates
        self.n_parameters = shape.n_parameters if config.use_parameters else 0
        film = config.conditioning == "film" and self.n_parameters > 0
        constant = 0 if film else self.n_parameters
        places = shape.n_axes if config.coordinates else 0
        self.lift = nn.Linear(shape.n_channels + constant + places, config.width)
        layer = IsotropicLayer if config.isotropic else FourierLayer
        self.layers = nn.ModuleList(layer(config.width, config.modes, shape.n_axes) for _ in range(config.layers))
        self.conditioning = Conditioning(self.n_parameters, config.conditioning_width) if film else None
        self.modulations = nn.ModuleList(
            Modulation(config.conditioning_width, config.width) for _ in range(config.layers if film else 0)
        )
        self.hidden = nn.Linear(config.width, PROJECTION * config.width)
        self.out = nn.Linear(PROJECTION * config.width, shape.n_channels)

    def require_grid(self, grid: tuple[int, ...]) -> None:
        """Raise `DataError` where a grid has fewer waves than are kept: their weights would learn nothing."""
        if len(grid) != self.shape.n_axes or min(grid) < 2 * self.modes:
            raise DataError(
                f"an FNO with modes={self.modes} needs {self.shape.n_axes} axes of at least {2 * self.modes} points, "
                f"got the grid {grid}; choose modes of at most {min(grid) // 2}",
                page="operators.md#networks-and-training",
            )

    def change(self, fields: Tensor, parameters: Tensor | None) -> Tensor:
        """Return what `forward` makes a step of."""
        features = self._features(fields, parameters)[-1]
        hidden = functional.gelu(_over_channels(self.hidden, features))
        return _over_channels(self.out, hidden).transpose(0, 1)

    def intermediate_features(self, fields: Tensor, parameters: Tensor | None) -> dict[str, Tensor]:
        """Return what each layer gives, ``"layer_0"`` …; the last is the ``"bottleneck"``: the grid stays the same.

        Shape of each: [samples, width, *grid].
        """
        found = [features.transpose(0, 1) for features in self._features(fields, parameters)]
        return {"bottleneck": found[-1], **{f"layer_{k}": features for k, features in enumerate(found)}}

    def _features(self, fields: Tensor, parameters: Tensor | None) -> list[Tensor]:
        """Return what each layer gives.  [width, samples, *grid] each"""
        seen = require_parameters(parameters, self.n_parameters, len(fields))
        now, found = self._lifted(fields, seen), []
        told = None if seen is None or self.conditioning is None else self.conditioning(seen)
        for k, layer in enumerate(self.layers):
            now = layer(now if k == 0 else functional.gelu(now))
            if told is not None:
                now = self.modulations[k](now.transpose(0, 1), told).transpose(0, 1)
            found.append(now)
        return found

    def _lifted(self, fields: Tensor, seen: Tensor | None) -> Tensor:
        """Return features of fields, constants and places.  [width, samples, *grid]

        Constants and places are multiplied before they are spread over the grid and the samples.
        """
        n, grid = self.shape.n_channels, fields.shape[2:]
        weight = self.lift.weight
        lifted = torch.addmm(self.lift.bias[:, None], weight[:, :n], fields.transpose(0, 1).flatten(1))
        lifted = lifted.view(self.width, len(fields), *grid)
        if seen is not None and self.conditioning is None:
            constant = weight[:, n : n + self.n_parameters] @ seen.T  # [width, samples]
            lifted = lifted + constant.view(*constant.shape, *(1,) * len(grid))
        if self.coordinates:
            axes = [torch.arange(points, device=fields.device).to(fields) / points for points in grid]
            places = torch.stack(torch.meshgrid(*axes, indexing="ij"))  # [axes, *grid]
            lifted = lifted + torch.tensordot(weight[:, -len(grid) :], places, 1)[:, None]
        return lifted


def _over_channels(layer: nn.Linear, features: Tensor) -> Tensor:
    """Return a linear layer over the first axis.  [in, samples, *grid] → [out, samples, *grid]"""
    found = torch.addmm(layer.bias[:, None], layer.weight, features.flatten(1))
    return found.view(-1, *features.shape[1:])
