"""The history of a training as a table, and as files that any program can read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence

import pandas as pd

from potentia.storage import write_text

__all__ = ["export", "table"]


def table(history: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Return one row for each completed epoch, counted from 1; NaN where there is no value."""
    index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    return pd.DataFrame([dict(row) for row in history], index=index, dtype=float)


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
