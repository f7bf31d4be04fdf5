"""Tables as people and programs read them on the standard output."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from potentia.words import worded

__all__ = ["finite", "records", "shown"]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row after the other, as strict JSON has them: what is not finite is null."""
    found: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return found


def shown(table: pd.DataFrame, meant: Mapping[str, str] | None = None) -> str:
    """Return aligned columns, metrics in words; four digits of each number.

    Args:
        table: With names as programs have them.
        meant: What names mean here, see `potentia.words.in_words`.
    """
    return worded(table, meant or {}).to_string(index=False, na_rep="", float_format="{:.4g}".format)


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return numbers as strict JSON has them: what is not finite is None."""
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}
