"""What every tokenizer of behaviour is for those who use one: latents, their codes, and the way back to features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from potentia.operators.features import Features

__all__ = ["Quantised", "Tokenizer"]


@dataclass(frozen=True, eq=False)
class Quantised:
    """Latents on the codes nearest to them. Entries are category-major: level 0 of category 0, its level 1, …"""

    latents: list[Tensor]
    """Codes in place of latents, with a gradient to these (straight-through).  [samples, latent_dim] each"""
    tokens: Tensor
    """Number of the code of each entry, int64.  [samples, entries]"""
    info: Mapping[str, Tensor] = field(default_factory=dict)
    """``"commitment"``: mean square distance of latents to their codes, with its gradient to the latents only []; and
    ``"distances"``: square distance of each [samples, entries]."""


class Tokenizer(Protocol):
    """From features of behaviour to tokens: an entry for each category of features and level of residual."""

    @property
    def latent_dim(self) -> int:
        """Numbers of each latent."""

    @property
    def categories(self) -> Mapping[str, tuple[int, ...]]:
        """Columns of normalised features that each category is made of."""

    @property
    def codebook_sizes(self) -> list[int]:
        """Codes of each entry."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each column of normalised features."""

    @property
    def feature_version(self) -> str:
        """Version of the formulas that it was trained on."""

    @property
    def horizon(self) -> int:
        """Steps of the trajectories that it was trained on."""

    def normalize(self, features: Features) -> Tensor:
        """Return features as it was trained on them: by its own statistics.  [samples, columns]

        Raises:
            DataError: version, names, channels or horizon are others than those that it was trained on.
        """

    def encode(self, normalized: Tensor) -> list[Tensor]:
        """Return the latents of normalised features [samples, columns].  [samples, latent_dim] each"""

    def quantize(self, latents: list[Tensor]) -> Quantised:
        """Return the codes of latents."""

    def decode(self, latents: list[Tensor]) -> Tensor:
        """Return normalised features of codes as in `Quantised.latents`.  [samples, columns]"""
