"""What a tokenizer is measured against: principal components of the training part, as they are and rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.operators.tokenizer.residual_vq import k_means
from potentia.seeding import stream

__all__ = ["PrincipalCode", "principal_axes"]

MOST_BITS = 8
"""Of a component: more values than samples could fill are of no use."""


@dataclass(frozen=True, eq=False)
class PrincipalCode:
    """Principal components, and the values that each is rounded to.

    Each bit was given to the component that it helps most, and the values of a component are those of k-means: what a
    code of single numbers can do with so many bits.
    """

    mean: Tensor = field(repr=False)
    """Of the training part.  Float64, [features]"""
    axes: Tensor = field(repr=False)
    """Float64, [components, features]"""
    values: tuple[Tensor, ...] = field(repr=False)
    """Of each component, in order.  Float64, [values] each"""

    @classmethod
    def fit(cls, train: Tensor, components: int, bits: float, seed: int) -> Self:
        """Return the code of normalised features.

        Args:
            train: [samples, features]
            components: As many as there are at most.
            bits: In all, rounded down.
            seed: Of the beginnings of k-means.
        """
        known = train.detach().cpu().double()
        axes = principal_axes(known, components)
        scores = ((known - known.mean(0)) @ axes.T).numpy()
        values = [column.mean(keepdims=True) for column in scores.T]
        finer = [_values(column, 1, seed, k) for k, column in enumerate(scores.T)]
        for _ in range(int(bits)):
            gains = [
                _error(column, a) - _error(column, b) for column, a, b in zip(scores.T, values, finer, strict=True)
            ]
            k = int(np.argmax(gains))
            values[k] = finer[k]
            depth = min(len(values[k]).bit_length(), MOST_BITS)
            finer[k] = _values(scores[:, k], depth, seed, k) if len(values[k]) < 2**depth else values[k]
        return cls(known.mean(0), axes, tuple(torch.from_numpy(one) for one in values))

    def rebuilt(self, features: Tensor) -> Tensor:
        """Return features [samples, features] of their components."""
        return self._back(self._scores(features)).to(features)

    def rounded(self, features: Tensor) -> Tensor:
        """Return features [samples, features] of their rounded components."""
        scores = self._scores(features).T
        nearest = [one[(score[:, None] - one).abs().argmin(1)] for score, one in zip(scores, self.values, strict=True)]
        return self._back(torch.stack(nearest, 1)).to(features)

    def to_state(self) -> dict[str, Any]:
        """Return tensors that `from_state` takes."""
        return {"mean": self.mean, "axes": self.axes, "values": list(self.values)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the code that `to_state` has described."""
        return cls(state["mean"], state["axes"], tuple(state["values"]))

    def _scores(self, features: Tensor) -> Tensor:
        return (features.detach().cpu().double() - self.mean) @ self.axes.T

    def _back(self, scores: Tensor) -> Tensor:
        return scores @ self.axes + self.mean


def principal_axes(features: Tensor, count: int) -> Tensor:
    """Return the directions of largest variance of features [samples, features], as many as there are.

    [components, features]
    """
    _, _, axes = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    found: Tensor = axes[:count].clone()
    return found


def _values(column: NDArray[np.float64], bits: int, seed: int, component: int) -> NDArray[np.float64]:
    """Return at most 2^bits values that numbers are near to."""
    centres, _ = k_means(column[:, None], 2**bits, stream(seed, "rounded components", component, bits))
    return np.unique(centres[:, 0])


def _error(column: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    return float(np.square(column[:, None] - values).min(1).sum())
