"""Tasks to an executor and their ends back, one by one, whatever happens to each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, as_completed
from typing import TypeVar

from potentia.study.tasks import Ended, Task, carry_out, require_own_names

__all__ = ["fan_out"]

Result = TypeVar("Result")


def fan_out(tasks: Sequence[Task[Result]], executor: Executor | None = None) -> Iterator[Ended[Result]]:
    """Run ``tasks`` and give back how each has ended, as they end.

    A task that fails is given back with its traceback, and the others go on. When the caller stops listening, or is
    interrupted, tasks that have not begun are not begun.

    Args:
        tasks: What to do; names must differ.
        executor: Who does it: any executor of `concurrent.futures`, such as `SpawnedProcesses`, or those of Dask, MPI
            or Slurm; None does one after the other here.

    Raises:
        ConfigError: two tasks share a name.
    """
    require_own_names([task.name for task in tasks])
    return _here(tasks) if executor is None else _elsewhere(tasks, executor)


def _here(tasks: Sequence[Task[Result]]) -> Iterator[Ended[Result]]:
    for task in tasks:
        yield carry_out(task)


def _elsewhere(tasks: Sequence[Task[Result]], executor: Executor) -> Iterator[Ended[Result]]:
    futures = {executor.submit(carry_out, task): task.name for task in tasks}
    try:
        for future in as_completed(futures):
            error = future.exception()  # of the way there and back: what the task raises is in its end
            yield future.result() if error is None else Ended.by(futures[future], error)
    finally:
        for future in futures:
            future.cancel()
