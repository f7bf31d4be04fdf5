"""The sections of a diagnosis, each a pure function of errors, tokens or latents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from potentia.operators.diagnostics.verdicts import (
    alignment_word,
    consistency_word,
    diversity_word,
    reconstruction_word,
)
from potentia.seeding import stream

__all__ = [
    "Alignment",
    "Consistency",
    "Diversity",
    "Reconstruction",
    "alignment",
    "consistency",
    "diversity",
    "reconstruction",
]


@dataclass(frozen=True)
class Reconstruction:
    """How well the features of predictions are rebuilt from their codes."""

    error: float
    """Mean square error of normalised features."""
    categories: Mapping[str, float]
    """The same of the features of each category."""
    true_error: float
    """That of the truth, for the same samples."""

    @property
    def word(self) -> str:
        """Its verdict."""
        return reconstruction_word(self.error)


@dataclass(frozen=True)
class Diversity:
    """How many codes predictions use."""

    used: int
    """Different codes, summed over all codebooks."""
    codes: int
    """All codes of them."""
    reachable: int
    """Most that so many samples can use."""
    true_used: int
    """Those that the truth uses, for the same samples."""
    entropy: float
    """−Σ p log p over the codes of a codebook, the mean over codebooks (nats)."""
    true_entropy: float
    """That of the truth."""

    @property
    def utilisation(self) -> float:
        """Used over all codes."""
        return self.used / self.codes

    @property
    def word(self) -> str:
        """Its verdict."""
        return diversity_word(self.utilisation)


@dataclass(frozen=True)
class Alignment:
    """How near projected features of the operator are to the latents of the tokenizer."""

    cosine: float
    """Mean over samples."""
    spread: float
    """Deviation over samples."""
    error: float
    """Mean square distance: L_latent."""
    centred: float
    """Mean cosine after the mean over samples is taken away from both: what is left when a constant is no merit."""
    shuffled: float
    """Mean cosine with the latents of other samples: what comes for free."""

    @property
    def word(self) -> str:
        """Its verdict."""
        return alignment_word(self.cosine)


@dataclass(frozen=True)
class Consistency:
    """How steady the size of projected features is over time."""

    norm: float
    """Mean over samples and steps."""
    spread: float
    """Deviation over steps, the mean over samples."""

    @property
    def variation(self) -> float:
        """Coefficient of variation: deviation over mean."""
        return self.spread / self.norm if self.norm else math.nan

    @property
    def word(self) -> str:
        """Its verdict."""
        return consistency_word(self.variation)


def reconstruction(
    error: NDArray[np.float64], true_error: NDArray[np.float64], categories: Mapping[str, Sequence[int]]
) -> Reconstruction:
    """Return the section of square errors [samples, features] of predictions and of the truth."""
    known = len(error) > 0
    parts = {name: float(error[:, list(columns)].mean()) if known else math.nan for name, columns in categories.items()}
    return Reconstruction(float(error.mean()) if known else math.nan, parts, float(true_error.mean()))


def diversity(tokens: NDArray[np.int64], true_tokens: NDArray[np.int64], sizes: Sequence[int]) -> Diversity:
    """Return the section of tokens [samples, entries], -1 where there is none; ``sizes`` are the codes of each entry.

    >>> diversity(np.array([[0, 1], [1, 1]]), np.array([[0, 0], [1, 2]]), [4, 4]).used
    3
    """
    return Diversity(
        used=_used(tokens),
        codes=sum(sizes),
        reachable=sum(min(size, len(tokens)) for size in sizes),
        true_used=_used(true_tokens),
        entropy=_entropy(tokens),
        true_entropy=_entropy(true_tokens),
    )


def alignment(projected: Tensor, latents: Tensor, seed: int = 0) -> Alignment:
    """Return the section of projected features and latents of the tokenizer, [samples, latents] both."""
    p, z = projected.double(), latents.double()
    cosines = functional.cosine_similarity(p, z)
    centred = functional.cosine_similarity(p - p.mean(0), z - z.mean(0))
    turn = int(stream(seed, "shuffled latents").integers(1, max(len(z), 2)))
    shuffled = functional.cosine_similarity(p, z.roll(turn, 0))  # nobody keeps his own
    return Alignment(
        float(cosines.mean()),
        float(cosines.std(correction=0)),
        float((p - z).square().mean()),
        float(centred.mean()),
        float(shuffled.mean()),
    )


def consistency(projected: Tensor) -> Consistency:
    """Return the section of projected features [samples, steps, latents]."""
    norms = projected.double().norm(dim=2)
    return Consistency(float(norms.mean()), float(torch.std(norms, 1, correction=0).mean()))


def _used(tokens: NDArray[np.int64]) -> int:
    return sum(len(np.unique(entry[entry >= 0])) for entry in tokens.T)


def _entropy(tokens: NDArray[np.int64]) -> float:
    found = []
    for entry in tokens.T:
        counts = np.bincount(entry[entry >= 0])
        p = counts[counts > 0] / max(counts.sum(), 1)
        found.append(float(-(p * np.log(p)).sum()))
    return float(np.mean(found))
