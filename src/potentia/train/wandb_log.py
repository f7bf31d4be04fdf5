"""A log in Weights & Biases (https://wandb.ai); the package is imported when a run begins, and only then."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from potentia.config import plain
from potentia.errors import warn_user
from potentia.train.recording import Log, Record
from potentia.train.run import Run

__all__ = ["WandbLog"]


class WandbLog(Log):
    """Sends records to a project; where ``wandb`` is not installed, it warns once and does nothing.

    Args:
        project: Name of the project.
        name: Name of the run there, and its identity: a run that is resumed under the same name goes on there.
        config: Settings to show; plain values, or what `potentia.config.plain` makes of them.
        by_step: Names of numbers to be drawn over batches.
        by_epoch: Names of numbers to be drawn over epochs.
        summary: More numbers and settings for its summary, beside the best monitored value and its epoch.
        directory: Where ``wandb`` keeps its files; None for its default.
    """

    def __init__(
        self,
        project: str,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        by_step: Sequence[str] = ("train/loss",),
        by_epoch: Sequence[str] = ("val/loss",),
        summary: Mapping[str, Any] | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self.project = project
        self.name = name
        self.config = dict(config or {})
        self.by_step, self.by_epoch = tuple(by_step), tuple(by_epoch)
        self.summary = dict(summary or {})
        self.directory = None if directory is None else Path(directory)
        self._there: Any = None

    def open(self, run: Run) -> None:
        """Begin the run, or let it go on, and say what is drawn over what."""
        try:
            import wandb
        except ModuleNotFoundError:
            warn_user("nothing goes to Weights & Biases: wandb is not installed (pip install wandb)")
            return
        where = {} if self.directory is None else {"dir": str(self.directory)}
        known = {} if self.name is None else {"name": self.name, "id": self.name, "resume": "allow"}
        self._there = wandb.init(project=self.project, config=plain(self.config), **known, **where)
        for axis, names in (("step", self.by_step), ("epoch", self.by_epoch)):
            self._there.define_metric(axis)
            for name in names:
                self._there.define_metric(name, step_metric=axis)

    def write(self, record: Record) -> None:
        """Send a record."""
        if self._there is not None:
            self._there.log({"epoch": record.epoch, "step": record.step, **record.values})

    def close(self, run: Run) -> None:
        """Send the summary, and end."""
        if self._there is not None:
            best = {"best_value": run.best.value, "best_epoch": run.best.epoch} if run.best.epoch else {}
            self._there.summary.update({**plain(self.summary), **best})
            self._there.finish()
        self._there = None
