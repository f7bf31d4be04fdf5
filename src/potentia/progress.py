"""Progress bars of whatever takes long: on terminals and in Jupyter, never in a log or a file, and all made here.

A training shows its bar where its settings say so. What is asked for a little and a lot, alone and inside of others,
such as predictions, shows one inside of `watched`; all commands are.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO, TypeVar

from tqdm import tqdm

__all__ = ["bar", "say", "track", "watched"]

DELAY = 0.5
"""What is done sooner (s) shows no bar of its own accord."""
CELL_WIDTH = 80
"""Characters of a bar below a cell of a notebook, which does not tell how wide it is."""
KERNEL_STREAMS = "ipykernel.iostream"
"""The module of a Jupyter kernel's streams, loaded where there is a kernel."""
Item = TypeVar("Item")
_watched: ContextVar[bool] = ContextVar("watched", default=False)


@contextmanager
def watched() -> Iterator[None]:
    """Show bars of all that takes long in here, in this thread."""
    before = _watched.set(True)
    try:
        yield
    finally:
        _watched.reset(before)


def bar(
    total: int, label: str, *, shown: bool = False, initial: int = 0, stays: bool = False, file: TextIO | None = None
) -> tqdm:
    """Return a bar, for a ``with`` statement or to be closed; it is silent where ``file`` is no terminal or notebook.

    Args:
        total: What it counts up to.
        label: In front of it: what is counted.
        shown: Whether somebody has asked for it; inside of `watched` there is one in any case, once it has taken long.
        initial: Where it begins.
        stays: Whether it stays on the screen when it is closed.
        file: Where to; the standard error stream if None.
    """
    stream = sys.stderr if file is None else file
    below_cell = _is_of_a_kernel(stream)
    wanted = (shown or _watched.get()) and (below_cell or stream.isatty())
    delay, width = 0.0 if shown else DELAY, CELL_WIDTH if below_cell else None
    return tqdm(
        total=total, initial=initial, desc=label, leave=stays, disable=not wanted, file=stream, delay=delay, ncols=width
    )


def _is_of_a_kernel(stream: TextIO) -> bool:
    """Return whether what is written there stands below a cell of a notebook, where a line can be written over."""
    streams = sys.modules.get(KERNEL_STREAMS)
    return streams is not None and isinstance(stream, streams.OutStream)


def track(items: Collection[Item], label: str, *, shown: bool = False) -> Iterator[Item]:
    """Yield the items, with a bar over them if there is more than one.

    >>> list(track(range(3), "steps"))
    [0, 1, 2]

    Args:
        items: What is gone through.
        label: What they are.
        shown: See `bar`.
    """
    if len(items) < 2:
        yield from items
        return
    with bar(len(items), label, shown=shown) as one:
        for item in items:
            yield item
            one.update()


def say(text: str) -> None:
    """Print a line to the standard output, above bars that are on the screen."""
    with tqdm.external_write_mode(file=sys.stdout):
        sys.stdout.write(f"{text}\n")
