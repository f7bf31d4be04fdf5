"""Tables of numbers in .csv, .json and .npz files, as they stand there."""

from __future__ import annotations

import csv
import itertools
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.checks import did_you_mean
from potentia.errors import DataError, FileFormatError
from potentia.storage import load_json

__all__ = ["Table", "read_csv", "read_json_table", "read_npz"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Columns of a file."""

    path: Path
    """The file."""
    rows: int
    """Of every column."""
    columns: dict[str, Floats] = field(default_factory=dict)
    """Name → numbers.  [rows] each"""
    text: dict[str, str] = field(default_factory=dict)
    """Column that is no numbers → what stands in it."""
    misfits: dict[str, str] = field(default_factory=dict)
    """Column that cannot be used → why."""

    def column(self, name: str) -> Floats:
        """Return a column.  [rows]

        Raises:
            DataError: there is none of this name, or it is no column of numbers.
        """
        if name in self.columns:
            return self.columns[name]
        if name in self.text:
            raise DataError(f"{self.path}: column {name!r} is text{self.text[name]}; it must be numbers")
        if name in self.misfits:
            raise DataError(f"{self.path}: {name!r} {self.misfits[name]}")
        raise DataError(f"{self.path} has no column {name!r}{did_you_mean(name, self.columns)}")


def read_csv(path: Path) -> Table:
    """Read columns with a header; separated by commas, semicolons or tabs.

    Lines that begin with ``#`` are comments. Where no header follows them, the last one is it.

    Raises:
        FileFormatError: there is no header, lines differ in their number of fields, or the last one breaks off.
    """
    header, separator, skipped = _csv_header(path)
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            comment="#",
            header=None,
            skiprows=skipped,
            skipinitialspace=True,
            low_memory=False,
            encoding="utf-8-sig",
        )
    except pd.errors.EmptyDataError:
        raise FileFormatError(f"{path} holds no rows") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} cannot be read as columns: {error}") from None
    last = max(place for place, name in enumerate(header) if name)
    if frame.shape[1] <= last or frame.iloc[:, last].isna().any():
        _require_whole_lines(path, separator, skipped, last + 1)
    named = [name for name in header if name]
    if frame.shape[1] < len(named) or any(frame.iloc[:, len(header) :].notna().any()):
        raise FileFormatError(f"{path}: the header has {len(header)} fields, the rows have {frame.shape[1]}")
    _require_different(path, named)
    columns: dict[str, Floats] = {}
    text: dict[str, str] = {}
    for place, name in enumerate(header):
        values = frame.iloc[:, place] if name else None
        if values is not None and pd.api.types.is_numeric_dtype(values.dtype):
            columns[name] = values.to_numpy(dtype=np.float64)
        elif values is not None:
            text[name] = _first_text(values)
    return Table(path, len(frame), columns, text)


def read_json_table(path: Path) -> Table:
    """Read ``{"time": [...], "v": [...]}``, the same below ``"columns"``, or a list of ``{"time": ..., "v": ...}``.

    Raises:
        FileFormatError: it is nothing of these.
    """
    found = load_json(path)
    if isinstance(found, Mapping) and isinstance(found.get("columns"), Mapping):
        found = found["columns"]
    if isinstance(found, list) and all(isinstance(row, Mapping) for row in found):
        names = dict.fromkeys(itertools.chain.from_iterable(found))
        found = {name: [row.get(name) for row in found] for name in names}
    if not isinstance(found, Mapping) or not found:
        raise FileFormatError(f"{path} holds no columns: it must be name → list of numbers, or a list of rows")
    return _table_of(path, {str(name): _json_array(value) for name, value in found.items()})


def read_npz(path: Path) -> Table:
    """Read the arrays of a file; ``states[0]`` is the first row or column of the array ``states``.

    An array with two axes is cut along the one that is not the time; one entry less than rows is what was held between
    them, so its last row is NaN. A single number holds for all rows.

    Raises:
        FileFormatError: it is no such file, or holds Python objects, which are never loaded.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path} is no .npz file of plain arrays: {error}") from None
    return _table_of(path, arrays)


