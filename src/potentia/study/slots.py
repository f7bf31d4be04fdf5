"""Tasks to devices: one at a time for each slot, the next task to the slot that is free first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import TypeVar

from potentia.study.tasks import Ended, Task, carry_out

__all__ = ["fan_out_to_slots"]

Result = TypeVar("Result")


def fan_out_to_slots(
    tasks: Sequence[Callable[[str], Task[Result]]], devices: Sequence[str], executor: Executor | None = None
) -> Iterator[Ended[Result]]:
    """Run tasks and give back how each has ended, as they end; see `fan_out`.

    Args:
        tasks: Each returns what to do on the device that it is given.
        devices: One for each slot; the same device twice is two slots.
        executor: Who does it; None does one after the other here, on the first device.
    """
    if executor is None:
        yield from (carry_out(task(devices[0])) for task in tasks)
        return
    waiting, free = deque(tasks), list(reversed(devices))
    running: dict[Future[Ended[Result]], tuple[str, str]] = {}
    try:
        while waiting or running:
            while waiting and free:
                device = free.pop()
                task = waiting.popleft()(device)
                running[executor.submit(carry_out, task)] = (task.name, device)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name, device = running.pop(future)
                free.append(device)
                error = future.exception()  # of the way there and back: what the task raises is in its end
                yield future.result() if error is None else Ended.by(name, error)
    finally:
        for future in running:
            future.cancel()
