"""The history of a training: what every family returns of it, as a table, and as files that any program can read."""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from potentia.errors import FileFormatError
from potentia.storage import load_json, write_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ENGINE_COLUMNS", "KeptHistory", "TrainingHistory", "columns_of", "export", "final_and_lowest", "read_exported",
    "rows_of", "table",
]  # fmt: skip

_TIMES = ["epoch_time", "forward_time", "backward_time"]
ENGINE_COLUMNS = ("learning_rate", "skipped", *_TIMES)
"""Columns that the engine adds to those of a family."""


@dataclass(frozen=True, eq=False, repr=False)
class TrainingHistory:
    """What the trainings of all families return: rows by epoch, and how it ended; a family adds its errors."""

    history: Sequence[Mapping[str, float]]
    """One row for each epoch: errors, learning_rate, times (s), skipped batches."""
    _: KW_ONLY
    ended: str = ""
    """Why the training ended before its last epoch: stopped for good, or interrupted; empty if it did not."""
    resumable: bool = False
    """Whether it was interrupted and can go on from its newest checkpoint."""
    seed: int | None = None
    """Seed of the weights, the order of the batches and all other draws."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", [dict(row) for row in self.history])

    @cached_property
    def timing(self) -> pd.DataFrame:
        """Seconds by epoch: epoch_time, forward_time, backward_time."""
        return self._table.reindex(columns=_TIMES)

    @property
    def learning_rate(self) -> list[float]:
        """Learning rate of each epoch, that of its last batch."""
        return list(self._table.reindex(columns=["learning_rate"])["learning_rate"])

    @cached_property
    def _table(self) -> pd.DataFrame:
        return table(self.history)

    @property
    def _rate_column(self) -> str | None:
        """Column of the learning rate if it changed: what is to be drawn."""
        rates = {rate for rate in self.learning_rate if math.isfinite(rate)}
        return "learning_rate" if len(rates) > 1 else None

    @property
    def _remarks(self) -> list[str]:
        """Lines on what did not go as usual."""
        lines = [f"It ended early: {self.ended}."] if self.ended else []
        skipped = sum(count for row in self.history if (count := row.get("skipped", 0.0)) > 0)  # not NaN
        if skipped:
            lines.append(f"{skipped:.0f} batches were left out because they were not finite.")
        return lines


@dataclass(frozen=True, eq=False, repr=False)
class KeptHistory(TrainingHistory, ABC):
    """What trainings return that choose the epoch whose weights are kept; a family says what its errors mean."""

    _: KW_ONLY
    kept_epoch: int | None = None
    """The epoch whose weights the trained model has."""

    @property
    @abstractmethod
    def stats(self) -> Mapping[str, float]:
        """``final_<column>`` of each column of errors; ``min_<column>`` and ``epoch_min_<column>`` of some."""

    @property
    @abstractmethod
    def _trained_on(self) -> str | None:
        """How many training samples there were, in words; None where that is not known."""

    @property
    @abstractmethod
    def _findings(self) -> list[str]:
        """Lines on the errors."""

    def __str__(self) -> str:
        kept = [] if self.kept_epoch is None else [f"The weights are those of epoch {self.kept_epoch}."]
        return "\n".join([self._title, *self._findings, *kept, *self._remarks])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._title}; print it for the errors)"

    def _lowest(self, column: str, what: str, unit: str = "") -> list[str]:
        """Lines on the lowest and the last value of a column; none where no epoch has had one."""
        lowest = self.stats.get(f"min_{column}", math.nan)
        if math.isnan(lowest):
            return []
        return [
            f"The lowest {what} was {lowest:.4g}{unit}, in epoch {self.stats[f'epoch_min_{column}']}.",
            f"In the last epoch it was {self.stats[f'final_{column}']:.4g}{unit}.",
        ]

    @property
    def _title(self) -> str:
        parts = [f"{len(self.history)} epoch{'s' * (len(self.history) != 1)}"]
        parts += [] if self._trained_on is None else [self._trained_on]
        parts += [] if self.seed is None else [f"seed {self.seed}"]
        return ", ".join(parts)


def table(history: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Return one row for each completed epoch, counted from 1; NaN where there is no value."""
    import pandas as pd  # takes a third of a second, which a process that only trains should not pay

    index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    return pd.DataFrame([dict(row) for row in history], index=index, dtype=float)


def columns_of(history: Sequence[Mapping[str, float]]) -> dict[str, Tensor]:
    """Turn rows into columns of float64, eight bytes a number: a long history must not outweigh the model."""
    names = {name: None for row in history for name in row}
    return {name: torch.tensor([row.get(name, math.nan) for row in history], dtype=torch.float64) for name in names}


def rows_of(columns: Mapping[str, Tensor]) -> list[dict[str, float]]:
    """Turn columns into rows, the inverse of `columns_of`."""
    values = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def final_and_lowest(errors: pd.DataFrame, marked: Sequence[str]) -> dict[str, float]:
    """Return ``final_<column>`` of each column, and ``min_<column>`` and ``epoch_min_<column>`` of the marked ones.

    The lowest value is that over the epochs in which it is finite, and of equally low epochs the first; NaN where there
    are none. A marked column that is not there is left out.
    """
    found: dict[str, float] = {}
    for column in errors:
        values = errors[column].to_numpy()
        found[f"final_{column}"] = float(values[-1]) if len(values) else math.nan
    for column in marked:
        if column in errors:
            finite = errors[column][np.isfinite(errors[column])]
            found[f"min_{column}"] = float(finite.min()) if len(finite) else math.nan
            found[f"epoch_min_{column}"] = int(finite.idxmin()) if len(finite) else math.nan
    return found


def export(
    history: Sequence[Mapping[str, float]],
    json_path: str | os.PathLike[str] | None = None,
    csv_path: str | os.PathLike[str] | None = None,
) -> None:
    """Write the history to the paths that are given, each file whole or not at all.

    JSON holds a list for each column; it is strict, so what is not finite becomes null. CSV has 17 significant digits,
    from which every number can be read back exactly, and an empty field for NaN.
    """
    frame = table(history)
    if json_path is not None:
        columns = {"epoch": frame.index.tolist(), **{name: _finite(frame[name].tolist()) for name in frame}}
        write_text(json_path, json.dumps(columns, allow_nan=False, indent=1) + "\n")
    if csv_path is not None:
        write_text(csv_path, frame.to_csv(float_format="%.17g", lineterminator="\n"))


def read_exported(path: str | os.PathLike[str]) -> list[dict[str, float]]:
    """Read the rows of a JSON file of `export`; null becomes NaN.

    Raises:
        FileFormatError: the file is cut off, or holds no columns of one length.
    """
    found = load_json(path)
    try:
        columns = {
            name: [math.nan if value is None else float(value) for value in column]
            for name, column in found.items()
            if name != "epoch"
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    except (AttributeError, TypeError, ValueError):
        raise FileFormatError(f"{path} is no history: wanted are columns of numbers, all of one length") from None


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
