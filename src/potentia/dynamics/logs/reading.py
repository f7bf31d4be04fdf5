"""Reading logs: a file is one log, a folder all that lie in it and below it."""

from __future__ import annotations

import os
from pathlib import Path

from potentia.dynamics.logs.columns import ColumnMap, read_column_map
from potentia.dynamics.logs.log import Log
from potentia.dynamics.logs.tables import read_csv, read_json_table, read_npz
from potentia.errors import DataError, FileFormatError

__all__ = ["LOG_SUFFIXES", "MAP_NAME", "log_files", "map_files", "read_log", "read_logs"]

_READERS = {".csv": read_csv, ".json": read_json_table, ".npz": read_npz}
LOG_SUFFIXES = tuple(_READERS)
"""Endings of files that are logs."""
MAP_NAME = "columns.yaml"
"""Of the file that says what the columns mean: it holds for its folder and those below that have none."""


def read_logs(source: str | os.PathLike[str], columns: ColumnMap | None = None) -> list[Log]:
    """Return the log of a file, or those of a folder in the order of their names.

    Args:
        source: A ``.csv``, ``.json`` or ``.npz`` file, or a folder with such files in it or in folders below it.
        columns: What the columns mean; None for ``columns.yaml`` beside the file or above it (up to ``source``), or for
            their own names.

    Raises:
        FileFormatError: there is no such file or folder, or a file cannot be read.
        DataError: there is no log in the folder; a column is missing; times go back or are there twice.
        ConfigError: ``columns.yaml`` is wrong.
    """
    root = Path(source)
    files = log_files(root)
    top = root if root.is_dir() else root.parent
    return [read_log(path, columns or _map_of(path, top), path.relative_to(top).as_posix()) for path in files]


def read_log(path: str | os.PathLike[str], columns: ColumnMap | None = None, name: str | None = None) -> Log:
    """Return the log of a file.

    Args:
        path: A ``.csv``, ``.json`` or ``.npz`` file.
        columns: What the columns mean; None for their own names.
        name: What the log is called; None for the name of the file.

    Raises:
        FileFormatError: the file cannot be read.
        DataError: a column is missing; times go back or are there twice.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise FileFormatError(f"{path} is no log: its name must end in {', '.join(_READERS)}")
    table = _READERS[path.suffix](path)
    if not table.rows:
        raise DataError(f"{path} has no rows")
    return (ColumnMap() if columns is None else columns).log_of(table, path.name if name is None else name)


def log_files(source: str | os.PathLike[str]) -> list[Path]:
    """Return the files of a folder and below it that are logs, or the one file; hidden ones are left out.

    Raises:
        FileFormatError: there is no such file or folder.
        DataError: there is none in the folder.
    """
    root = Path(source)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise FileFormatError(f"no such file or folder: {root}")
    found = [path for path in root.rglob("*") if path.suffix in _READERS and path.is_file()]
    seen = [path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    if not seen:
        raise DataError(f"there is no log in {root}: its files must end in {', '.join(_READERS)}")
    return sorted(seen)


def map_files(source: str | os.PathLike[str]) -> list[Path]:
    """Return the ``columns.yaml`` files that logs of this file or folder may be read by."""
    root = Path(source)
    return (
        sorted(root.rglob(MAP_NAME)) if root.is_dir() else [path for path in [root.parent / MAP_NAME] if path.exists()]
    )


def _map_of(path: Path, top: Path) -> ColumnMap | None:
    """Return the nearest map at or above the file, not above ``top``."""
    folder = path.parent
    while not (folder / MAP_NAME).is_file():
        if folder == top:
            return None
        folder = folder.parent
    return read_column_map(folder / MAP_NAME)
