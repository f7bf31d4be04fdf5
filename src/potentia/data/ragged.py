"""A store of ragged arrays in one HDF5 file: tables whose rows have any length, laid end to end; opened in no time.

A table is a group, a column a dataset [rows, ...]; a ragged column has ``values`` [items, ...], all rows laid end to
end, and ``offsets`` [rows + 1]. Everything is chunked and has checksums. The attributes ``format``, ``kind`` and
``version`` say what the file is, the dataset ``about`` holds the rest as JSON. `potentia.data.ragged_writer` writes it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.errors import DataError, FileFormatError

__all__ = ["FORMAT", "Column", "Header", "Ragged", "RaggedFile", "Table"]

FORMAT = "potentia.ragged"
GAP = 8
"""Rows that are not asked for are read along when there are no more of them between two that are."""


@dataclass(frozen=True)
class Column:
    """One quantity of each row."""

    dtype: str
    """As NumPy writes it, e.g. ``"<f8"``."""
    shape: tuple[int, ...] = ()
    """Shape of an item."""
    ragged: bool = False
    """Whether a row has any number of items, not one."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of different lengths, laid end to end."""

    values: NDArray[Any]
    """[items, ...]"""
    lengths: NDArray[np.int64]
    """Number of items of each row.  [rows]"""

    @property
    def start(self) -> NDArray[np.int64]:
        """First item of each row, and the number of items.  [rows + 1]"""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    def rows(self) -> list[NDArray[Any]]:
        """Return each row."""
        return np.split(self.values, self.start[1:-1]) if len(self.lengths) else []

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """Return ``rows`` in the order given."""
        if np.array_equal(rows, np.arange(len(self.lengths))):
            return self
        lengths, first = self.lengths[rows], self.start[rows]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Ragged(self.values[np.repeat(first, lengths) + within], lengths)

    @classmethod
    def of(cls, rows: Sequence[NDArray[Any]], column: Column) -> Ragged:
        """Lay ``rows`` end to end, in the type of ``column``."""
        nothing = np.zeros((0, *column.shape), dtype=column.dtype)
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        return cls(np.concatenate([nothing, *rows]).astype(column.dtype, copy=False), lengths)


Table: TypeAlias = dict[str, Any]
"""Arrays [rows, ...] and `Ragged` by the name of their column."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself."""

    kind: str
    version: int
    tables: dict[str, dict[str, Column]]
    rows: dict[str, int]
    """Number of rows of each table."""
    settings: dict[str, Any]
    """Plain settings of whoever wrote the file."""
    sha256: str
    """Mark of all that is in the tables: the same content, the same mark."""


