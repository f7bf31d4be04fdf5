"""Windows that could not be simulated in training: counted, and a training with too many of them ends."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from potentia.dynamics.task import Batches
from potentia.errors import warn_user
from potentia.storage import write_json
from potentia.train import Callback, Run

__all__ = ["FILE", "Divergence"]

FILE = "diverged_windows.json"
"""Name of the list of windows."""
_WINDOWS = "diverged_windows"
NAMED = 10
"""So many windows are named in the message."""


class Divergence(Callback):
    """Stops the run for good after an epoch in which too many windows were left out, and says which.

    A window is left out where its states or, with all of its batch, the gradient are not finite.

    Args:
        batches: Those of the run.
        most: The part of an epoch's windows that may be left out.
        directory: Where their numbers are written; None for nowhere.
    """

    def __init__(self, batches: Batches, most: float, directory: str | os.PathLike[str] | None) -> None:
        self.batches = batches
        self.most = most
        self.directory = directory

    def on_batch(self, run: Run) -> None:
        """Note the windows that were left out."""
        if run.scores is None:
            left_out = torch.from_numpy(self.batches(run.epoch)[run.batch - 1].windows)
        else:
            windows, errors = run.scores
            left_out = windows[~torch.isfinite(errors)].cpu()
        if len(left_out):
            run.memory[_WINDOWS] = torch.cat((run.memory.get(_WINDOWS, left_out[:0]), left_out))

    def on_epoch(self, run: Run) -> None:
        """Stop if they were too many."""
        if _WINDOWS not in run.memory:
            return
        windows = run.memory.pop(_WINDOWS).unique().tolist()
        n = sum(len(batch.windows) for batch in self.batches(run.epoch - 1))
        if len(windows) <= self.most * n:
            return
        where = ""
        if self.directory is not None:
            path = Path(self.directory) / FILE
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, "diverged windows", {"epoch": run.epoch, "windows": windows})
            where = f", all in {path}"
        more = ", ..." if len(windows) > NAMED else ""
        listed = ", ".join(str(window) for window in windows[:NAMED])
        run.stopped = (
            f"{len(windows)} of {n} windows could not be simulated in epoch {run.epoch} (windows {listed}{more}{where})"
        )
        text = (
            f"{run.stopped}: lower the learning rate, take more substeps or narrower bounds, or look at these windows"
        )
        warn_user(text, page="dynamics.md#substeps-and-stiffness")
