"""Fields over time with the parameters behind them, and the parts that share no parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.errors import DataError
from potentia.operators.space import ParameterSpace

__all__ = ["PARTS", "OperatorData", "Samples"]

PARTS = ("train", "val", "test", "extrapolation")
"""Fitted; model selection; held out for every figure; held out and outside of the range of the others."""

Which: TypeAlias = slice | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Samples:
    """Fields on one grid at equal steps of time; entry 0 along the steps is the initial field."""

    fields: NDArray[np.float32] = field(repr=False)
    """[samples, steps + 1, channels, x] or [samples, steps + 1, channels, x, y]"""
    parameters: NDArray[np.float64] = field(repr=False)
    """Values; of a choice its place in the list.  [samples, parameters]"""
    group: NDArray[np.int64] = field(repr=False)
    """Number of the set of parameters: samples of one group are never in two parts.  [samples]"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", np.ascontiguousarray(self.fields, dtype=np.float32))
        object.__setattr__(self, "parameters", np.ascontiguousarray(self.parameters, dtype=np.float64))
        object.__setattr__(self, "group", np.ascontiguousarray(self.group, dtype=np.int64))
        if self.fields.ndim not in {4, 5}:
            raise DataError(
                f"`fields` must have shape [samples, steps + 1, channels, x] or [..., x, y], got {self.fields.shape}"
            )
        n = len(self.fields)
        if self.parameters.ndim != 2 or len(self.parameters) != n or self.group.shape != (n,):
            raise DataError(
                f"{n} samples need `parameters` [{n}, parameters] and `group` [{n}], got {self.parameters.shape} and "
                f"{self.group.shape}"
            )
        if self.fields.shape[1] < 2:
            raise DataError("`fields` need an initial field and at least one step after it")
        for name in ("fields", "parameters"):
            values = getattr(self, name).reshape(n, -1)
            if not np.isfinite(values).all():
                sample = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
                raise DataError(f"`{name}` of sample {sample} is not finite: leave this sample out")

    def __len__(self) -> int:
        return len(self.fields)

    def marks(self) -> list[str]:
        """Return a mark of each sample, by its initial fields and parameters.  [samples]"""
        whole = zip(self.initial, self.parameters, strict=True)
        return [hashlib.sha256(field.tobytes() + values.tobytes()).hexdigest()[:16] for field, values in whole]

    @property
    def steps(self) -> int:
        """Steps behind the initial field."""
        return int(self.fields.shape[1]) - 1

    @property
    def grid(self) -> tuple[int, ...]:
        """Points along each axis of space."""
        return tuple(self.fields.shape[3:])

    @property
    def initial(self) -> NDArray[np.float32]:
        """Initial fields.  [samples, channels, *grid]"""
        first: NDArray[np.float32] = self.fields[:, 0]
        return first

    def take(self, which: Which) -> Self:
        """Return some of the samples."""
        return replace(self, fields=self.fields[which], parameters=self.parameters[which], group=self.group[which])

    def first_steps(self, steps: int) -> Self:
        """Return the samples with their first steps only."""
        if not 1 <= steps <= self.steps:
            raise DataError(f"these samples have {self.steps} steps, so 1 to {self.steps} can be kept, not {steps}")
        return replace(self, fields=self.fields[:, : steps + 1])


@dataclass(frozen=True, eq=False)
class OperatorData:
    """Samples in parts that share no set of parameters."""

    train: Samples
    """Is fitted."""
    val: Samples
    """Model selection goes by it."""
    test: Samples
    """Held out: every reported figure is of it."""
    space: ParameterSpace
    """The parameters, in the order of their columns."""
    channels: tuple[str, ...]
    """Names of the fields."""
    time_step: float
    """Time between two fields."""
    name: str
    """What the data are called."""
    system: str | None = None
    """Name of the system that made the data, where that is known."""
    extrapolation: Samples | None = None
    """Held out too, with parameters outside the range of the others; None where there is none."""

    def __post_init__(self) -> None:
        seen: dict[int, str] = {}
        for name, part in self.parts().items():
            if part.fields.shape[2:] != self.train.fields.shape[2:] or part.fields.shape[2] != len(self.channels):
                raise DataError(
                    f"`{name}` must have {len(self.channels)} channels on the grid {self.train.grid}, got fields "
                    f"{part.fields.shape}"
                )
            if part.parameters.shape[1] != len(self.space):
                raise DataError(f"`{name}` must have {len(self.space)} parameters, got {part.parameters.shape[1]}")
            for number in np.unique(part.group).tolist():
                if number in seen:
                    raise DataError(
                        f"parameters of group {number} are in `{seen[number]}` and `{name}`: split by group, else "
                        "held-out errors tell what was learned by heart"
                    )
                seen[number] = name

    def parts(self) -> dict[str, Samples]:
        """Return the parts that are there by name."""
        found = {"train": self.train, "val": self.val, "test": self.test}
        return found if self.extrapolation is None else {**found, "extrapolation": self.extrapolation}

    def mark(self) -> str:
        """Return a hash of all that it holds."""
        digest = hashlib.sha256(repr((self.channels, self.time_step, self.space)).encode())
        for name, part in self.parts().items():
            for array in (part.fields, part.parameters, part.group):
                digest.update(repr((name, array.shape)).encode())
                digest.update(array.tobytes())
        return digest.hexdigest()
