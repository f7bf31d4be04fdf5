"""Checkpoints on the way: when they are written, and which are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from potentia.checks import integer
from potentia.train import distributed
from potentia.train.callbacks import Callback
from potentia.train.checkpoint import save_checkpoint
from potentia.train.checkpoint_names import BY_EPOCH, Moment, Naming
from potentia.train.run import Run

__all__ = ["BEST", "Checkpoints", "newest_checkpoint"]

BEST = "best_model.pt"
"""Name of the checkpoint with the best monitored value."""

_WRITTEN = "checkpoints"


class Checkpoints(Callback):
    """Writes checkpoints of the run it is called with, in any case when the run is stopped or interrupted.

    Rotation keeps the newest ``keep`` checkpoints and removes older ones that this run has written, itself or before it
    was resumed: the list travels inside the checkpoints. It touches no other file, neither the best model nor
    checkpoints that another run left in the same directory. The new one is written before an old one goes. Of several
    processes the first writes.

    Args:
        directory: Where to; made when first needed.
        settings: What the run belongs to, see `potentia.train.checkpoint.Checkpoint`.
        extra: What to store beside the run.
        every_epochs: Write after so many epochs and after the last one; 0 for never.
        every_batches: Write also in the middle of an epoch after so many batches, counted as ``naming`` says; 0 for
            never.
        keep: How many to keep of those that ``naming`` does not let last; None for all.
        save_best: Write ``best_model.pt`` whenever the monitored value is the best so far.
        naming: What they are called.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        settings: Mapping[str, Any],
        extra: Mapping[str, Any] | None = None,
        *,
        every_epochs: int = 1,
        every_batches: int = 0,
        keep: int | None = None,
        save_best: bool = True,
        naming: Naming = BY_EPOCH,
    ) -> None:
        self.directory = Path(directory)
        self.settings = settings
        self.extra = extra
        self.every_epochs = integer("every_epochs", every_epochs, low=0)
        self.every_batches = integer("every_batches", every_batches, low=0)
        self.keep = None if keep is None else integer("keep", keep, low=1)
        self.save_best = save_best
        self.naming = naming

    def on_settled(self, run: Run) -> None:
        """Write every so many batches and epochs, and the best model."""
        now = Moment(run.epoch, run.batch)
        if now.batch:
            due = bool(self.every_batches) and self.naming.due(now, run.batches, self.every_batches)
        else:
            due = bool(self.every_epochs) and now.epoch % self.every_epochs == 0
        if due:
            self._write_and_rotate(run)
        if self.save_best and run.batch == 0 and run.best.epoch == run.epoch:
            self._write(run, BEST)

    def on_rest(self, run: Run) -> None:
        """Write where the run came to rest, so that it can go on; without ``every_epochs`` only if it ended early."""
        if run.halted or (self.every_epochs and Moment(run.epoch, run.batch) not in _written(run)):
            self._write_and_rotate(run)

    def _write_and_rotate(self, run: Run) -> None:
        now = Moment(run.epoch, run.batch)
        written = sorted({*_written(run), now})
        rotating = [moment for moment in written if not self.naming.lasting(moment)]
        removed = [] if self.keep is None else rotating[: -self.keep]
        run.memory[_WRITTEN] = torch.tensor(written, dtype=torch.int64)  # [checkpoints, epoch and batch]
        self._write(run, self.naming.name(now, run.batches))
        for moment in removed:
            if distributed.rank() == 0:
                (self.directory / self.naming.name(moment, run.batches)).unlink(missing_ok=True)
        kept = [moment for moment in written if moment not in removed]
        run.memory[_WRITTEN] = torch.tensor(kept, dtype=torch.int64)

    def _write(self, run: Run, name: str) -> None:
        if distributed.rank() > 0:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.directory / name, run, self.settings, self.extra)


def newest_checkpoint(directory: str | os.PathLike[str], naming: Naming = BY_EPOCH) -> Path | None:
    """Return the checkpoint in ``directory`` whose run had come farthest; None where there is none."""
    return naming.newest(Path(directory))


def _written(run: Run) -> list[Moment]:
    """Return the moments whose checkpoints this run has written and not removed."""
    return [Moment(*pair) for pair in run.memory[_WRITTEN].tolist()] if _WRITTEN in run.memory else []
