"""The history of a training: what every family returns of it, as a table, and as files that any program can read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from potentia.storage import write_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TrainingHistory", "columns_of", "export", "final_and_lowest", "rows_of", "table"]


_TIMES = ["epoch_time", "forward_time", "backward_time"]


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


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
