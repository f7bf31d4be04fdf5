"""How well a tokenizer works on features: what it rebuilds, and how much of its codes it uses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from potentia.errors import DataError
from potentia.operators.features import Features
from potentia.operators.tokenizer.fitted import Fitted

__all__ = ["TokenizerHealth", "health"]

TINY = 1e-12


@dataclass(frozen=True, eq=False)
class TokenizerHealth:
    """Figures of one set of features, best a held-out one; print it for a summary."""

    samples: int
    mse: float
    """Mean square error of normalised features; their mean over the training part scores about 1."""
    nmse: pd.Series[float] = field(repr=False)
    """Mean square error of the features of each category over their variance in this set."""
    r2: pd.Series[float] = field(repr=False)
    """1 minus mean square error over variance, of each feature; NaN where it does not vary in this set."""
    codebooks: pd.DataFrame = field(repr=False)
    """For each category and level: ``codes``; ``reachable``, which is no more than the samples; ``used``;
    ``utilisation`` = used/codes; ``perplexity`` = exp of the entropy (nats); ``entropy`` (bits)."""
    bits: float
    """Most that the tokens of a sample can tell: Σ log2 of the codes."""
    unquantised_mse: float
    """The same error with latents in place of codes: what the network costs, and the codes do not."""
    pca_mse: float
    """The same error of as many principal components of the training part as latents have numbers, not quantised: no
    linear code of that many numbers is better there. To be held against `unquantised_mse`."""
    rounded_pca_mse: float
    """The same error of these components, each rounded to so few values that they have as many bits as the tokens. To
    be held against `mse`."""
    bound: float
    """Deviations from the mean behind which normalised features level off."""
    beyond: float
    """Part of the normalised features that are behind it."""

    @property
    def utilisation(self) -> float:
        """Used codes over all codes."""
        return float(self.codebooks["used"].sum() / self.codebooks["codes"].sum())

    @property
    def reachable(self) -> float:
        """Codes that so many samples can use at most, over all codes."""
        return float(self.codebooks["reachable"].sum() / self.codebooks["codes"].sum())

    @property
    def entropy(self) -> float:
        """What the tokens of a sample tell, each by itself (bits)."""
        return float(self.codebooks["entropy"].sum())

    def worst(self, count: int = 5) -> pd.Series[float]:
        """Return the features that are rebuilt worst, with their R²."""
        return self.r2.dropna().sort_values().head(count)

    def __str__(self) -> str:
        worst = ", ".join(f"{name} {value:.2f}" for name, value in self.worst().items())
        by_category = ", ".join(f"{name} {value:.3f}" for name, value in self.nmse.items())
        return "\n".join(
            [
                f"{self.samples} samples: mean square error {self.mse:.4g} (1 is the mean), of principal components "
                f"with as many bits {self.rounded_pca_mse:.4g}; without codes {self.unquantised_mse:.4g}, of as many "
                f"principal components {self.pca_mse:.4g}",
                f"{self.beyond:.2%} of the features were levelled off, more than {self.bound:g} deviations from the "
                "mean",
                f"of each category, over its variance: {by_category}",
                f"R² of features: median {self.r2.median():.3f}, worst {worst}",
                f"{self.utilisation:.0%} of the codes are used, so many samples can use {self.reachable:.0%}; tokens "
                f"tell {self.entropy:.1f} of {self.bits:.1f} bits",
            ]
        )


@torch.no_grad()
def health(fitted: Fitted, features: Features) -> TokenizerHealth:
    """Return the figures of features.

    Raises:
        DataError: they are not the features that the tokenizer was trained on, or there are fewer than two samples.
    """
    if len(features) < 2:
        raise DataError(f"the health of a tokenizer is told of 2 samples at least, got {len(features)}")
    network = fitted.network
    like = next(network.parameters())
    truth = fitted.scaling(features).to(like)
    passed = network(truth)
    unquantised = network.rebuilt(passed.coded.inputs[:, 0])  # the first level is given whole latents
    x, y = (one.double().cpu().numpy() for one in (truth, passed.reconstruction))
    squares, variance = np.square(y - x).mean(0), x.var(0)
    categories = {name: list(columns) for name, columns in fitted.categories.items()}
    names = list(fitted.scaling.names)
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = np.where(variance > TINY, 1 - squares / variance, math.nan)
    return TokenizerHealth(
        samples=len(x),
        mse=float(squares.mean()),
        nmse=pd.Series({name: squares[one].mean() / (variance[one].mean() + TINY) for name, one in categories.items()}),
        r2=pd.Series(r2, index=names),
        codebooks=_codebooks(passed.coded.tokens.cpu().numpy(), list(categories), network.quantiser.size),
        bits=passed.coded.tokens[..., 0].numel() * math.log2(network.quantiser.size),
        unquantised_mse=float((unquantised - truth).square().mean()),
        pca_mse=float((fitted.principal.rebuilt(truth) - truth).square().mean()),
        rounded_pca_mse=float((fitted.principal.rounded(truth) - truth).square().mean()),
        bound=fitted.scaling.bound,
        beyond=float((truth.abs() > fitted.scaling.bound).double().mean()),
    )


def _codebooks(tokens: NDArray[np.int64], categories: list[str], size: int) -> pd.DataFrame:
    """Return a row for each category and level of tokens [categories, levels, samples]."""
    rows = []
    for name, levels in zip(categories, tokens, strict=True):
        for level, entry in enumerate(levels):
            p = np.bincount(entry, minlength=size) / len(entry)
            nats = float(-(p[p > 0] * np.log(p[p > 0])).sum())
            used = int((p > 0).sum())
            rows.append(
                {
                    "category": name,
                    "level": level,
                    "codes": size,
                    "reachable": min(size, len(entry)),
                    "used": used,
                    "utilisation": used / size,
                    "perplexity": math.exp(nats),
                    "entropy": nats / math.log(2),
                }
            )
    return pd.DataFrame(rows).set_index(["category", "level"])
