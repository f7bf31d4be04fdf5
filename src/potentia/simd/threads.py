"""Numba's threads follow torch's: one setting, `torch.set_num_threads`, holds for kernels and networks alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numba
import torch

__all__ = ["torch_threads"]


_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def torch_threads() -> Iterator[None]:
    """Let Numba use as many threads as torch may, inside.

    Numba's OpenMP layer, when it starts, sets the number of threads of every OpenMP library of the process, torch's
    among them: that is put back. Threads that come here at the same time wait for each other where they must.
    """
    with _turn():
        yield from _as_many()


def _turn() -> AbstractContextManager[object]:
    """Numba's own pool of threads ends the process when two threads use it at once; OpenMP and TBB do not mind."""
    try:
        own = numba.threading_layer() == "workqueue"
    except ValueError:  # none has been started yet
        own = True
    return _ONE_AT_A_TIME if own else nullcontext()


def _as_many() -> Iterator[None]:
    wanted, before = torch.get_num_threads(), numba.get_num_threads()
    numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)
        if torch.get_num_threads() != wanted:
            torch.set_num_threads(wanted)
