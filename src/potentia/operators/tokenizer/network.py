"""The network of a tokenizer: an encoder for each category of features, codes, and one decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from potentia.operators.tokenizer.config import TokenizerConfig
from potentia.operators.tokenizer.fsq import FSQ
from potentia.operators.tokenizer.quantiser import Coded, Quantiser
from potentia.operators.tokenizer.residual_vq import ResidualVQ

__all__ = ["Passed", "TokenizerNetwork"]


class Passed(NamedTuple):
    """What has become of a batch."""

    latents: Tensor
    """[categories, samples, latent]"""
    coded: Coded
    reconstruction: Tensor
    """[samples, features]"""


class TokenizerNetwork(nn.Module):
    """From normalised features to codes and back; weights are drawn from torch's generators.

    Args:
        config: Settings.
        categories: Columns of each category; together they are all columns, each once.
    """

    def __init__(self, config: TokenizerConfig, categories: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__()
        self.quantiser = _quantiser(config, len(categories))
        latent = self.quantiser.latent_dim
        self.encoders = nn.ModuleList(_encoder(len(one), config.hidden, latent) for one in categories.values())
        self.columns = [torch.tensor(one) for one in categories.values()]
        width = sum(map(len, self.columns))
        self.decoder = nn.Sequential(
            nn.Linear(len(categories) * latent, config.decoder_hidden),
            nn.GELU(),
            nn.Linear(config.decoder_hidden, width),
        )

    def latents(self, features: Tensor) -> Tensor:
        """Return the latents of normalised features [samples, features].  [categories, samples, latent]"""
        parts = zip(self.encoders, self.columns, strict=True)
        return torch.stack([encoder(features[:, columns.to(features.device)]) for encoder, columns in parts])

    def rebuilt(self, latents: Tensor) -> Tensor:
        """Return normalised features [samples, features] of quantised latents [categories, samples, latent]."""
        found: Tensor = self.decoder(latents.transpose(0, 1).flatten(1))
        return found

    def forward(self, features: Tensor) -> Passed:
        """Pass normalised features [samples, features] through the codes."""
        latents = self.latents(features)
        coded = self.quantiser(latents)
        return Passed(latents, coded, self.rebuilt(coded.straight))


def _encoder(columns: int, hidden: int, latent: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(columns, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, latent))


def _quantiser(config: TokenizerConfig, categories: int) -> Quantiser:
    if config.quantizer == "fsq":
        return FSQ(config.fsq_values)
    return ResidualVQ(categories, config.latent_dim, config.levels, config.codes, config.decay, config.dead_below)
