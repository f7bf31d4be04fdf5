"""What every quantiser is: latents of all categories in, codes and their numbers out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

__all__ = ["Coded", "Quantiser"]


@dataclass(frozen=True, eq=False)
class Coded:
    """Latents of a batch and their codes."""

    inputs: Tensor
    """What each level has quantised, with its gradient.  [categories, levels, samples, latent]"""
    codes: Tensor
    """Nearest code of each, without a gradient.  [categories, levels, samples, latent]"""
    tokens: Tensor
    """Number of each code, int64.  [categories, levels, samples]"""

    @property
    def distances(self) -> Tensor:
        """Square distance of each latent to its code.  [categories, levels, samples]"""
        return (self.inputs - self.codes).square().sum(-1)

    @property
    def commitment(self) -> Tensor:
        """Mean square distance of latents to their codes; its gradient goes to the latents only.  []"""
        return (self.inputs - self.codes).square().mean()

    @property
    def straight(self) -> Tensor:
        """Sum of the codes of all levels, with the gradient of the whole latent.  [categories, samples, latent]"""
        latents = self.inputs[:, 0]
        return latents + (self.codes.sum(1) - latents).detach()


class Quantiser(nn.Module, ABC):
    """Codes for each category and level. What it learns are buffers: no gradient reaches them."""

    latent_dim: int
    """Numbers of a latent."""
    levels: int
    """Levels of each category."""
    size: int
    """Codes of each level."""
    unit: bool = False
    """Whether latents should have a deviation of about 1."""

    @abstractmethod
    def forward(self, latents: Tensor) -> Coded:
        """Return the codes of latents [categories, samples, latent], level by level."""

    @abstractmethod
    def nearest(self, inputs: Tensor) -> Coded:
        """Return the codes of what the levels are given.  [categories, levels, samples, latent]"""

    def start(self, latents: Tensor, seed: int) -> None:
        """Get ready for a training that begins with these latents [categories, samples, latent]."""

    def follow(self, coded: Coded) -> None:
        """Learn from a batch."""

    def revive(self, coded: Coded, seed: int, epoch: int, batch: int) -> None:
        """Bring codes that are hardly used back to work; what is drawn is a function of the last three."""
