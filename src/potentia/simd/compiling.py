"""One process compiles a function, and the others that want it wait for what it leaves in Numba's cache.

The ranks of a training, the members of a committee and the workers of a study begin together, and what they run takes
seconds to compile. Without this each would compile all of it; and of two that save at once, Numba keeps one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from numba import config
from numba.core.compiler_lock import global_compiler_lock

__all__ = ["in_turn"]

WAIT = 300.0
"""Whoever has waited so long compiles for itself (s)."""


def in_turn(decorator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let processes take turns in compiling each function of a ``decorator`` of Numba's with ``cache=True``.

    A turn is a lock of the system's on a file beside the cached code, so it ends with its process. Functions that call
    each other are locked from the caller down, and no function calls its caller: nobody waits in a circle.
    """

    def decorate(function: Any) -> Any:
        compiled = decorator(function)
        if config.DISABLE_JIT:  # it is the function itself
            return compiled
        compile_or_load = compiled.compile

        @wraps(compile_or_load)
        def once_of_all(signature: Any) -> Any:
            with global_compiler_lock, _turn(Path(compiled.stats.cache_path), function):
                return compile_or_load(signature)

        compiled.compile = once_of_all
        return compiled

    return decorate


@contextmanager
def _turn(cache: Path, function: Any) -> Iterator[None]:
    """Keep other processes from compiling a function until we leave, where the file system has locks."""
    place = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}.lock"
    lock = FileLock(cache / place, timeout=WAIT, poll_interval=0.02)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (Timeout, OSError, NotImplementedError):  # a turn saves time, nothing depends on it
        yield
        return
    try:
        yield
    finally:
        lock.release()
