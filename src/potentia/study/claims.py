"""Claims on tasks: at most one process of all has one, and the system frees it when that process dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["CLAIMS", "anyone_at_work", "claimed"]

CLAIMS = ".claims"
"""Name of the directory with one file for each claim. A file says nothing: only its lock does."""


@contextmanager
def claimed(directory: Path, name: str, *, wait: bool) -> Iterator[bool]:
    """Give whether the claim ``name`` on something in ``directory`` is ours until we leave.

    Args:
        directory: The study's.
        name: What is claimed.
        wait: Wait until whoever has it leaves it or dies, instead of giving up at once.
    """
    folder = directory / CLAIMS
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock", timeout=-1 if wait else 0, poll_interval=0.02)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def anyone_at_work(directory: Path) -> list[str]:
    """Return the names of the claims that processes have at this moment."""
    folder = directory / CLAIMS
    taken = []
    for path in sorted(folder.glob("*.lock")):
        with claimed(directory, path.stem, wait=False) as free:
            if not free:
                taken.append(path.stem)
    return taken
