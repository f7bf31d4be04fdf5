"""The training loop of all families: it knows a run, a task, and how to draw batches.

A run that is interrupted anywhere and resumed equals the unbroken one bit for bit, because everything that a step
depends on is in the `Run` or a pure function of it; what torch draws inside a step (dropout) comes from a stream of
that batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from potentia.errors import DataError, TrainingError, warn_user
from potentia.metrics import ErrorSum, merge
from potentia.seeding import torch_seeded
from potentia.train import distributed
from potentia.train.callbacks import Callback
from potentia.train.flat import FlatParameters
from potentia.train.run import Run
from potentia.train.task import BatchLoss, Task

__all__ = ["fit", "take_score", "take_step"]

Batch = TypeVar("Batch")


def fit(
    run: Run,
    task: Task[Batch],
    batches: Callable[[int], Sequence[Batch]],
    epochs: int,
    callbacks: Sequence[Callback] = (),
    max_bad: int = 10,
) -> None:
    """Train until ``run.epoch == epochs`` (counted from the beginning of the run), or it is stopped or interrupted.

    A batch whose loss or gradient is not finite changes nothing: it is left out, counted, and warned of once an epoch;
    ``max_bad`` of them in a row are a `TrainingError`, and no batches at all a `DataError`. The history gets the task's
    columns and ``learning_rate`` (of its last batch), ``skipped``, ``epoch_time``, ``forward_time`` and
    ``backward_time`` (s). A run that was interrupted goes on; one that was stopped for good is over, with a warning.

    Args:
        run: The record of the training, changed in place; it may stand in the middle of an epoch.
        task: Loss and score.
        batches: Number of completed epochs → batches of the next one; must depend on nothing that changes elsewhere.
        epochs: Epochs in all.
        callbacks: Called in this order at each occasion.
        max_bad: So many batches in a row that are not finite end the run with an error.
    """
    run.interrupted = ""
    if run.stopped and run.epoch < epochs:
        text = f"nothing is trained: this run was stopped after epoch {run.epoch} ({run.stopped})"
        warn_user(text)
        return
    try:
        for callback in callbacks:
            callback.on_begin(run)
        _require_same_weights(run)
        while run.epoch < epochs and not run.halted:
            _epoch(run, task, batches(run.epoch), callbacks, max_bad)
        for callback in callbacks:
            callback.on_rest(run)
    finally:
        for callback in callbacks:
            callback.on_end(run)


def _epoch(run: Run, task: Task[Batch], plan: Sequence[Batch], callbacks: Sequence[Callback], max_bad: int) -> None:
    """Take the steps that are left of an epoch, and close it unless a callback has stopped the run before."""
    if len(plan) == 0:
        raise DataError(f"epoch {run.epoch + 1} has no batches: there is nothing to train on")
    run.batches = len(plan)
    run.model.train()
    while run.batch < len(plan) and not run.halted:
        with _timed(run, "epoch_time"):
            take_step(run, task, plan[run.batch], max_bad)
        for callback in callbacks:
            callback.on_batch(run)
        _settle(run, callbacks)
    if run.batch >= len(plan):
        _close_epoch(run, task)
        for callback in callbacks:
            callback.on_epoch(run)
        _settle(run, callbacks)
        _require_same_weights(run)


def _settle(run: Run, callbacks: Sequence[Callback]) -> None:
    """Let all processes halt where one of them wants to, and let callbacks save what stands now."""
    run.stopped, run.interrupted = distributed.agree(run.stopped, run.interrupted)
    for callback in callbacks:
        callback.on_settled(run)


def _require_same_weights(run: Run) -> None:
    if distributed.active():
        weights = FlatParameters([p for p in run.model.parameters() if p.requires_grad]).read()
        place = f"{run.seed} {run.epoch} {run.batch} ".encode()
        advice = "train on machines of one kind, with the same versions, settings and order of the data"
        what = f"after epoch {run.epoch} the weights"
        distributed.require_same(what, place + weights.cpu().numpy().tobytes(), advice)


def take_step(run: Run, task: Task[Batch], batch: Batch, max_bad: int = 10) -> None:
    """Change the weights by one batch, or leave it out."""

    def evaluate() -> BatchLoss:
        with _timed(run, "forward_time"), torch_seeded(run.device, run.seed, "step", run.epoch, run.batch):
            return task.loss(run.model, batch)

    run.set_rates()
    with _timed(run, "step_time"):
        step = run.stepper.step(evaluate)
    run.batch += 1
    run.scores = step.loss.scores if step.taken else None
    if step.taken:
        run.sums = merge(run.sums, step.loss.sums)
        run.bad_in_a_row = 0
        run.stopped = step.finished or run.stopped
        run.follow_weights()
    else:
        _leave_out(run, step.loss, max_bad)


def _leave_out(run: Run, loss: BatchLoss, max_bad: int) -> None:
    run.sums = merge(run.sums, dict.fromkeys(loss.sums, ErrorSum.zero))
    run.skipped += 1
    run.bad_in_a_row += 1
    what = "its gradient" if math.isfinite(loss.value.item()) else "its loss"
    where = f"epoch {run.epoch + 1}, batch {run.batch}"
    if run.bad_in_a_row >= max_bad:
        rate = run.learning_rate
        slower = "" if math.isnan(rate) else f"lower the learning rate (now {rate:g}), or "
        raise TrainingError(
            f"{run.bad_in_a_row} batches in a row were not finite, the last is {where} ({what}): {slower}look for "
            "labels and inputs that are far off"
        )
    if run.skipped == 1:
        text = f"{where} left out: {what} is not finite (said once an epoch; column `skipped` counts)"
        warn_user(text)


def take_score(run: Run, task: Task[Batch]) -> dict[str, ErrorSum] | None:
    """Score the model, with the averaged weights if there are any."""
    run.model.eval()
    with torch_seeded(run.device, run.seed, "score", run.epoch), run.averaged(), torch.no_grad():
        return task.score(run.model)


def _close_epoch(run: Run, task: Task[Batch]) -> None:
    """Score the model, and write the row of this epoch."""
    with _timed(run, "epoch_time"):
        valid = take_score(run, task)
    row = task.row(run.sums, valid)
    value = task.monitor(row)
    engine_columns = {
        "learning_rate": run.learning_rate,
        "skipped": float(run.skipped),
        "epoch_time": run.times["epoch_time"],
        "forward_time": run.times["forward_time"],
        "backward_time": run.times["step_time"] - run.times["forward_time"],
    }
    run.close_epoch({**row, **engine_columns}, value)


@contextmanager
def _timed(run: Run, name: str) -> Iterator[None]:
    """Add the time spent inside to ``run.times`` (on a GPU: the time of this thread, which does not wait for it)."""
    begun = time.perf_counter()
    yield
    run.times[name] += time.perf_counter() - begun
