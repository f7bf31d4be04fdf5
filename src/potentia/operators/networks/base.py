"""What every network of this family is: settings that build it, and the fields one step later."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from potentia.checks import choice, number
from potentia.errors import ConfigError

__all__ = ["FieldNetwork", "FieldNetworkConfig", "FieldShape"]


@dataclass(frozen=True)
class FieldShape:
    """Sizes that the data set."""

    n_channels: int
    n_axes: int
    """1 or 2 axes of space."""
    n_parameters: int
    """Numbers that the network sees of the parameters, `ParameterSpace.width`; 0 for none."""


class FieldNetwork(nn.Module, ABC):
    """One step in time, of normalised fields; works on any grid that `require_grid` lets pass."""

    bottleneck_channels: int
    """Channels of the features at its narrowest place."""

    def __init__(self, shape: FieldShape, update: str, scale: float) -> None:
        super().__init__()
        self.shape = shape
        self.update = update
        first = torch.full((shape.n_channels, *(1,) * shape.n_axes), scale)
        self.scale = nn.Parameter(first) if update == "residual" else None  # never a parameter without gradient

    @abstractmethod
    def change(self, fields: Tensor, parameters: Tensor | None) -> Tensor:
        """Return what `forward` makes a step of; arguments and shape are the same."""

    @abstractmethod
    def intermediate_features(self, fields: Tensor, parameters: Tensor | None) -> dict[str, Tensor]:
        """Return features on the way by name; ``"bottleneck"`` [samples, `bottleneck_channels`, *coarse grid]."""

    def require_grid(self, grid: tuple[int, ...]) -> None:
        """Raise `DataError` where this network cannot work on such a grid."""

    def forward(self, fields: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the fields one step later.

        Args:
            fields: Normalised.  [samples, channels, *grid]
            parameters: Embedded parameters [samples, parameters], None where there are none.
        """
        found = self.change(fields, parameters)
        return found if self.scale is None else fields + self.scale * found


@dataclass(frozen=True, kw_only=True)
class FieldNetworkConfig(ABC):
    """Settings of a network."""

    update: Literal["residual", "direct"] = "residual"
    """``"residual"``: the network gives the change, times a learned scale of each channel; ``"direct"``: the fields."""
    scale: float = 0.1
    """That scale before training."""
    use_parameters: bool = True
    """Whether the network sees the parameters; without, it is the ablation that shows what they are worth."""

    def __post_init__(self) -> None:
        choice("update", self.update, ("residual", "direct"))
        number("scale", self.scale)
        if not isinstance(self.use_parameters, bool):
            raise ConfigError(f"use_parameters must be True or False, got {self.use_parameters!r}")

    @abstractmethod
    def build(self, shape: FieldShape) -> FieldNetwork:
        """Return the network; its weights are drawn from torch's generators."""
