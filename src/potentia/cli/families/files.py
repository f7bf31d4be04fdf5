"""Paths of data as they stand in settings or on a command line: files, folders and patterns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from potentia.checks import one_file
from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.storage import write_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["anchored", "expanded", "family_of_hdf5", "hdf5_keys", "own_file", "write_table"]

PARTS, FIELDS = {"train", "test", "val"}, {"inputs", "outputs"}
"""All of these groups are in a file of trajectories; one of these in a file of fields."""
HDF5_BEGINS = b"\x89HDF\r\n\x1a\n"


def anchored(path: str, root: Path) -> str:
    """Return a path whose beginning is ``root``, where it is relative.

    Raises:
        ConfigError: it is no text, as what stands in a file may be.
    """
    if not isinstance(path, str):
        raise ConfigError(f"data: a path must be text, got {path!r}")
    return os.path.normpath(root / Path(path).expanduser())


def expanded(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files that are meant, each once: of a folder all but the hidden ones, of a pattern all it fits.

    Raises:
        DataError: one means no file.
    """
    found: dict[Path, None] = {}
    for one in paths:
        files = _files(Path(one))
        if not files and Path(one).is_dir():
            raise DataError(f"there is no file in the folder {one}")
        if not files:
            raise DataError(f"there is no file {one} (looked in {Path.cwd()})")
        found |= dict.fromkeys(files)
    return list(found)


def hdf5_keys(path: Path) -> set[str]:
    """Return the names of the first level of an HDF5 file, and those of its attributes; nothing of another file."""
    if not path.is_file():
        return set()
    with path.open("rb") as file:
        if file.read(len(HDF5_BEGINS)) != HDF5_BEGINS:
            return set()
    import h5py

    try:
        with h5py.File(path, "r", locking="best-effort") as found:
            return {*found, *found.attrs}
    except OSError as error:
        raise FileFormatError(f"{path} is a truncated HDF5 file: {error}") from None


def family_of_hdf5(path: Path) -> str | None:
    """Return the family that a file is the data of; None if it is no HDF5, or of another maker that nobody knows."""
    keys = hdf5_keys(path)
    if keys >= PARTS:
        return "trajectories"
    return "operators" if FIELDS & keys else None


def own_file(paths: Sequence[Path], family: str) -> Path:
    """Return the one file of data of a family.

    Raises:
        ConfigError: there are several.
        DataError: it is a folder, or holds the data of another family.
    """
    path = one_file(paths)
    if path.is_dir():
        raise DataError(f"{path} is a folder: data of {family} are one HDF5 file")
    other = family_of_hdf5(path)
    if other not in {None, family}:
        raise DataError(f"{path} holds data of {other}, but these are settings or a model of {family}")
    return path


def write_table(out: Path, table: pd.DataFrame, also: Sequence[str] = ()) -> None:
    """Write a table as CSV, with 17 digits.

    Raises:
        ConfigError: the name of the file has another ending; ``also`` names those that the family has besides.
    """
    if out.suffix != ".csv":
        raise ConfigError(
            f"{out}: predictions are written as {', '.join(['.csv', *also])}; choose one of these endings"
        )
    write_text(out, table.to_csv(index=False, float_format="%.17g", lineterminator="\n"))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith("."))
    if path.is_file():
        return [path]
    top = Path(path.anchor)
    return sorted(one for one in top.glob(str(path.relative_to(path.anchor))) if one.is_file())
