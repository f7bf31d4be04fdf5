"""A study: tasks that are done once each, whatever is killed on the way, by any number of runs at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tqdm import tqdm

from potentia import progress
from potentia.checks import integer
from potentia.errors import ConfigError
from potentia.processes import SpawnedProcesses
from potentia.study.claims import claimed
from potentia.study.plan import PlannedTask, Work, require_apart
from potentia.study.records import clear, place_of, read_record, write_record
from potentia.study.slots import fan_out_to_slots
from potentia.study.task_list import TaskList
from potentia.study.tasks import Ended, Task

__all__ = ["StudyResult", "run_study"]


@dataclass(frozen=True)
class StudyResult:
    """What stands when a run of a study has ended."""

    directory: Path
    """Where the results are."""
    before: tuple[str, ...]
    """Tasks that were done before the run."""
    done: tuple[str, ...]
    """Tasks that were done during it, as they ended."""
    failed: tuple[Ended[bool], ...] = field(repr=False)
    """Tasks that failed; the next run does them again."""

    @property
    def complete(self) -> bool:
        """Whether all tasks are done."""
        return not self.failed

    def __str__(self) -> str:
        """Return one line."""
        total = len(self.before) + len(self.done) + len(self.failed)
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{total - len(self.failed)} of {total} tasks completed, {len(self.done)} of them now{failed}"


@dataclass(frozen=True)
class _Attempt:
    """Does one task in whatever process, unless another has it or has done it."""

    directory: Path
    task: PlannedTask
    work: Work
    device: str
    wait: bool
    """Whether to wait for a process that has the task."""

    def __call__(self) -> bool:
        """Return whether the task is done now; if not, another process is at work on it."""
        with claimed(self.directory, self.task.name, wait=self.wait) as ours:
            if not ours:
                return False
            if read_record(self.directory, self.task) is None:
                place = place_of(self.directory, self.task, self.device)
                begun = time.monotonic()
                result = self.work(self.task, place)
                write_record(self.directory, self.task, self.device, time.monotonic() - begun, result)
            clear(self.directory, self.task)
            return True


def run_study(
    directory: Path,
    tasks: Sequence[PlannedTask],
    work: Work,
    *,
    devices: Sequence[str] = ("cpu",),
    executor: Executor | None = None,
    threads: int = 1,
    on_end: Callable[[Ended[bool]], None] | None = None,
) -> StudyResult:
    """Do the tasks that are not done yet; those that fail leave a record, and the others go on.

    A task is done when its record is there, which is written after its files. Whatever is killed, this process or
    others: the next run does what is left, and work that keeps checkpoints in its scratch directory goes on from them.
    Several runs may be at work in one directory, also on several machines that share it; each task is done by one.

    Args:
        directory: Where all files go.
        tasks: What to do, in this order.
        work: Does one task.
        devices: One for each task at a time; the same device twice is two slots.
        executor: Who does it, one task at a time for each slot; None takes spawned processes, one for each slot, or
            this process where there is one slot.
        threads: Threads of each task. The same number gives the same results on one slot and on many.
        on_end: Is called with the end of each task.

    Raises:
        ConfigError: no device is given, names or seeds of tasks are not apart, or a record is of other settings.
    """
    integer("threads", threads, low=1)
    if not devices:
        raise ConfigError("devices must name one device for each task at a time, such as ['cpu'], got none")
    require_apart(tasks)
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    before = [task.name for task in tasks if read_record(directory, task) is not None]
    for task in tasks:
        if task.name in before:  # a kill may have come between its record and this
            clear(directory, task)
    run = _Run(directory, work, devices, threads, TaskList(directory), len(tasks), on_end)
    pending = [task for task in tasks if task.name not in before]
    run.remaining.set(pending, len(tasks))
    if not pending:
        return StudyResult(directory, tuple(before), (), ())
    own = SpawnedProcesses(min(len(devices), len(pending))) if executor is None and len(devices) > 1 else None
    try:
        with progress.bar(len(pending), "tasks", stays=True) as bar:
            elsewhere = run.once(pending, executor or own, bar, wait=False)
            run.once(elsewhere, executor or own, bar, wait=True)
    finally:
        if own is not None:
            own.shutdown(cancel_futures=True)
    return StudyResult(directory, tuple(before), tuple(run.done), tuple(run.failed))


@dataclass
class _Run:
    """One run, as far as it has come."""

    directory: Path
    work: Work
    devices: Sequence[str]
    threads: int
    remaining: TaskList
    total: int
    on_end: Callable[[Ended[bool]], None] | None
    done: list[str] = field(default_factory=list)
    failed: list[Ended[bool]] = field(default_factory=list)

    def once(
        self, tasks: Sequence[PlannedTask], executor: Executor | None, bar: tqdm, *, wait: bool
    ) -> Sequence[PlannedTask]:
        """Do the tasks, and return those that other processes are at work on."""
        calls = [partial(self._on, task, wait) for task in tasks]
        ends = {end.name: end for end in self._told(fan_out_to_slots(calls, self.devices, executor), bar)}
        return [task for task in tasks if ends[task.name].result is False]

    def _on(self, task: PlannedTask, wait: bool, device: str) -> Task[bool]:
        return Task(task.name, _Attempt(self.directory, task, self.work, device, wait), self.threads)

    def _told(self, ends: Iterator[Ended[bool]], bar: tqdm) -> Iterator[Ended[bool]]:
        for end in ends:
            bar.update(end.result is not False)
            if end.error is not None:
                self.remaining.failed(end, self.total)
                self.failed.append(end)
            elif end.result:
                self.remaining.remove(end.name, self.total)
                self.done.append(end.name)
            if self.on_end is not None and end.result is not False:
                self.on_end(end)
            yield end