class RaggedFile:
    """A file to read from, in any thread and any process: each process opens it for itself when it first reads.

    Args:
        path: The file; a relative path is made absolute at once.
        kinds: What the file may be.
        version: The newest layout that the caller knows.

    Raises:
        FileFormatError: there is no such file, or it is truncated, damaged, foreign, of another kind or newer.
    """

    def __init__(self, path: str | os.PathLike[str], *kinds: str, version: int = 1) -> None:
        self.path = Path(path).absolute()
        self._kinds = kinds
        self._version = version
        self._lock = threading.RLock()
        self._handle: h5py.File | None = None
        self._nodes: dict[str, h5py.Dataset] = {}  # kept, because what HDF5 has unpacked is lost with them
        self._process = 0
        self._header: Header | None = None
        self._open()

    @property
    def header(self) -> Header:
        """What the file says of itself."""
        assert self._header is not None
        return self._header

    def n_rows(self, table: str) -> int:
        """Return the number of rows of a table."""
        return self.header.rows[table]

    def close(self) -> None:
        """Close the file; it is opened again when something is read."""
        with self._lock:
            self._nodes.clear()
            if self._handle is not None:
                self._handle.close()
            self._handle = None

    def read(self, table: str, names: Sequence[str], start: int, stop: int) -> Table:
        """Return columns of the rows from ``start`` to ``stop``."""
        columns = self.header.tables[table]
        with self._lock:
            handle = self._open()
            with self._reading():
                return {name: self._read(handle, f"{table}/{name}", columns[name], start, stop) for name in names}

    def gather(self, table: str, names: Sequence[str], rows: ArrayLike) -> Table:
        """Return columns of any rows in the order given; rows that are near each other are read together.

        Raises:
            DataError: a row is not there.
        """
        wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= self.n_rows(table)):
            bad = int(wanted.max() if wanted.min() >= 0 else wanted.min())
            raise DataError(f"{self.path} has {self.n_rows(table)} {table}, counted from 0; there is no number {bad}")
        known = np.unique(wanted)
        cuts = np.flatnonzero(np.diff(known) > GAP + 1) + 1
        runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(known, cuts) if len(run)] or [(0, 0)]
        parts = [self.read(table, names, *run) for run in runs]
        read = np.concatenate([np.arange(*run) for run in runs])
        at = np.searchsorted(read, wanted)
        return {name: _picked([part[name] for part in parts], at) for name in names}

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        return {**state, "_lock": None, "_handle": None, "_nodes": {}, "_process": 0}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def _open(self) -> h5py.File:
        with self._lock:
            if self._handle is not None and self._process != os.getpid():  # a fork: the handle is its parent's
                self.close()
            if self._handle is None:
                handle = self._opened()
                with self._reading():
                    header = self._read_header(handle)
                if self._header is not None and header.sha256 != self._header.sha256:
                    handle.close()
                    raise FileFormatError(f"{self.path} was built again with other content since it was opened here")
                self._handle, self._process, self._header = handle, os.getpid(), header
            return self._handle

    def _opened(self) -> h5py.File:
        if not self.path.is_file():
            raise FileFormatError(f"no such file: {self.path}")
        try:
            return h5py.File(self.path, "r", locking="best-effort")
        except OSError as error:
            whose = "truncated or damaged" if h5py.is_hdf5(self.path) else "truncated or no HDF5 file at all"
            raise FileFormatError(
                f"{self.path} cannot be opened: it is {whose} ({error}); build it, or copy it, again"
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except FileFormatError:
            raise
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise FileFormatError(f"{self.path} is damaged: {error}; build it, or copy it, again") from error

    def _read_header(self, handle: h5py.File) -> Header:
        if handle.attrs.get("format") != FORMAT:
            raise FileFormatError(f"{self.path} is an HDF5 file, but potentia did not write it")
        kind, version = str(handle.attrs["kind"]), int(handle.attrs["version"])
        if kind not in self._kinds:
            raise FileFormatError(f"{self.path} holds a {kind}, not a {' or '.join(self._kinds)}")
        if version > self._version:
            raise FileFormatError(
                f"{self.path} is a {kind} of version {version}, written by potentia "
                f"{handle.attrs['potentia_version']}; this release reads up to version {self._version}: update potentia"
            )
        about = json.loads(handle["about"][()].tobytes())
        tables = {
            table: {name: Column(dtype, tuple(shape), ragged) for name, (dtype, shape, ragged) in columns.items()}
            for table, columns in about["tables"].items()
        }
        for table, columns in tables.items():
            for name, column in columns.items():
                _require_rows(handle[table][name], column, about["rows"][table], f"{table}/{name}")
        return Header(kind, version, tables, about["rows"], about["settings"], about["sha256"])

    def _read(self, handle: h5py.File, name: str, column: Column, start: int, stop: int) -> NDArray[Any] | Ragged:
        if not column.ragged:
            rows: NDArray[Any] = self._node(handle, name)[start:stop]
            return rows
        offsets, values = self._node(handle, f"{name}/offsets")[start : stop + 1], self._node(handle, f"{name}/values")
        lengths = np.diff(offsets)
        if len(offsets) != stop - start + 1 or (lengths < 0).any() or offsets[-1] > len(values):
            raise FileFormatError(f"{self.path} is damaged: {name} does not add up; build it, or copy it, again")
        return Ragged(values[offsets[0] : offsets[-1]], lengths)

    def _node(self, handle: h5py.File, name: str) -> h5py.Dataset:
        if name not in self._nodes:
            self._nodes[name] = handle[name]
        return self._nodes[name]


def _require_rows(node: Any, column: Column, rows: int, name: str) -> None:
    """Raise ValueError unless a column has the type and the number of rows that the file says."""
    values = node["values"] if column.ragged else node
    there = len(node["offsets"]) - 1 if column.ragged else len(node)
    if values.dtype != np.dtype(column.dtype) or values.shape[1:] != column.shape or there != rows:
        raise ValueError(f"{name} is {values.dtype} {values.shape} with {there} rows, not {column} with {rows}")


def _picked(parts: Sequence[Any], at: NDArray[np.int64]) -> NDArray[Any] | Ragged:
    if not isinstance(parts[0], Ragged):
        whole: NDArray[Any] = np.concatenate(parts)
        return whole[at]
    joined = Ragged(np.concatenate([p.values for p in parts]), np.concatenate([p.lengths for p in parts]))
    return joined.take(at)
