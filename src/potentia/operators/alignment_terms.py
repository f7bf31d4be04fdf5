"""What the training of an operator knows of an alignment: a projector to train, and terms of the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from potentia.operators.dataset import OperatorData
from potentia.operators.networks.base import FieldNetwork
from potentia.operators.normaliser import Normaliser

__all__ = ["AlignmentTerms", "Rolled"]


@dataclass(frozen=True)
class Rolled:
    """Roll-outs over all steps beside the truth."""

    network: FieldNetwork
    """What has made them."""
    predicted: Tensor
    """Normalised, from the true initial field; gradients go through the last steps, as many as the window of the
    training has.  [samples, steps + 1, channels, *grid]"""
    truth: Tensor
    """Normalised.  [samples, steps + 1, channels, *grid]"""
    parameters: Tensor | None
    """Embedded.  [samples, parameters]"""
    normaliser: Normaliser
    """From normalised to physical fields, and back."""


class AlignmentTerms(ABC):
    """Terms of the loss beside those of the fields."""

    @property
    @abstractmethod
    def weights(self) -> Mapping[str, float]:
        """Name of each term, such as ``"commit"``, and its weight in the loss; terms of weight 0 are left out."""

    @abstractmethod
    def projector(self, network: FieldNetwork) -> nn.Module | None:
        """Return a new module to be trained with the network, drawn from torch's generators; None where none is."""

    @abstractmethod
    def terms(self, projector: nn.Module | None, rolled: Rolled) -> dict[str, Tensor]:
        """Return each term of `weights`, not weighted: the mean over samples."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return its settings and a mark of the tokenizer as plain values: what a resumed run must share."""

    @abstractmethod
    def require(self, data: OperatorData, steps: int) -> None:
        """Raise `ConfigError` or `DataError` where fields of these channels over so many steps cannot be aligned."""
