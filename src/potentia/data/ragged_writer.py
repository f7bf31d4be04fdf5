"""Writing a store of ragged arrays: block after block, and the file is there whole at the end or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from potentia.checks import choice, integer
from potentia.data.ragged import FORMAT, Column, Ragged, Table
from potentia.data.sink import Sink
from potentia.storage import release, remove_leftovers, replacing

__all__ = ["COMPRESSIONS", "RaggedWriter", "write_ragged"]

COMPRESSIONS: dict[str, str | None] = {"zlib": "gzip", "gzip": "gzip", "lzf": "lzf", "none": None}
"""What HDF5 calls a compression, by our name."""
CHUNK = 2**16
"""Bytes that are compressed, and read, at a time."""
BUFFER = 2**22
"""Bytes of a table that are collected before they are written."""


class RaggedWriter:
    """Takes blocks of rows for the tables of one file; `write_ragged` makes one."""

    def __init__(
        self, file: h5py.File, sink: Sink, tables: Mapping[str, Mapping[str, Column]], filters: Mapping[str, Any]
    ) -> None:
        self.rows = dict.fromkeys(tables, 0)
        """Number of rows so far, by table."""
        self.settings: dict[str, Any] = {}
        """Plain settings to be kept in the file."""
        self.attributes: dict[str, Any] = {}
        """Attributes of the file for readers that are not ours."""
        self._file, self._sink, self._tables = file, sink, tables
        self._waiting: dict[str, list[Table]] = {table: [] for table in tables}
        self._digests: dict[str, Any] = {}
        for table, columns in tables.items():
            group = file.create_group(table)
            for name, column in columns.items():
                _create(group, name, column, filters)
                self._digests |= {f"{table}/{name}/{part}": hashlib.sha256() for part in ("lengths", "values")}

    def append(self, table: str, block: Table) -> None:
        """Add a block of rows: an array [rows, ...] or a `Ragged` for each column.

        Raises:
            OSError: the disk is full, or the like.
        """
        waiting = self._waiting[table]
        waiting.append({name: _checked(block[name], column) for name, column in self._tables[table].items()})
        self.rows[table] += len(_lengths(next(iter(waiting[-1].values()))))
        if sum(_flat(part).nbytes for each in waiting for part in each.values()) > BUFFER:
            self._flush(table)

    def finish(self, kind: str, version: int) -> None:
        """Write what waits, and what the file says of itself."""
        for table in self._tables:
            self._flush(table)
        marks = {name: digest.hexdigest() for name, digest in self._digests.items()}
        about = {
            "tables": {t: {n: [c.dtype, c.shape, c.ragged] for n, c in cs.items()} for t, cs in self._tables.items()},
            "rows": self.rows,
            "settings": self.settings,
        }
        mark = hashlib.sha256(json.dumps([about, marks], sort_keys=True, allow_nan=False).encode()).hexdigest()
        text = np.frombuffer(json.dumps({**about, "sha256": mark}).encode(), dtype=np.uint8)
        self._file.create_dataset("about", data=text, chunks=(len(text),), fletcher32=True)
        own = {"format": FORMAT, "kind": kind, "version": version, "potentia_version": release()}
        self._file.attrs.update({**self.attributes, **own})
        self._file.flush()
        self._sink.require_written()

    def _flush(self, table: str) -> None:
        waiting, self._waiting[table] = self._waiting[table], []
        if not waiting:
            return
        for name in self._tables[table]:
            parts = [block[name] for block in waiting]
            values = np.concatenate([_flat(part) for part in parts])
            lengths = np.concatenate([_lengths(part) for part in parts])
            self._digests[f"{table}/{name}/lengths"].update(lengths.astype("<i8").tobytes())
            self._digests[f"{table}/{name}/values"].update(values.tobytes())
            node = self._file[table][name]
            if isinstance(parts[0], Ragged):
                _extend(node["offsets"], int(node["offsets"][-1]) + np.cumsum(lengths))
                node = node["values"]
            _extend(node, values)
        self._sink.require_written()


@contextmanager
def write_ragged(
    path: str | os.PathLike[str],
    kind: str,
    tables: Mapping[str, Mapping[str, Column]],
    *,
    version: int = 1,
    compression: str | None = "zlib",
    level: int = 5,
) -> Iterator[RaggedWriter]:
    """Give a writer for a new file; when the block ends well the file stands at ``path``, else nothing has changed.

    Args:
        path: Where the file shall stand.
        kind: What the file is.
        tables: Columns by name, tables by name.
        version: Version of this kind's layout, counted from 1.
        compression: ``"zlib"`` (also called ``"gzip"``), ``"lzf"`` (faster, larger) or ``"none"``.
        level: 0 (fast) to 9 (small), of zlib.

    Raises:
        ConfigError: there is no such compression.
        OSError: the file cannot be written; one that was there before is untouched.
    """
    remove_leftovers(path)
    with replacing(path) as temporary, Sink(temporary) as sink:
        with h5py.File(sink, "w") as file:
            writer = RaggedWriter(file, sink, tables, filters_of(compression, level))
            yield writer
            writer.finish(kind, version)
        sink.require_written()


def filters_of(compression: str | None, level: int) -> dict[str, Any]:
    """Return the filters of a compression as h5py wants them, or raise `ConfigError`."""
    name = COMPRESSIONS[choice("compression", compression or "none", tuple(COMPRESSIONS))]
    checked = integer("compression_level", level, low=0, high=9)
    zlib = {"compression_opts": checked} if name == "gzip" else {}
    return {"compression": name, "shuffle": name is not None, "fletcher32": True, **zlib}


def _create(group: h5py.Group, name: str, column: Column, filters: Mapping[str, Any]) -> None:
    dtype, some = np.dtype(column.dtype), [max(n, 1) for n in column.shape]  # chunks of nothing cannot be
    items = max(1, CHUNK // (dtype.itemsize * math.prod(some)))
    most = (None, *(n or None for n in column.shape))
    sizes = {"shape": (0, *column.shape), "maxshape": most, "chunks": (items, *some)}
    if not column.ragged:
        group.create_dataset(name, dtype=dtype, **sizes, **filters)
        return
    inside = group.create_group(name)
    inside.create_dataset("values", dtype=dtype, **sizes, **filters)
    offsets = np.zeros(1, dtype="<i8")
    inside.create_dataset("offsets", data=offsets, maxshape=(None,), chunks=(CHUNK // 8,), **filters)


def _checked(part: Any, column: Column) -> NDArray[Any] | Ragged:
    values = _flat(part)
    assert values.dtype == np.dtype(column.dtype), (values.dtype, column)
    assert values.shape[1:] == column.shape, (values.shape, column)
    assert isinstance(part, Ragged) == column.ragged, column
    return part  # type: ignore[no-any-return]


def _flat(part: Any) -> NDArray[Any]:
    return np.ascontiguousarray(part.values if isinstance(part, Ragged) else part)


def _lengths(part: Any) -> NDArray[np.int64]:
    return part.lengths if isinstance(part, Ragged) else np.ones(len(part), dtype=np.int64)


def _extend(dataset: h5py.Dataset, values: NDArray[Any] | Sequence[int]) -> None:
    there = len(dataset)
    dataset.resize(there + len(values), axis=0)
    dataset[there:] = values
