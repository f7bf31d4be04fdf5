"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from potentia.errors import PotentiaError

__all__ = ["remove_leftovers", "replacing", "write_bytes", "write_text"]


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], *content: bytes | memoryview) -> None:
    """Write a file, its parts one behind the other, whole or not at all.

    A reader, a crash or a full disk never leaves half of it.

    Raises:
        OSError: the file could not be written; one that was there before is untouched.
    """
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.writelines(content)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the name of a temporary file beside ``path`` to write; it takes the place of ``path`` when all went well.

    Otherwise it is removed; `remove_leftovers` removes those of processes that were killed.

    Raises:
        OSError: the file could not be written; one that was there before is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        _sync(temporary, os.O_RDWR)
        temporary.replace(path)
    except PotentiaError:
        raise
    except OSError as error:
        reason = f"{error.strerror or error}; what stood there before is untouched"
        raise OSError(error.errno or 0, reason, str(path)) from error
    finally:
        with suppress(NotADirectoryError):
            temporary.unlink(missing_ok=True)
    if os.name != "nt":  # Windows cannot open a directory
        _sync(path.parent, os.O_RDONLY)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove temporary files for ``path`` whose writers on this machine are no more."""
    path = Path(path)
    if os.name == "nt" or not path.parent.is_dir():  # Windows has no harmless signal to ask with
        return
    head = f".{path.name}.{_machine()}-"
    for left in path.parent.iterdir():
        pid = left.name.removeprefix(head).split("-")[0]
        if left.name.startswith(head) and left.suffix == ".tmp" and pid.isdigit() and not _runs(int(pid)):
            left.unlink(missing_ok=True)


def _machine() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs for another user
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and only waits for its parent to ask how."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:  # no such system, or the process ended just now
        return False
    return status.rpartition(b")")[2].split()[0] == b"Z"


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
