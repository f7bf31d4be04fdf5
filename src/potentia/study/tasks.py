"""A task that can be sent to another process, and how it ended."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from potentia.errors import ConfigError

__all__ = ["Ended", "Task", "carry_out", "require_own_names", "threads_limited", "threads_per_task"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Task(Generic[Result]):
    """Work that needs nothing of other tasks."""

    name: str
    """What to call it in records; no two tasks share one."""
    work: Callable[[], Result]
    """What is done. To go to other processes it must be a function of a module, a `functools.partial` or an object of
    such a class."""
    threads: int | None = None
    """Threads that it may use; None leaves those of its process."""


@dataclass(frozen=True)
class Ended(Generic[Result]):
    """A task that has returned or failed."""

    name: str
    result: Result | None = None
    """What it returned; None if it failed."""
    error: str | None = None
    """Class and message of the exception; None if it returned."""
    traceback: str | None = None
    """The whole story of the exception."""

    @classmethod
    def by(cls, name: str, error: BaseException) -> Ended[Result]:
        """Return the end by an exception."""
        story = "".join(traceback.format_exception(error))
        return cls(name, error=f"{type(error).__name__}: {error}", traceback=story)


def carry_out(task: Task[Result]) -> Ended[Result]:
    """Run a task to its end, whatever that is; interrupts from the keyboard and exits go through."""
    try:
        with threads_limited(task.threads):
            return Ended(task.name, task.work())
    except Exception as error:  # noqa: BLE001  # one task's failure is a record, the others go on
        return Ended.by(task.name, error)


@contextmanager
def threads_limited(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads inside; None leaves those of the process."""
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)


def require_own_names(names: Sequence[str]) -> None:
    """Raise `ConfigError` where two tasks share a name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"tasks need names of their own, but {', '.join(twice)} is given more than once")


def threads_per_task(parallel: int) -> int:
    """Return how many threads each of so many tasks at a time gets of this machine, one at least."""
    return max(1, _cores() // parallel)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
