"""Loops shared among threads: each takes the next items that are left, until there are none.

So a thread that begins late, because a core was busy with something else (threads of torch's own loops spin for a
while after each), takes fewer, and nobody waits for its half. The threads are Python's, which compiled loops let go
(`nogil`); their number follows `torch.get_num_threads`. If Numba divided the loops (`parallel`), that would take as
much time to compile as all the rest.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import intrinsic

__all__ = ["share", "take"]


@intrinsic
def take(typingctx: Any, taken: Any, count: Any) -> Any:
    """Take ``count`` items: return how many others have ``taken`` [1] before; no item is taken twice."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = context.cast(builder, arguments[1], signature.args[1], types.int64)
        struct = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.atomic_rmw("add", struct.data, number, "monotonic")

    return types.int64(taken, count), code


def share(loop: Any, worth: int, *arguments: Any) -> None:
    """Call a compiled loop from as many threads as torch may use, but no more than are worth it.

    Args:
        loop: Compiled with ``nogil=True``. In front of the arguments it is given a counter for `take`, which all calls
            have in common; it returns when nothing is left to take.
        worth: So many threads at most; each but the first costs some 20 µs.
        arguments: The same for all threads.
    """
    taken = np.zeros(1, dtype=np.int64)
    further = min(torch.get_num_threads(), worth) - 1
    others = [_pool(os.getpid()).submit(loop, taken, *arguments) for _ in range(further)]
    loop(taken, *arguments)
    for other in others:
        if not other.cancel():  # it has begun
            other.result()


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads of this process: one that was forked has none of its parent's."""
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="potentia")
