"""Laws of methods of training, of schedules and of averages: what is interrupted goes on as if nothing had happened."""

from __future__ import annotations

import tempfile
from pathlib import Path

from potentia.testing import regression
from potentia.testing.comparing import require, require_same
from potentia.train import Callback, Run, TrainingMethod, load_checkpoint, save_checkpoint
from potentia.train.averages import Average
from potentia.train.schedules import Schedule

__all__ = ["equal_seeds_give_equal_runs", "resumed_is_unbroken"]


class _SaveAt(Callback):
    """Saves once in the middle of each epoch, and behind two of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_batch(self, run: Run) -> None:
        if run.batch == 1 + run.epoch % run.batches:
            save_checkpoint(self.folder / f"{run.epoch}-{run.batch}.pt", run, {})

    def on_epoch(self, run: Run) -> None:
        if run.epoch in {1, 4}:
            save_checkpoint(self.folder / f"{run.epoch}.pt", run, {})


def resumed_is_unbroken(
    method: TrainingMethod, schedule: Schedule | None = None, average: Average | None = None
) -> None:
    """A small training, saved in the middle of epochs and behind them, ends the same from each of its files.

    All state of the run is compared to the bit: weights, what the method has learned, schedule, averages, history.

    Raises:
        AssertionError: something is not saved, or drawn outside of the named streams; the message says what differs.

    >>> from potentia.train import Cosine, SGD
    >>> resumed_is_unbroken(SGD(lr=0.05, batchsize=4, momentum=0.9), Cosine(6))
    """
    with tempfile.TemporaryDirectory() as folder:
        saving = _SaveAt(Path(folder))
        whole = regression.numbers(regression.train(_fresh(method, schedule, average), callbacks=[saving]))
        paths = sorted(Path(folder).iterdir())
        require("a run has its epochs", len(paths) == regression.EPOCHS + 2, f"{len(paths)} checkpoints")
        for path in paths:
            again = regression.new_run(method, schedule, seed=99, average=average)  # all must come from the file
            load_checkpoint(path).resume(again, {})
            law = f"resumed from {path.name} a run is the unbroken one"
            require_same(law, regression.numbers(regression.train(again)), whole)


def equal_seeds_give_equal_runs(
    method: TrainingMethod, schedule: Schedule | None = None, average: Average | None = None
) -> None:
    """Two trainings of one seed are the same to the bit: nothing is drawn outside of the named streams."""
    one, other = (regression.train(_fresh(method, schedule, average)) for _ in range(2))
    require_same("equal seeds give equal runs", regression.numbers(one), regression.numbers(other))


def _fresh(method: TrainingMethod, schedule: Schedule | None, average: Average | None) -> Run:
    return regression.new_run(method, schedule, average=average)
