"""Histories of trainings: columns to rows, and back from a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from potentia.errors import DataError, FileFormatError
from potentia.storage import load_json

__all__ = ["read_history", "rows_of"]

AENET_NAMES = {
    f"{split}_{quantity}_{measure}": f"{measure.upper()}{infix}_{split}"
    for split in ("train", "test")
    for quantity, infix in (("energy", ""), ("force", "_force"))
    for measure in ("mae", "rmse")
}
"""What ænet's PyTorch trainer calls a column → what it is called here."""


def rows_of(columns: Mapping[str, Iterable[float | None]]) -> list[dict[str, float]]:
    """Return a row for each epoch from columns of one length; None becomes NaN, and ænet's names become those of here.

    Raises:
        DataError: columns differ in length.

    >>> rows_of({"train_energy_rmse": [0.2, 0.1], "learning_rate": [1e-3, None]})
    [{'RMSE_train': 0.2, 'learning_rate': 0.001}, {'RMSE_train': 0.1, 'learning_rate': nan}]
    """
    values = {
        AENET_NAMES.get(name, name): [float("nan") if value is None else float(value) for value in column]
        for name, column in columns.items()
        if name != "epoch"
    }
    lengths = {name: len(column) for name, column in values.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns of a history must have one length, the number of epochs, got {lengths}")
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def read_history(path: str | os.PathLike[str]) -> list[dict[str, float]]:
    """Read the rows of a ``history.json`` that `export_history` wrote.

    Raises:
        FileFormatError: the file holds no such history.
    """
    found = load_json(path)
    if not _is_history(found):
        raise FileFormatError(f"{path} is no history: wanted is an object with a list of numbers for each column")
    return rows_of(found)


def _is_history(found: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(column, list) and all(value is None or isinstance(value, int | float) for value in column)
        for column in found.values()
    )
