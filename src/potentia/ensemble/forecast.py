"""How long the training of a committee will take, from the forecast of one member."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from potentia.ensemble.config import CommitteeConfig
from potentia.study import threads_limited, threads_per_task
from potentia.train import Forecast

__all__ = ["forecast_of_all"]


def forecast_of_all(wanted: CommitteeConfig, of_one: Callable[[], Forecast]) -> Forecast:
    """Return the forecast of all members; an epoch is one of each.

    One member is measured with the threads that each has, so many members are trained at a time as ``max_parallel``
    says, and memory is that of as many processes.
    """
    at_once = min(wanted.max_parallel, wanted.num_members)
    threads = wanted.threads_per_member or (threads_per_task(at_once) if at_once > 1 else None)
    with threads_limited(threads):
        one = of_one()
    rounds, memory = -(-wanted.num_members // at_once), one.memory_bytes
    return replace(
        one,
        seconds_per_epoch=rounds * one.seconds_per_epoch,
        memory_bytes=None if memory is None else at_once * memory,
    )
