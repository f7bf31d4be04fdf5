"""Blocks of windows shared among threads: each takes the next part that is left, until there is none.

So a thread that begins late, because a core was busy with something else (threads of torch's own loops spin for a
while after each), takes fewer parts, and nobody waits for its half. The threads are Python's, which the kernels let go;
their number is `torch.get_num_threads`. If Numba divided the loops, that would cost more time in compiling than all the
rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

from potentia.dynamics.compiled.rollouts_numba import BEGIN, END, STEPS
from potentia.simd.lanes import LANES

__all__ = ["blocks_of", "run"]

PLACE = 3
"""Which argument of a kernel says what blocks it works on."""
SMALL = 64
"""Blocks times steps that are not worth another thread, nor a part of their own."""
PARTS = 4
"""Parts for each thread; calling a kernel costs some 15 µs."""


def blocks_of(windows: int) -> int:
    """Return how many SIMD vectors hold the windows."""
    return (windows + LANES - 1) // LANES


def run(kernel: Any, arguments: tuple[Any, ...], *filled: Any) -> None:
    """Call a kernel for all blocks; it fills the last arrays."""
    place = arguments[PLACE]
    blocks, steps = int(place[END]), int(place[STEPS])
    worth = max(min(blocks, blocks * steps // SMALL), 1)
    n_threads = min(torch.get_num_threads(), worth)
    if n_threads == 1:
        kernel(*arguments, *filled)
        return
    n_parts, parts = min(PARTS * n_threads, worth), []
    for number in range(n_parts):
        part = place.copy()
        part[BEGIN], part[END] = blocks * number // n_parts, blocks * (number + 1) // n_parts
        parts.append((*arguments[:PLACE], part, *arguments[PLACE + 1 :], *filled))
    left = iter(parts)  # of a list: whoever asks gets the next one, once
    others = [_pool(os.getpid()).submit(_work, kernel, left) for _ in range(n_threads - 1)]
    _work(kernel, left)
    for one in others:
        if not one.cancel():  # it has begun
            one.result()


def _work(kernel: Any, left: Iterator[tuple[Any, ...]]) -> None:
    for part in left:
        kernel(*part)


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads of this process: one that was forked has none of its parent's."""
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="rollouts")
