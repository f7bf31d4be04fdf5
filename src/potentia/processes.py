"""The default executor: processes of this machine that cannot take each other down."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from potentia.checks import integer
from potentia.errors import TrainingError

__all__ = ["SpawnedProcesses", "load_ahead"]

_LOADED = ["torch"]
"""Modules that a process of any task needs, and that take long to load."""

Result = TypeVar("Result")


def load_ahead(*modules: str) -> None:
    """Begin to load what processes will need, while this one goes on; the first of them then need not wait for it.

    It does nothing where the system has no fork, where every process loads all for itself.
    """
    if sys.platform == "linux":
        forkserver.set_forkserver_preload([*_LOADED, *modules])
        forkserver.ensure_running()


def _context() -> BaseContext:
    """Return how processes begin: as forks of one that has only loaded modules, and so has no threads, or on their own.

    A fork has the modules at once and shares their memory. Nothing of this process is in it.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    forkserver.set_forkserver_preload(_LOADED)  # where it does not run yet
    return multiprocessing.get_context("forkserver")


class SpawnedProcesses(Executor):
    """Processes with nothing of this one in them, each a pool of its own: one that is killed loses its own task alone.

    When the process that has begun them dies, whatever the way, they die too.

    In a `concurrent.futures.ProcessPoolExecutor` a killed process breaks the pool, and with it all that was running
    and waiting. Here its task fails with a `TrainingError`, and a new process takes the next one.

    A script that uses it needs ``if __name__ == "__main__":`` around what it does.

    Args:
        max_workers: Number of processes.
    """

    def __init__(self, max_workers: int) -> None:
        integer("max_workers", max_workers, low=1)
        self._threads = ThreadPoolExecutor(max_workers, thread_name_prefix="process")
        self._own = threading.local()
        self._pools: list[ProcessPoolExecutor] = []
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Let a process call ``fn``, the first that is free."""
        return self._threads.submit(self._call, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes once their tasks have ended; with ``cancel_futures``, what waits is not begun."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _call(self, fn: Callable[..., Result], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
        """Call ``fn`` in the process of this thread."""
        if getattr(self._own, "pool", None) is None:
            self._own.pool = self._new_pool()
        pool: ProcessPoolExecutor = self._own.pool
        try:
            return pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool as error:
            self._own.pool = None
            raise TrainingError(
                "its process has died: it was killed, there was not enough memory, or the script that started it lacks "
                "`if __name__ == '__main__':`"
            ) from error

    def _new_pool(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, _context(), initializer=_end_with_the_parent)
        with self._lock:
            self._pools.append(pool)
        return pool


def _end_with_the_parent() -> None:
    """Let this process die with the one that has begun it: nobody is left to take its results."""
    threading.Thread(target=_follow, name="follow", daemon=True).start()


def _follow() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
