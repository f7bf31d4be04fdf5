"""Progress bars of a training; of several processes the first shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm

from potentia import progress
from potentia.train import distributed
from potentia.train.callbacks import Callback
from potentia.train.run import Run

__all__ = ["BatchBar", "EpochBar"]


class EpochBar(Callback):
    """One bar over all epochs, with errors of the last one behind it; silent where there is no terminal or notebook.

    Args:
        epochs: Epochs in all.
        shown: Label → column of the history, for example ``{"test": "RMSE_test"}``.
        file: Where to; the standard error stream if None.
    """

    def __init__(self, epochs: int, shown: Mapping[str, str] | None = None, *, file: TextIO | None = None) -> None:
        self.epochs = epochs
        self.shown = dict(shown or {})
        self.file = file
        self._bar: tqdm | None = None

    def on_batch(self, run: Run) -> None:
        """Show the bar from the first batch on."""
        if self._bar is None and distributed.rank() == 0:
            at = run.epoch
            self._bar = progress.bar(self.epochs, "epochs", shown=True, initial=at, stays=True, file=self.file)

    def on_epoch(self, run: Run) -> None:
        """Move the bar to the completed epochs."""
        if self._bar is not None:
            row = run.history[-1]
            errors = {label: f"{row[column]:.4g}" for label, column in self.shown.items()}
            self._bar.set_postfix(errors, refresh=False)
            self._bar.update(run.epoch - self._bar.n)

    def on_end(self, run: Run) -> None:
        """Close the bar; it stays on the screen."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


class BatchBar(Callback):
    """One bar over the batches of the present epoch, gone when the epoch is over; silent where `EpochBar` is.

    Args:
        file: Where to; the standard error stream if None.
    """

    def __init__(self, *, file: TextIO | None = None) -> None:
        self.file = file
        self._bar: tqdm | None = None

    def on_batch(self, run: Run) -> None:
        """Move the bar to the completed batches."""
        if distributed.rank() > 0:
            return
        if self._bar is None:
            self._bar = progress.bar(run.batches, f"epoch {run.epoch + 1}", shown=True, file=self.file)
        self._bar.update(run.batch - self._bar.n)

    def on_epoch(self, run: Run) -> None:
        """Close the bar of this epoch."""
        self.on_end(run)

    def on_end(self, run: Run) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
