"""Records of ænet's potentials: values one after the other, as Fortran reads and writes them, in text or in binary.

Text is read as Fortran's list-directed input does: a record begins on a new line; numbers may go on over several lines,
``3*0`` is three zeros and ``1.0D-3`` a number; of a text, only what stands before the first blank, comma, semicolon or
slash counts, unless it is quoted. In binary, each record is its length in bytes (a little-endian integer of 4 bytes),
its content, and its length again; texts are padded with blanks.
"""

from __future__ import annotations

import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from potentia.errors import FileFormatError

__all__ = ["BinaryRecords", "Integers", "Reals", "Record", "RecordReader", "TextRecords", "as_binary", "as_text"]

Integers: TypeAlias = NDArray[np.int32]
Reals: TypeAlias = NDArray[np.float64]
T = TypeVar("T", int, float, str)

_PER_LINE = {"i": 10, "d": 5, "s": 20}
"""Values in a line of text, by kind."""
_BYTES = {"i": 4, "d": 8, "s": 1}
_KINDS = {"i": "integer(s)", "d": "number(s)", "s": "byte(s) of text"}
_PLAIN = re.compile(r"[A-Za-z0-9_.:+$-]+")
"""Texts that need no quotes: no blank, nothing that ends a value, and no repeat count."""
_REPEATED = re.compile(r"([0-9]+)\*(.+)")
_QUOTED = re.compile(r"""\s*(?:'((?:[^']|'')*)'|"((?:[^"]|"")*)"|([^\s,;/]+))""")


@dataclass(frozen=True)
class Record:
    """One record: all its values are of one kind."""

    kind: str
    """``i``: integers of 4 bytes; ``d``: numbers of 8 bytes; ``l``: one logical; ``s``: texts."""
    values: Sequence[Any] | Integers | Reals
    width: int = 0
    """Bytes of each text."""


def as_text(records: Sequence[Record]) -> str:
    """Return the records as text; numbers with 17 significant digits, so the way back is exact."""
    return "".join(f"{line}\n" for record in records for line in _lines(record))


def as_binary(records: Sequence[Record]) -> bytes:
    """Return the records in binary."""
    contents = [_content(record) for record in records]
    return b"".join(struct.pack("<i", len(c)) + c + struct.pack("<i", len(c)) for c in contents)


class RecordReader(ABC):
    """A place among the records of a file; reading moves it on. Errors name file, record and what was expected."""

    ending: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.name = ""

    def integers(self, name: str, n: int) -> Integers:
        """Return the ``n`` integers of the next record."""
        self._next(name)
        return self._integers(n)

    def reals(self, name: str, n: int) -> Reals:
        """Return the ``n`` numbers of the next record, which must be finite."""
        self._next(name)
        found = self._reals(n)
        if not np.isfinite(found).all():
            raise self.error(f"value {int(np.argmin(np.isfinite(found))) + 1} is not finite")
        return found

    def texts(self, name: str, n: int, width: int) -> tuple[str, ...]:
        """Return the ``n`` texts of the next record, each of at most ``width`` bytes."""
        self._next(name)
        found = self._texts(n, width)
        long = [text for text in found if len(text.encode()) > width]
        if long:
            raise self.error(f"{long[0]!r} has more than {width} characters")
        return found

    def logical(self, name: str) -> bool:
        """Return the logical of the next record."""
        self._next(name)
        return self._logical()

    def integer(self, name: str, low: int, wanted: int | None = None) -> int:
        """Return the integer of the next record: at least ``low``, or just what is ``wanted``."""
        value = int(self.integers(name, 1)[0])
        if wanted is not None and value != wanted:
            raise self.error(f"expected {wanted}, which follows from the records before, got {value}")
        if value < low:
            raise self.error(f"expected an integer of at least {low}, got {value}")
        return value

    def real(self, name: str) -> float:
        """Return the number of the next record."""
        return float(self.reals(name, 1)[0])

    def text(self, name: str, width: int) -> str:
        """Return the text of the next record."""
        return self.texts(name, 1, width)[0]

    def error(self, message: str) -> FileFormatError:
        """Return an error that says where it is."""
        return FileFormatError(
            f"{self.path}, record {self.number} ({self.name}): {message}; the file is cut off, or {self.ending}"
        )

    @abstractmethod
    def finish(self) -> None:
        """Raise `FileFormatError` if anything comes after the last record."""

    @abstractmethod
    def _integers(self, n: int) -> Integers: ...

    @abstractmethod
    def _reals(self, n: int) -> Reals: ...

    @abstractmethod
    def _texts(self, n: int, width: int) -> tuple[str, ...]: ...

    @abstractmethod
    def _logical(self) -> bool: ...

    def _next(self, name: str) -> None:
        self.number += 1
        self.name = name


