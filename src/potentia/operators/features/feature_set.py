"""Features of trajectories, as one table: a row for each sample, a column for each feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import did_you_mean, integer
from potentia.errors import ConfigError, DataError
from potentia.operators.dataset import Samples
from potentia.operators.features.architecture import architecture_features
from potentia.operators.features.families import Family
from potentia.operators.features.frames import Frames
from potentia.operators.features.initial import INITIAL
from potentia.operators.features.movie import Movie
from potentia.operators.features.summary import SUMMARY
from potentia.operators.features.temporal import COEFFICIENTS, TEMPORAL, cosine_coefficients
from potentia.operators.space import ParameterSpace

__all__ = [
    "ARCHITECTURE",
    "BEHAVIOUR",
    "FAMILIES",
    "VERSION",
    "Column",
    "Features",
    "feature_set",
    "feature_table",
    "temporal_series",
]

VERSION = "2"
"""Changes whenever a formula does: a tokenizer refuses features of another version."""

ARCHITECTURE = "architecture"
"""The family that is of parameters, not of fields."""

FAMILIES: dict[str, Family[Any]] = {family.name: family for family in (INITIAL, SUMMARY, TEMPORAL)}
"""Features of fields by the name of their family."""

BEHAVIOUR = tuple(FAMILIES)
"""The families that tell of behaviour, which a tokenizer takes."""

LEAST_STEPS = 3
LEAST_POINTS = 4

View = TypeVar("View")


@dataclass(frozen=True)
class Column:
    """What is known of a feature besides its values."""

    name: str
    """``"<family>.<feature>"``; of the temporal family with ``".dct0"``, ``".dct1"``, … behind it."""
    family: str
    differentiable: bool = True
    heavy: bool = False
    """Whether statistics are of its signed log1p."""


@dataclass(frozen=True, eq=False)
class Features:
    """Features of some trajectories."""

    values: Tensor = field(repr=False)
    """[samples, features]"""
    columns: tuple[Column, ...] = field(repr=False)
    """What each is."""
    horizon: int
    """Steps of the trajectories that they are of."""
    channels: tuple[str, ...] = ()
    """Names of the channels, where they were given."""
    group: NDArray[np.int64] | None = field(default=None, repr=False)
    """Number of the set of parameters of each sample, where it is known.  [samples]"""
    version: str = VERSION
    """Of the formulas."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each feature."""
        return tuple(column.name for column in self.columns)

    @property
    def families(self) -> tuple[str, ...]:
        """Family of each feature."""
        return tuple(column.family for column in self.columns)

    @property
    def differentiable(self) -> tuple[bool, ...]:
        """Whether each feature has a gradient with respect to the fields."""
        return tuple(column.differentiable for column in self.columns)

    def take(self, samples: NDArray[np.int64]) -> Self:
        """Return the features of some samples."""
        group = None if self.group is None else self.group[samples]
        return replace(self, values=self.values[torch.from_numpy(samples).to(self.values.device)], group=group)

    def column(self, name: str) -> Tensor:
        """Return one feature.  [samples]"""
        if name not in self.names:
            raise ConfigError(f"there is no feature {name!r} here{did_you_mean(name, self.names)}")
        return self.values[:, self.names.index(name)]

    def frame(self) -> pd.DataFrame:
        """Return them as a table."""
        return pd.DataFrame(self.values.detach().cpu().numpy(), columns=list(self.names))


def feature_set(
    fields: Samples | Tensor | NDArray[np.floating[Any]],
    families: Sequence[str] = BEHAVIOUR,
    channels: Sequence[str] = (),
    *,
    space: ParameterSpace | None = None,
    n_weights: int | None = None,
    batch_size: int = 8,
) -> Features:
    """Return the features of trajectories; where fields are tensors that carry a gradient, so do the features.

    A feature that is not defined for such fields is absent: correlations between channels where there is one, what
    needs two axes of space where there is one.

    Args:
        fields: Samples, or fields [samples, steps + 1, channels, x] or [samples, steps + 1, channels, x, y].
        families: Of ``"initial"``, ``"summary"``, ``"temporal"`` and ``"architecture"``, in any order.
        channels: Names of the channels, for messages and so that a tokenizer can tell them apart.
        space: The parameters of samples, for ``"architecture"``.
        n_weights: Weights of the operator, for ``"architecture"``, where it is a network.
        batch_size: Samples at a time; it changes nothing but memory and time, and few of them fit into the cache.

    Raises:
        ConfigError: a family is unknown.
        DataError: the fields cannot be used, or parameters are missing.

    >>> noise = torch.randn(2, 9, 1, 16, generator=torch.Generator().manual_seed(0))
    >>> features = feature_set(noise, ["summary"])
    >>> features.values.shape, features.names[0]
    (torch.Size([2, 37]), 'summary.energy_growth')
    """
    wanted = _known_families(families)
    integer("batch_size", batch_size, low=1)
    known = fields if isinstance(fields, Samples) else None
    values = torch.as_tensor(fields if known is None else known.fields)
    _require_fields(values, channels)
    of_fields = [FAMILIES[name] for name in wanted if name in FAMILIES]
    parts = [_of_fields(part, of_fields) for part in values.split(batch_size)]
    columns, table = parts[0][0], torch.cat([part[1] for part in parts])
    if ARCHITECTURE in wanted:
        more = _of_parameters(known, space, n_weights)
        columns = [*columns, *(Column(f"{ARCHITECTURE}.{name}", ARCHITECTURE, differentiable=False) for name in more)]
        table = torch.cat((table, torch.stack(list(more.values()), 1).to(table)), 1)
    group = None if known is None else known.group
    return Features(table, tuple(columns), values.shape[1] - 1, tuple(channels), group)


