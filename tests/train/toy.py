"""A regression small enough to be trained in a blink; run as a script it trains slowly, to be killed or stopped."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from potentia.testing.comparing import require_same
from potentia.testing.regression import EPOCHS, TIMES, Regression, batches, new_run, numbers, rows_of, train
from potentia.train import Callback, Checkpoints, Plateau, Run, StopOnSignal

__all__ = ["EPOCHS", "TIMES", "Regression", "batches", "new_run", "numbers", "rows_of", "train"]

SETTINGS = {"seed": 5, "testpercent": 20, "method": {"batchsize": 4}, "data": "toy"}


class Slow(Callback):
    def on_batch(self, run: Run) -> None:
        time.sleep(0.004)


class WaitForSignal(Callback):
    """Says that it is there, and waits to be interrupted."""

    def on_batch(self, run: Run) -> None:
        if (run.epoch, run.batch) == (2, 3):
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            deadline = time.monotonic() + 60
            while not run.interrupted and time.monotonic() < deadline:
                time.sleep(0.005)


class StopAfter(Callback):
    """Stand-in for an interruption at a known place."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = (epoch, batch)

    def on_settled(self, run: Run) -> None:
        if (run.epoch, run.batch) == self.place:
            raise KeyboardInterrupt


def assert_same(one: object, other: object) -> None:
    """Compare nested states bit for bit."""
    require_same("both are the same to the bit", one, other)


def slow_schedule() -> Plateau:
    return Plateau(patience=0, factor=0.7)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, *signals = sys.argv[1:]
    if signals:
        saving = Checkpoints(Path(folder), SETTINGS, every_epochs=0, save_best=False)
        callbacks = [saving, StopOnSignal(*signals), WaitForSignal()]
    else:
        callbacks = [Checkpoints(Path(folder), SETTINGS, every_batches=1, keep=4), Slow()]
    train(new_run(schedule=slow_schedule()), callbacks=callbacks)
