"""The network of a tokenizer: an encoder for each category of features, codes, and one decoder.

Encoders and decoder are straight lines plus what bends them. A training begins with the lines alone: each latent is the
principal components of its category, and the decoder is the best line from the codes back to all features. So a network
is never worse than the components that it begins with, and what it is trained for is what they cannot do. Lines also go
on where features are farther out than those of the training part, as those of predictions often are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from potentia.operators.tokenizer.config import TokenizerConfig
from potentia.operators.tokenizer.fsq import FSQ
from potentia.operators.tokenizer.principal import principal_axes
from potentia.operators.tokenizer.quantiser import Coded, Quantiser
from potentia.operators.tokenizer.residual_vq import ResidualVQ

__all__ = ["Passed", "TokenizerNetwork"]

RIDGE = 1e-3
"""Beside the mean square of codes in the first decoder: directions that hardly vary get no large weights."""


class Passed(NamedTuple):
    """What has become of a batch."""

    latents: Tensor
    """[categories, samples, latent]"""
    coded: Coded
    reconstruction: Tensor
    """[samples, features]"""


class Bent(nn.Module):
    """W x + b, and a hidden layer beside it that begins with 0.

    Args:
        inputs: Numbers in.
        hidden: Nodes of the hidden layer.
        outputs: Numbers out.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, outputs)
        last = nn.Linear(hidden, outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.bend = nn.Sequential(nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.GELU(), last)

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., outputs] of [..., inputs]."""
        found: Tensor = self.straight(x) + self.bend(x)
        return found

    @torch.no_grad()
    def straighten(self, weight: Tensor, bias: Tensor) -> None:
        """Set the line.

        Args:
            weight: [outputs, inputs]
            bias: [outputs]
        """
        self.straight.weight.copy_(weight)
        self.straight.bias.copy_(bias)


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
        self.encoders = nn.ModuleList(Bent(len(one), config.hidden, latent) for one in categories.values())
        self.columns = [torch.tensor(one) for one in categories.values()]
        width = sum(map(len, self.columns))
        self.decoder = Bent(len(categories) * latent, config.decoder_hidden, width)

    @torch.no_grad()
    def start(self, features: Tensor, seed: int) -> None:
        """Put lines and codes where normalised features of the training part are.  [samples, features]"""
        latent, unit = self.quantiser.latent_dim, self.quantiser.unit
        for encoder, columns in zip(self.encoders, self.columns, strict=True):
            own = features[:, columns]
            axes = principal_axes(own, latent)
            scores = (own - own.mean(0)) @ axes.T
            axes = axes / (scores.std(0, correction=0)[:, None] + RIDGE) if unit else axes
            weight = features.new_zeros(latent, len(columns))
            weight[: len(axes)] = axes
            encoder.straighten(weight, -weight @ own.mean(0))  # type: ignore[operator]
        self.quantiser.start(self.latents(features), seed)
        codes = self.quantiser(self.latents(features)).codes.sum(1).transpose(0, 1).flatten(1).double()
        self.decoder.straighten(*_line(codes, features.double()))

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


def _line(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the best line from x [samples, inputs] to y [samples, outputs]."""
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    gram = x.T @ x
    size = RIDGE * gram.diagonal().mean() + np.finfo(np.float64).tiny
    weight = torch.linalg.solve(gram + size * torch.eye(len(gram), dtype=gram.dtype), x.T @ y).T
    return weight, y_mean - weight @ x_mean


def _quantiser(config: TokenizerConfig, categories: int) -> Quantiser:
    if config.quantizer == "fsq":
        return FSQ(config.fsq_values)
    return ResidualVQ(categories, config.latent_dim, config.levels, config.codes, config.decay, config.dead_below)