def temporal_series(fields: Tensor) -> dict[str, Tensor]:
    """Return the temporal features of fields by name, [samples, steps + 1] each.

    Args:
        fields: [samples, steps + 1, channels, *grid]
    """
    _require_fields(fields, ())
    movie = Movie(fields, fields.ndim - 3)
    return {one.name: one.value(movie) for one in TEMPORAL.defined(fields.shape[2], movie.grid)}


def feature_table() -> pd.DataFrame:
    """Return the family, name and formula of each feature of fields, and whether it has a gradient."""
    rows = [
        {"family": family.name, "feature": one.name, "formula": one.formula, "differentiable": one.differentiable}
        for family in FAMILIES.values()
        for one in family.members.values()
    ]
    return pd.DataFrame(rows)


def _of_fields(fields: Tensor, families: Sequence[Family[Any]]) -> tuple[list[Column], Tensor]:
    """Return the features of some samples, [samples, features]."""
    n_axes = fields.ndim - 3
    movie = Movie(fields, n_axes)
    views = {INITIAL.name: Frames(fields[:, 0], n_axes), SUMMARY.name: movie, TEMPORAL.name: movie}
    columns: list[Column] = []
    values = [fields.new_zeros(len(fields), 0)]
    for family in families:
        for one in family.defined(fields.shape[2], movie.grid):
            found = one.value(views[family.name])
            names = [f"{family.name}.{one.name}"]
            if family is TEMPORAL:
                found = cosine_coefficients(found)
                names = [f"{names[0]}.dct{k}" for k in range(COEFFICIENTS)]
            columns += [Column(name, family.name, one.differentiable, one.heavy) for name in names]
            values.append(found.view(len(fields), len(names)))
    return columns, torch.cat(values, 1)


def _of_parameters(known: Samples | None, space: ParameterSpace | None, n_weights: int | None) -> dict[str, Tensor]:
    if known is None or space is None:
        raise DataError("the family 'architecture' is of parameters: give Samples as fields, and their space")
    return architecture_features(known.parameters, space, n_weights)


def _known_families(families: Sequence[str]) -> list[str]:
    known = (*FAMILIES, ARCHITECTURE)
    for name in families:
        if name not in known:
            raise ConfigError(f"there is no family of features {name!r}{did_you_mean(name, known)}")
    if not families or len(set(families)) < len(families):
        raise ConfigError(f"families must be different ones of {', '.join(known)}, got {list(families)}")
    return [name for name in known if name in families]


def _require_fields(fields: Tensor, channels: Sequence[str]) -> None:
    shape = tuple(fields.shape)
    if fields.ndim not in {4, 5} or not fields.is_floating_point():
        raise DataError(
            "fields must be floating-point numbers of shape [samples, steps + 1, channels, x] or [..., x, y], got "
            f"{fields.dtype} {shape}"
        )
    if channels and len(channels) != fields.shape[2]:
        raise DataError(f"fields {shape} have {fields.shape[2]} channels, but {len(channels)} names: {list(channels)}")
    if len(fields) == 0 or fields.shape[1] <= LEAST_STEPS or min(shape[3:]) < LEAST_POINTS:
        raise DataError(
            f"features need a sample, {LEAST_STEPS} steps behind the initial field and {LEAST_POINTS} points along "
            f"each axis, got {shape}"
        )
    bad = ~fields.detach().isfinite().flatten(1).all(1)
    if bad.any():
        raise DataError(f"fields of sample {int(bad.nonzero()[0])} are not finite: leave this sample out")