class TextRecords(RecordReader):
    """Records in text."""

    ending = "no .nn.ascii of ænet"

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(path)
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise FileFormatError(f"{path} is neither text nor a binary potential of ænet: {error}") from None
        self._lines = iter(line for line in text.splitlines() if line.strip())

    def finish(self) -> None:  # noqa: D102
        for line in self._lines:
            raise self.error(f"this should be the last record, but {line.strip()[:40]!r} comes after it")

    def _integers(self, n: int) -> Integers:
        values = self._values(n, "an integer", int)
        if any(not -(2**31) <= value < 2**31 for value in values):
            raise self.error("an integer does not fit into 4 bytes")
        return np.array(values, dtype=np.int32)

    def _reals(self, n: int) -> Reals:
        return np.array(self._values(n, "a number", _real), dtype=np.float64)

    def _texts(self, n: int, width: int) -> tuple[str, ...]:
        found: list[str] = []
        while len(found) < n:
            line = self._line(f"{n} text(s)")
            found.extend(_unquoted(match) for match in _QUOTED.finditer(line))
        return tuple(found[:n])

    def _logical(self) -> bool:
        word = self._line("T or F").strip().lstrip(".").upper()
        if word[:1] not in {"T", "F"}:
            raise self.error(f"expected T or F, got {word[:40]!r}")
        return word[0] == "T"

    def _values(self, n: int, kind: str, convert: Callable[[str], T]) -> list[T]:
        found: list[T] = []
        while len(found) < n:
            for token in _tokens(self._line(f"{n} value(s), {len(found)} of which came")):
                if len(found) == n:
                    raise self.error(f"expected {n} value(s), but the line goes on with {token!r}")
                try:
                    found.append(convert(token))
                except ValueError:
                    raise self.error(f"value {len(found) + 1} of {n} must be {kind}, got {token!r}") from None
        return found

    def _line(self, what: str) -> str:
        line = next(self._lines, None)
        if line is None:
            raise self.error(f"expected {what}, but the file ends")
        return line


class BinaryRecords(RecordReader):
    """Records in binary."""

    ending = "no little-endian .nn of ænet with record marks of 4 bytes"

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(path)
        self._bytes = content
        self._at = 0
        if content[:4] == struct.pack(">i", 4):
            raise FileFormatError(
                f"{path} is big-endian, which is not read: give the .nn.ascii of the same potential, or write the file "
                "again with an ænet that was compiled for little-endian files"
            )
        if content[:8] == struct.pack("<q", 4):
            raise FileFormatError(
                f"{path} has record marks of 8 bytes: write it again with an ænet compiled for marks of 4"
            )

    def finish(self) -> None:  # noqa: D102
        if self._at < len(self._bytes):
            raise self.error(f"this should be the last record, but {len(self._bytes) - self._at} bytes come after it")

    def _integers(self, n: int) -> Integers:
        return np.frombuffer(self._content("i", n), "<i4").astype(np.int32)

    def _reals(self, n: int) -> Reals:
        return np.frombuffer(self._content("d", n), "<f8").astype(np.float64)

    def _texts(self, n: int, width: int) -> tuple[str, ...]:
        content = self._content("s", n * width)
        try:
            return tuple(content[k * width : (k + 1) * width].decode().rstrip(" \0") for k in range(n))
        except UnicodeDecodeError as error:
            raise self.error(f"expected text: {error}") from None

    def _logical(self) -> bool:
        return bool(self._integers(1)[0])

    def _content(self, kind: str, n: int) -> bytes:
        """Return the content of the next record, which must be ``n`` values."""
        size = n * _BYTES[kind]
        what = f"{n} {_KINDS[kind]} ({size} bytes)"
        if self._at + 4 > len(self._bytes):
            raise self.error(f"expected {what}, but the file ends")
        (length,) = struct.unpack_from("<i", self._bytes, self._at)
        if length != size:
            raise self.error(f"expected {what}, but the record says that it has {length} bytes")
        end = self._at + 4 + length
        if end + 4 > len(self._bytes):
            raise self.error(f"expected {what}, but the file ends within it")
        if struct.unpack_from("<i", self._bytes, end) != (length,):
            raise self.error(f"expected {what}, but the lengths before and after it differ")
        content = self._bytes[self._at + 4 : end]
        self._at = end + 4
        return content


def _lines(record: Record) -> Iterator[str]:
    if record.kind == "l":
        yield "T" if record.values[0] else "F"
        return
    writers: dict[str, Callable[[Any], str]] = {"i": _written_integer, "d": _written_real, "s": _written_text}
    write = writers[record.kind]
    per_line = _PER_LINE[record.kind]
    for begin in range(0, len(record.values), per_line):
        yield " ".join(write(value) for value in record.values[begin : begin + per_line])


def _written_integer(value: int) -> str:
    return f"{value:d}"


def _written_real(value: float) -> str:
    return f"{value:24.16E}"


def _written_text(text: str) -> str:
    """Return a text as list-directed input reads it back; ends of lines become blanks."""
    if _PLAIN.fullmatch(text):
        return text
    return "'" + " ".join(text.splitlines()).replace("'", "''") + "'"


def _content(record: Record) -> bytes:
    match record.kind:
        case "i":
            return np.asarray(record.values, dtype="<i4").tobytes()
        case "d":
            return np.asarray(record.values, dtype="<f8").tobytes()
        case "l":
            return struct.pack("<i", bool(record.values[0]))
    return b"".join(str(text).encode().ljust(record.width) for text in record.values)


def _tokens(line: str) -> Iterator[str]:
    for token in line.replace(",", " ").split():
        repeated = _REPEATED.fullmatch(token)
        if repeated is None:
            yield token
        else:
            yield from repeat(repeated[2], int(repeated[1]))


def _real(token: str) -> float:
    return float(token.upper().replace("D", "E"))


def _unquoted(match: re.Match[str]) -> str:
    single, double, plain = match.groups()
    if single is not None:
        return single.replace("''", "'")
    return plain if double is None else double.replace('""', '"')
