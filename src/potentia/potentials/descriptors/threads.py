"""Numba's threads follow torch's: one setting, `torch.set_num_threads`, holds for kernels and networks alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch

__all__ = ["torch_threads"]


@contextmanager
def torch_threads() -> Iterator[None]:
    """Let Numba use as many threads as torch may, inside.

    Numba's OpenMP layer, when it starts, sets the number of threads of every OpenMP library of the process, torch's
    among them: that is put back.
    """
    wanted, before = torch.get_num_threads(), numba.get_num_threads()
    numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)
        if torch.get_num_threads() != wanted:
            torch.set_num_threads(wanted)
