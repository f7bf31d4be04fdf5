"""How long a training will take: measured on its first batches, with a copy of the run."""

from __future__ import annotations

import copy
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from potentia.checks import integer, number
from potentia.errors import DataError
from potentia.train.engine import take_score, take_step
from potentia.train.run import Run
from potentia.train.task import Task

__all__ = ["Forecast", "forecast", "time_in_words"]

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Forecast:
    """What the rest of a training is likely to need."""

    epochs: float
    """Epochs that are left."""
    batches_per_epoch: int
    """Batches of the present epoch."""
    seconds_per_epoch: float
    """Time of an epoch: drawing, steps and scoring; not the callbacks (s)."""
    memory_bytes: int | None = None
    """The most memory that the process has had so far, with the data and what was done in it before (bytes)."""

    @property
    def seconds_total(self) -> float:
        """Time of all epochs that are left (s)."""
        return self.epochs * self.seconds_per_epoch

    def __str__(self) -> str:
        """Return one line.

        >>> print(Forecast(epochs=100, batches_per_epoch=34, seconds_per_epoch=75.0, memory_bytes=3 * 2**30))
        100 epochs of 34 batches: 1 min 15 s each, 2 h 5 min in all, 3.0 GiB of memory
        """
        memory = "" if self.memory_bytes is None else f", {self.memory_bytes / 2**30:.1f} GiB of memory"
        return (
            f"{self.epochs:.4g} epochs of {self.batches_per_epoch} batches: "
            f"{time_in_words(self.seconds_per_epoch)} each, {time_in_words(self.seconds_total)} in all{memory}"
        )


def forecast(
    run: Run,
    task: Task[Batch],
    batches: Callable[[int], Sequence[Batch]],
    epochs: int,
    *,
    steps: int = 5,
    seconds: float = 0.2,
) -> Forecast:
    """Measure some batches and a score on a copy of ``run``, after one of each to warm up (compilers, caches).

    Nothing of the run is changed. For a moment there are two models and optimizers in memory.

    Args:
        run: The training, before its first or any other batch.
        task: Loss and score; where its loss has effects elsewhere, they remain.
        batches: As for `fit`.
        epochs: As for `fit`: epochs in all.
        steps: Measure at least so many batches; more of them tell more where batches differ.
        seconds: Measure batches for at least so long (s): short ones need more of them.

    Raises:
        DataError: there are no batches.
    """
    integer("steps", steps, low=1)
    number("seconds", seconds, low=0)
    trial = copy.deepcopy(run)
    begun = _now(trial)
    plan = batches(trial.epoch)
    drawing = _now(trial) - begun
    if len(plan) == 0:
        raise DataError(f"epoch {trial.epoch + 1} has no batches: there is nothing to train on")
    trial.batches = len(plan)
    left = max(epochs - trial.epoch - trial.batch / len(plan), 0.0)
    trial.model.train()
    take_step(trial, task, plan[0])
    taken, begun = 0, _now(trial)
    while taken < steps or _now(trial) - begun < seconds:
        taken += 1
        take_step(trial, task, plan[taken % len(plan)])
    stepping = (_now(trial) - begun) * len(plan) / taken
    take_score(trial, task)
    begun = _now(trial)
    take_score(trial, task)
    scoring = _now(trial) - begun
    return Forecast(left, len(plan), drawing + stepping + scoring, _peak_memory())


def _peak_memory() -> int:
    """Return the most memory that this process has had so far (bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _now(run: Run) -> float:
    """Return the time when the device has done what it was told (s)."""
    if run.device.type == "cuda":
        torch.cuda.synchronize(run.device)
    return time.perf_counter()


def time_in_words(seconds: float) -> str:
    """Return a time in the two largest units, which is as exact as a forecast is.

    >>> time_in_words(2.345), time_in_words(75), time_in_words(7500)
    ('2.3 s', '1 min 15 s', '2 h 5 min')
    """
    if seconds < 59.5:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
