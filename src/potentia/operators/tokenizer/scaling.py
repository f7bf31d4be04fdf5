"""Normalisation of features by the statistics of the training part, and the check that features are the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from potentia.errors import DataError
from potentia.operators.features import ARCHITECTURE, Column, Features

__all__ = ["BOUND", "FeatureScaling"]

CONSTANT = 1e-6
"""A feature whose deviation, after the logarithm, is smaller in the training part is left out."""

VARIES = 1e-3
"""So is one whose deviation is a smaller part of its own size, of coefficients over time of the size of the largest: it
would be rounding, or the noise of a prediction, that is made large."""

BOUND = 4.0
"""Normalised features are as they are up to so many deviations, and level off towards half as many more: beyond, it
counts that a feature is far out, not how far, so that no single one decides an error or a code."""


@dataclass(frozen=True, eq=False)
class FeatureScaling:
    """Statistics of the features that are kept, and what they are of."""

    columns: tuple[Column, ...]
    """All features, also those that are left out."""
    kept: Tensor
    """Places of the features that vary.  Int64, [kept]"""
    mean: Tensor = field(repr=False)
    """Of the training part, after the signed log1p of heavy ones.  Float64, [kept]"""
    std: Tensor = field(repr=False)
    """Float64, [kept]"""
    bound: float
    """Deviations from the mean behind which values level off."""
    horizon: int
    channels: tuple[str, ...]
    version: str

    @classmethod
    def fit(cls, train: Features) -> Self:
        """Return the scaling of the training part.

        Raises:
            DataError: a value is not finite, features are of parameters, or nothing varies.
        """
        if ARCHITECTURE in train.families:
            raise DataError(
                f"features of the family {ARCHITECTURE!r} tell parameters and no behaviour: leave that family out"
            )
        if len(train) < 2:
            raise DataError(f"a tokenizer needs features of 2 samples at least, got {len(train)}")
        _require_finite(train.values, train.columns)
        shown = _shown(train.values.detach().cpu().double(), train.columns)
        std, mean = torch.std_mean(shown, 0, correction=0)
        kept = ((std > CONSTANT) & (std > VARIES * _sizes(shown, train.columns))).nonzero()[:, 0]
        if len(kept) == 0:
            raise DataError(f"all {len(train.columns)} features are the same for all {len(train)} samples")
        return cls(train.columns, kept, mean[kept], std[kept], BOUND, train.horizon, train.channels, train.version)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kept features."""
        return tuple(column.name for column in self.kept_columns)

    @property
    def kept_columns(self) -> tuple[Column, ...]:
        """The features that vary."""
        return tuple(self.columns[place] for place in self.kept.tolist())

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the features that do not vary."""
        return tuple(column.name for column in self.columns if column.name not in self.names)

    @property
    def families(self) -> tuple[str, ...]:
        """The families, each once."""
        return tuple(dict.fromkeys(column.family for column in self.columns))

    def __call__(self, features: Features) -> Tensor:
        """Return the kept features with mean 0 and deviation 1 over the training part, levelled off beyond ``bound``.

        Shape: [samples, kept]

        Raises:
            DataError: they are not the same features.
        """
        self.require_same(features)
        _require_finite(features.values, features.columns)
        shown = _shown(features.values, features.columns)[:, self.kept.to(features.values.device)]
        return _levelled((shown - self.mean.to(shown)) / self.std.to(shown), self.bound)

    def require_same(self, features: Features) -> None:
        """Raise `DataError` where features differ in version, names, channels or horizon from those of the training."""
        if features.version != self.version:
            raise DataError(
                f"these are features of version {features.version}, the tokenizer was trained on version "
                f"{self.version}: train it anew, or compute them with the release that it was trained with"
            )
        names = tuple(column.name for column in self.columns)
        if features.names != names:
            missing = [name for name in names if name not in features.names]
            more = [name for name in features.names if name not in names]
            raise DataError(
                f"the tokenizer was trained on {len(names)} features, got {len(features.names)}; missing: "
                f"{_some(missing)}; unknown: {_some(more)}; they must come in the same order, from fields with as many "
                "axes and channels"
            )
        if features.values.shape[1:] != (len(names),):
            raise DataError(f"features must have shape [samples, {len(names)}], got {tuple(features.values.shape)}")
        if self.channels and features.channels and features.channels != self.channels:
            raise DataError(
                f"the tokenizer was trained on the channels {', '.join(self.channels)}, got "
                f"{', '.join(features.channels)}"
            )
        if features.horizon != self.horizon:
            raise DataError(
                f"the tokenizer was trained on trajectories of {self.horizon} steps, these features are of "
                f"{features.horizon}: their values shift with the horizon, so compute them of {self.horizon} steps"
            )

    def to_state(self) -> dict[str, Any]:
        """Return plain values and tensors that `from_state` takes."""
        return {
            "columns": [asdict(column) for column in self.columns],
            "kept": self.kept,
            "mean": self.mean,
            "std": self.std,
            "bound": self.bound,
            "horizon": self.horizon,
            "channels": list(self.channels),
            "version": self.version,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the scaling that `to_state` has described."""
        columns = tuple(Column(**column) for column in state["columns"])
        return cls(**{**state, "columns": columns, "channels": tuple(state["channels"])})


def _shown(values: Tensor, columns: tuple[Column, ...]) -> Tensor:
    """Return values [samples, features] with the signed log1p of heavy ones."""
    heavy = torch.tensor([column.heavy for column in columns], device=values.device)
    return torch.where(heavy, values.sign() * values.abs().log1p(), values)


def _levelled(deviations: Tensor, bound: float) -> Tensor:
    """Return values that grow as they are up to a bound, and ever more slowly behind it: order and sign remain."""
    tail = bound / 2
    more = (deviations.abs() - bound).clamp_min(0)
    levelled = deviations.sign() * (bound + more * tail / (more + tail))
    return torch.where(more > 0, levelled, deviations)


def _sizes(shown: Tensor, columns: tuple[Column, ...]) -> Tensor:
    """Return the root mean square of each feature, of coefficients over time the largest of one series.  [features]"""
    series = [column.name.partition(".dct")[0] for column in columns]
    largest: dict[str, float] = {}
    sizes = shown.square().mean(0).sqrt().tolist()
    for name, size in zip(series, sizes, strict=True):
        largest[name] = max(size, largest.get(name, 0.0))
    return shown.new_tensor([largest[name] for name in series])


def _require_finite(values: Tensor, columns: tuple[Column, ...]) -> None:
    bad = ~values.detach().isfinite()
    if bad.any():
        sample, place = bad.nonzero()[0].tolist()
        raise DataError(
            f"feature {columns[place].name} of sample {sample} is {float(values[sample, place])}: leave this sample out"
        )


def _some(names: list[str]) -> str:
    listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return listed or "none"
