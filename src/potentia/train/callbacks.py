"""What may look at a run while it goes on: stopping rules, loggers, checkpoints, progress bars."""

from __future__ import annotations

from potentia.train.run import Run

__all__ = ["Callback"]


class Callback:
    """Does nothing; derive from it and say what to do. What must outlive an interruption belongs in ``run.memory``."""

    def on_begin(self, run: Run) -> None:
        """Called once before the first batch."""

    def on_batch(self, run: Run) -> None:
        """Called after each batch, also after one that was left out."""

    def on_epoch(self, run: Run) -> None:
        """Called after each epoch, when its row stands in the history."""

    def on_settled(self, run: Run) -> None:
        """Called after `on_batch` and after `on_epoch` of all callbacks, whatever their order: save the run here.

        Behind an epoch ``run.batch`` is 0.
        """

    def on_rest(self, run: Run) -> None:
        """Called once when nothing is left to do: after the last epoch, or where the run was stopped or interrupted."""

    def on_end(self, run: Run) -> None:
        """Called once when the engine leaves, also with an error: close what is open, and save nothing here."""
