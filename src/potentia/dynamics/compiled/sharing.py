"""Blocks of windows shared among threads: each thread takes as many, one after the other, and none waits for another.

The threads are Python's, which the kernels let go; their number is `torch.get_num_threads`. If Numba divided the loops,
that would cost more time in compiling than all the rest.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

from potentia.dynamics.compiled.rollouts_numba import BEGIN, END
from potentia.simd.lanes import LANES

__all__ = ["blocks_of", "run"]

PLACE = 3
"""Which argument of a kernel says what blocks it works on."""
SMALL = 64
"""Blocks times steps that are not worth another thread."""


def blocks_of(windows: int) -> int:
    """Return how many SIMD vectors hold the windows."""
    return (windows + LANES - 1) // LANES


def run(kernel: Any, arguments: tuple[Any, ...], *filled: Any) -> None:
    """Call a kernel for all blocks; it fills the last arrays."""
    place = arguments[PLACE]
    blocks, steps = int(place[END]), int(place[3])
    n_threads = max(min(torch.get_num_threads(), blocks, blocks * steps // SMALL), 1)
    parts = []
    for number in range(n_threads):
        part = place.copy()
        part[BEGIN], part[END] = blocks * number // n_threads, blocks * (number + 1) // n_threads
        parts.append((*arguments[:PLACE], part, *arguments[PLACE + 1 :], *filled))
    if n_threads == 1:
        kernel(*parts[0])
        return
    waiting = [_pool(os.getpid()).submit(kernel, *part) for part in parts[1:]]
    kernel(*parts[0])
    for one in waiting:
        one.result()


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads of this process: one that was forked has none of its parent's."""
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="rollouts")
