"""Checkpoints on the way: when they are written, what they are called, and which are kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from potentia.checks import integer
from potentia.train import distributed
from potentia.train.callbacks import Callback
from potentia.train.checkpoint import save_checkpoint
from potentia.train.run import Run

__all__ = ["BEST", "Checkpoints", "Moment", "newest_checkpoint"]

BEST = "best_model.pt"
"""Name of the checkpoint with the best monitored value."""

_NAME = re.compile(r"checkpoint_epoch_(\d{4,})(?:_batch_(\d{6,}))?\.pt")
_WRITTEN = "checkpoints"


class Moment(NamedTuple):
    """How far a run had come; moments are ordered by time."""

    epoch: int
    """Completed epochs."""
    batch: int
    """Completed batches of the epoch after."""

    @property
    def file_name(self) -> str:
        """Name of the checkpoint of this moment."""
        batch = f"_batch_{self.batch:06d}" if self.batch else ""
        return f"checkpoint_epoch_{self.epoch:04d}{batch}.pt"


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
        every_batches: Write also in the middle of an epoch after so many batches of it; 0 for never.
        keep: How many to keep; None for all.
        save_best: Write ``best_model.pt`` whenever the monitored value is the best so far.
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
    ) -> None:
        self.directory = Path(directory)
        self.settings = settings
        self.extra = extra
        self.every_epochs = integer("every_epochs", every_epochs, low=0)
        self.every_batches = integer("every_batches", every_batches, low=0)
        self.keep = None if keep is None else integer("keep", keep, low=1)
        self.save_best = save_best

    def on_settled(self, run: Run) -> None:
        """Write every so many batches and epochs, and the best model."""
        every, done = (self.every_batches, run.batch) if run.batch else (self.every_epochs, run.epoch)
        if every and done % every == 0:
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
        kept = written if self.keep is None else written[-self.keep :]
        run.memory[_WRITTEN] = torch.tensor(written, dtype=torch.int64)  # [checkpoints, epoch and batch]
        self._write(run, now.file_name)
        for moment in written:
            if moment not in kept and distributed.rank() == 0:
                (self.directory / moment.file_name).unlink(missing_ok=True)
        run.memory[_WRITTEN] = torch.tensor(kept, dtype=torch.int64)

    def _write(self, run: Run, name: str) -> None:
        if distributed.rank() > 0:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.directory / name, run, self.settings, self.extra)


def newest_checkpoint(directory: str | os.PathLike[str]) -> Path | None:
    """Return the checkpoint in ``directory`` whose run had come farthest, by number; None where there is none."""
    folder = Path(directory)
    found = {_moment(path.name): path for path in (folder.iterdir() if folder.is_dir() else ())}
    moments = [moment for moment in found if moment is not None]
    return found[max(moments)] if moments else None


def _moment(name: str) -> Moment | None:
    match = _NAME.fullmatch(name)
    return Moment(int(match[1]), int(match[2] or 0)) if match else None


def _written(run: Run) -> list[Moment]:
    """Return the moments whose checkpoints this run has written and not removed."""
    return [Moment(*pair) for pair in run.memory[_WRITTEN].tolist()] if _WRITTEN in run.memory else []
