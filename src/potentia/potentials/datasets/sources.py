"""Where the structures of a database come from: files, records in memory, members of an archive."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from ase import Atoms

from potentia.errors import ConfigError, DataError
from potentia.potentials.datasets.base import DatasetError
from potentia.potentials.datasets.in_memory import convert_to_structures
from potentia.potentials.formats.reading import StructureLike
from potentia.potentials.structure import Structure

__all__ = [
    "FilePathSourceCollection",
    "RecordSourceCollection",
    "SourceCapabilities",
    "SourceCollection",
    "SourceRecord",
    "Sources",
    "as_source_collection",
]

Loader: TypeAlias = Callable[[], StructureLike | Iterable[StructureLike]]
"""Returns one structure or many, also one after the other."""
MOST_BYTES = {"source_id": 2048, "source_kind": 64, "display_name": 2048}
"""Bytes that a label may have in UTF-8."""


@dataclass(frozen=True)
class SourceCapabilities:
    """What can be done with a collection of sources."""

    supports_multiple_passes: bool = True
    """Whether it can be gone through again."""
    supports_random_access: bool = True
    """Whether a source can be loaded without those before it."""
    supports_parallel_build: bool = True
    """Whether its sources can be loaded by other processes."""


@dataclass(frozen=True)
class SourceRecord:
    """One source of structures. For a build by several processes, ``loader`` must be a function of a module.

    >>> record = SourceRecord("dimer", lambda: Structure([[0, 0, 0], [0.74, 0, 0]], ["H", "H"], energy=-31.7))
    >>> record.load_structures()
    [Structure(H2, energy; structure)]
    """

    source_id: str
    """What identifies it."""
    loader: Loader
    """Returns its structures."""
    source_kind: str = "record"
    """What kind of source it is."""
    display_name: str = ""
    """What to call it in tables; the identifier if empty."""

    def __post_init__(self) -> None:
        for name, most in MOST_BYTES.items():
            value = self.__dict__[name]
            if not isinstance(value, str):
                raise ConfigError(f"{name} of a source must be text, got {value!r}")
            require_bytes(name, value, most)
        if not callable(self.loader):
            raise ConfigError(f"the loader of source {self.source_id!r} must be callable, got {self.loader!r}")

    def load_structures(self) -> list[Structure]:
        """Return all structures."""
        return list(self.iter_structures())

    def iter_structures(self) -> Iterator[Structure]:
        """Give the structures one after the other.

        Raises:
            DatasetError: they cannot be loaded; the message says from where, and why.
        """
        with _Loading(self.source_id):
            loaded = self.loader()
            several = isinstance(loaded, Iterable) and not isinstance(loaded, Structure | Atoms | str | os.PathLike)
            items: Iterator[Any] = iter(loaded if several else [loaded])  # type: ignore[arg-type]  # it is iterable
        while True:
            with _Loading(self.source_id):
                try:
                    item = next(items)
                except StopIteration:
                    return
                found = [item] if isinstance(item, Structure) else convert_to_structures([item])
            yield from found


class SourceCollection(ABC):
    """Sources in their order."""

    @property
    @abstractmethod
    def capabilities(self) -> SourceCapabilities:
        """What can be done with them."""

    @abstractmethod
    def iter_records(self) -> Iterator[SourceRecord]:
        """Give the sources in their order."""

    @abstractmethod
    def __len__(self) -> int: ...


class FilePathSourceCollection(SourceCollection):
    """Files that hold one structure or more, of any format that `read_structures` knows.

    Args:
        paths: The files; relative paths are made absolute at once.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        self.paths = [Path(path).absolute() for path in paths]

    @property
    def capabilities(self) -> SourceCapabilities:
        """What can be done with them: anything."""
        return SourceCapabilities()

    def iter_records(self) -> Iterator[SourceRecord]:
        """Give the files in their order."""
        for path in self.paths:
            yield SourceRecord(str(path), partial(convert_to_structures, path), "file")

    def __len__(self) -> int:
        return len(self.paths)


class RecordSourceCollection(SourceCollection):
    """Sources that are given one by one.

    Args:
        records: The sources.
        capabilities: What can be done with them; anything if None.
    """

    def __init__(self, records: Iterable[SourceRecord], capabilities: SourceCapabilities | None = None) -> None:
        self.records = list(records)
        self._capabilities = capabilities or SourceCapabilities()
        for number, record in enumerate(self.records):
            if not isinstance(record, SourceRecord):
                raise DataError(f"record {number} must be a SourceRecord, got {type(record).__name__}")

    @property
    def capabilities(self) -> SourceCapabilities:
        """What can be done with them."""
        return self._capabilities

    def iter_records(self) -> Iterator[SourceRecord]:
        """Give the sources in their order."""
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


Sources: TypeAlias = SourceCollection | Iterable[SourceRecord | str | os.PathLike[str]]
"""What a database can be built from."""


def as_source_collection(sources: Sources) -> SourceCollection:
    """Return sources as a collection: paths and records may be given as they are.

    Raises:
        DataError: they are neither.
    """
    if isinstance(sources, SourceCollection):
        return sources
    if isinstance(sources, str | os.PathLike):
        return FilePathSourceCollection([sources])
    if not isinstance(sources, Iterable):
        raise DataError(f"sources must be paths, SourceRecords or a source collection, got {type(sources).__name__}")
    given = list(sources)
    if all(isinstance(item, SourceRecord) for item in given) and given:
        return RecordSourceCollection([item for item in given if isinstance(item, SourceRecord)])
    paths = [item for item in given if isinstance(item, str | os.PathLike)]
    if len(paths) < len(given):
        other = next(item for item in given if not isinstance(item, str | os.PathLike))
        raise DataError(f"sources must be all paths or all SourceRecords, got {type(other).__name__} among them")
    return FilePathSourceCollection(paths)


def require_bytes(name: str, value: str, most: int) -> None:
    """Raise `DataError` naming a label that has too many bytes in UTF-8; labels are never cut."""
    size = len(value.encode())
    if size > most:
        raise DataError(f"{name} has {size} bytes in UTF-8, at most {most} are kept: shorten {value[:40]!r}…")


class _Loading:
    """Names the source in whatever its loader raises, also when a reader wants to end the program."""

    def __init__(self, source_id: str) -> None:
        self.source_id = source_id

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception | SystemExit):
            why = f"{type(error).__name__}: {error}"
            raise DatasetError(f"Failed to load build source '{self.source_id}'. {why}") from error