def _csv_header(path: Path) -> tuple[list[str], str, int]:
    """Return names, separator, and how many lines stand before the first row."""
    comment, first, skipped = "", "", 0
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for line in file:
            if line.strip() and not line.lstrip().startswith("#"):
                first = line
                break
            comment, skipped = line.lstrip().lstrip("#") if line.strip() else comment, skipped + 1
    if not first:
        raise FileFormatError(f"{path} holds no rows")
    separator = max(",;\t", key=first.count)
    above, names = _fields(comment, separator), _fields(first, separator)
    if not any(_is_number(name) for name in names):
        return names, separator, skipped + 1
    if len(above) == len(names) and not any(_is_number(name) for name in above):
        return above, separator, skipped
    raise FileFormatError(f"{path} has no header: its first line must name the columns, such as time,x,y")


def _require_whole_lines(path: Path, separator: str, skipped: int, wanted: int) -> None:
    """Raise `FileFormatError` where a line has fewer fields than so many: what is missing would be read as NaN."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            row = line.partition("#")[0].strip(" \r\n")
            n = len(_fields(row, separator))
            if number <= skipped or not row or n >= wanted:
                continue
            if not line.endswith("\n"):
                raise FileFormatError(
                    f"{path}, line {number}: the file breaks off inside of this row, after {n} of {wanted} fields: "
                    "remove the row, or write the log again"
                )
            raise FileFormatError(
                f"{path}, line {number} has {n} fields, the header has {wanted}: remove the row, or write what is "
                "missing as empty fields"
            )


def _fields(line: str, separator: str) -> list[str]:
    fields = next(csv.reader([line.strip(" \r\n")], delimiter=separator, skipinitialspace=True), [])
    return [part.strip() for part in fields]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _first_text(values: Any) -> str:
    """Return the first entry that is no number, as messages tell it, and its row."""
    row = int((pd.to_numeric(values, errors="coerce").isna() & values.notna()).to_numpy().argmax())
    return f" ({str(values.iloc[row])!r} in row {row})"


def _require_different(path: Path, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileFormatError(f"{path}: columns are there twice: {', '.join(twice)}")


def _json_array(value: Any) -> NDArray[Any]:
    """Return a value of JSON as an array; of text where it is no numbers."""
    try:
        return np.array(value, dtype=np.float64)  # None is NaN
    except (TypeError, ValueError):
        return np.array(str(value))


def _table_of(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Table:
    rows = max((max(value.shape) for value in arrays.values() if value.ndim and value.dtype.kind in "fiub"), default=0)
    if not rows:
        raise FileFormatError(f"{path} holds no columns of numbers: where it is no log, take it out of the folder")
    table = Table(path, rows, text={name: "" for name, value in arrays.items() if value.dtype.kind not in "fiub"})
    for name, value in arrays.items():
        if name in table.text:
            continue
        if value.ndim == 0:
            table.columns[name] = np.full(rows, float(value))
        elif value.ndim == 1 and len(value) in {rows, rows - 1}:
            table.columns[name] = _filled(value, rows)
        elif value.ndim == 2 and any(n in {rows, rows - 1} for n in value.shape):
            lines = value if value.shape[1] in {rows, rows - 1} else value.T  # [columns, rows]
            table.columns.update({f"{name}[{k}]": _filled(line, rows) for k, line in enumerate(lines)})
        else:
            table.misfits[name] = f"has shape {value.shape}, and the log has {rows} rows"
    return table


def _filled(value: NDArray[Any], rows: int) -> Floats:
    """Return a column of so many rows, its end filled with NaN."""
    whole = np.full(rows, np.nan)
    whole[: len(value)] = value
    return whole
