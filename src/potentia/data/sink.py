"""A file for HDF5 to write into that never fails under it: HDF5 itself may crash after a write that failed."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

__all__ = ["Sink"]


class Sink(io.RawIOBase):
    """A new file; what can no longer be written is kept in memory until HDF5 is closed, and then reported.

    A writer calls `require_written` after each block, so that no more than a block is kept.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb+", buffering=0)
        self._kept: list[tuple[int, bytes]] = []
        self._at = 0
        self._size = 0
        self.error: OSError | None = None
        """The first failure."""

    def require_written(self) -> None:
        """Raise the first failure, if there was one."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def writable(self) -> bool:
        """Whether it can be written: yes."""
        return True

    def seekable(self) -> bool:
        """Whether one may move in it: yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        self._size = self._at if size is None else size
        if self.error is None:
            try:
                self._file.truncate(self._size)
            except OSError as error:
                self.error = error
        return self._size

    def write(self, data: Any) -> int:
        """Write all of ``data``, or keep it."""
        content = bytes(data)
        if self.error is None:
            try:
                self._write(content)
            except OSError as error:
                self.error = error
        if self.error is not None:
            self._kept.append((self._at, content))
        self._at += len(content)
        self._size = max(self._size, self._at)
        return len(content)

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``, with zeros where nothing was written."""
        content = bytearray(len(buffer))
        self._file.seek(self._at)
        found = self._file.read(len(buffer))
        content[: len(found)] = found
        for start, kept in self._kept:
            low, high = max(start, self._at), min(start + len(kept), self._at + len(content))
            if low < high:
                content[low - self._at : high - self._at] = kept[low - start : high - start]
        memoryview(buffer).cast("B")[:] = content
        self._at += len(content)
        return len(content)

    def _write(self, content: bytes) -> None:
        self._file.seek(self._at)
        rest = memoryview(content)
        while rest:
            rest = rest[self._file.write(rest) :]
