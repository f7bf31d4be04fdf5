"""Text files of columns between blanks, as ænet writes them: 17 digits, so that reading gives back every bit.

The first line names the columns after a ``#``. The last column is a name that may hold blanks; a name that would not
survive otherwise (line breaks, blanks at its ends, nothing at all) is written as a JSON string.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from potentia.errors import DataError, FileFormatError
from potentia.storage import write_text

__all__ = ["Kind", "header_of", "number_column", "read_columns", "text_column", "whole_column", "write_columns"]

Kind: TypeAlias = Callable[[str], Any]
"""From the text of one field to its value."""


def number_column(text: str) -> float:
    """Read a number."""
    return float(text)


def whole_column(text: str) -> int:
    """Read a whole number."""
    return int(text)


def text_column(text: str) -> str:
    """Read a word or a name."""
    return str(json.loads(text)) if text.startswith('"') else text


DTYPES: dict[Kind, str] = {number_column: "float64", whole_column: "int64", text_column: "str"}


def write_columns(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write ``table``, whole or not at all; its last column holds names.

    Raises:
        DataError: the name of a column, or a word in another column than the last, holds a blank.
    """
    *inner, last = [str(name) for name in table.columns]
    columns = []
    for k, name in enumerate(inner):
        head = _word(name, "the names of columns")
        columns.append(_right([head if k else f"# {head}", *_texts(table[name], name)]))
    columns.append([last, *(_quoted(name) for name in table[last])])
    write_text(path, "".join(f"{'  '.join(row)}\n" for row in zip(*columns, strict=True)))


def header_of(path: str | os.PathLike[str]) -> str:
    """Return the first line of a file, or raise `FileFormatError` if it names no columns."""
    with Path(path).open(encoding="utf-8") as file:
        line = next((line.strip() for line in file if line.strip()), "")
    if not line.startswith("#"):
        raise FileFormatError(
            f"{path} is no table: its first line must name the columns after a '#', got {line[:60]!r}"
        )
    return line


def read_columns(path: str | os.PathLike[str], kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Read the columns ``kinds`` (name → how to read a field); the last takes the rest of each line.

    Raises:
        FileFormatError: a line has too few columns or a wrong number, or the file is cut off.
    """
    text = Path(path).read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        raise FileFormatError(f"{path} is cut off: its last line has no end. Write it again")
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = line.strip().split(None, len(kinds) - 1)
        if len(fields) != len(kinds):
            raise FileFormatError(
                f"{path}, line {number}: {len(kinds)} columns are named ({', '.join(kinds)}), got {len(fields)}"
            )
        try:
            rows.append([kind(field) for kind, field in zip(kinds.values(), fields, strict=True)])
        except ValueError as error:
            raise FileFormatError(f"{path}, line {number}: {error}") from None
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [[] for _ in kinds]
    return pd.DataFrame(
        {
            name: pd.Series(list(column), dtype=DTYPES[kind])
            for (name, kind), column in zip(kinds.items(), columns, strict=True)
        }
    )


def _texts(column: pd.Series, name: str) -> list[str]:
    values = column.tolist()
    if column.dtype.kind == "f":
        return [f"{value:.16E}" for value in values]
    return [_word(str(value), f"column {name!r}") for value in values]


def _word(text: str, where: str) -> str:
    if text.split() != [text]:
        raise DataError(f"{text!r} in {where} holds a blank, which parts columns: rename it")
    return text


def _right(texts: list[str]) -> list[str]:
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]


def _quoted(name: str) -> str:
    plain = name and name.isprintable() and name == name.strip() and not name.startswith('"')
    return name if plain else json.dumps(name)
