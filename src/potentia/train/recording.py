"""What a run tells while it goes on: a record after every so many batches and after each epoch, for any log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from potentia.checks import choice, did_you_mean, integer
from potentia.errors import ConfigError
from potentia.metrics import ErrorSum
from potentia.train import distributed
from potentia.train.callbacks import Callback
from potentia.train.run import Run

__all__ = ["Log", "Record", "Recording"]

_MEASURES: dict[str, Callable[[ErrorSum], float]] = {"mae": lambda one: one.mae, "rmse": lambda one: one.rmse}


@dataclass(frozen=True)
class Record:
    """Numbers of a run at a moment; records are ordered by ``(epoch, batch)``."""

    epoch: int
    """Completed epochs."""
    batch: int
    """Completed batches of the epoch after; 0 in a record of a whole epoch."""
    step: int
    """Completed batches of all epochs."""
    values: Mapping[str, float]
    """Numbers by name; NaN where there is no value."""


class Log(ABC):
    """Where records go: a file, a service."""

    @abstractmethod
    def open(self, run: Run) -> None:
        """Called before the first record of a run, which may have been resumed from a checkpoint."""

    @abstractmethod
    def write(self, record: Record) -> None:
        """Take a record."""

    @abstractmethod
    def close(self, run: Run) -> None:
        """Called when the engine leaves, also with an error."""


class Recording(Callback):
    """Hands records of a run over to a log; of several processes the first does.

    Args:
        log: Where they go.
        columns: Column of the history → its name in the log; other columns have their own names there.
        every_batches: Also a record after so many batches, with the errors since the one before and the learning rate;
            0 for none.
        measure: What these errors are: mean absolute (``"mae"``) or root mean square (``"rmse"``).
        errors: Name of errors in ``run.sums`` → their name in the log; None for all, as ``train/<name>``.
    """

    def __init__(
        self,
        log: Log,
        columns: Mapping[str, str] | None = None,
        *,
        every_batches: int = 0,
        measure: Literal["mae", "rmse"] = "mae",
        errors: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self.columns = dict(columns or {})
        self.every_batches = integer("every_batches", every_batches, low=0)
        self.measure = _MEASURES[choice("measure", measure, tuple(_MEASURES))]
        self.errors = None if errors is None else dict(errors)
        self._told: dict[str, ErrorSum] = {}

    def on_begin(self, run: Run) -> None:
        """Open the log."""
        self._told = dict(run.sums)
        if distributed.rank() == 0:
            self.log.open(run)

    def on_batch(self, run: Run) -> None:
        """Tell the errors since the last record of batches."""
        if not self.every_batches or run.batch % self.every_batches:
            return
        new = {name: _since(self._told.get(name, ErrorSum.zero), one) for name, one in run.sums.items()}
        self._told = dict(run.sums)
        names = {name: f"train/{name}" for name in new} if self.errors is None else self.errors
        values = {called: self.measure(new.get(name, ErrorSum.zero)) for name, called in names.items()}
        self._write(Record(run.epoch, run.batch, _steps(run), {**values, "learning_rate": run.learning_rate}))

    def on_epoch(self, run: Run) -> None:
        """Tell the row of the epoch."""
        self._told = {}
        row = run.history[-1]
        for column in self.columns:
            if column not in row:
                raise ConfigError(f"the history has no column {column!r}{did_you_mean(column, row)}")
        values = {self.columns.get(column, column): value for column, value in row.items()}
        self._write(Record(run.epoch, 0, _steps(run), values))

    def on_end(self, run: Run) -> None:
        """Close the log."""
        if distributed.rank() == 0:
            self.log.close(run)

    def _write(self, record: Record) -> None:
        if distributed.rank() == 0:
            self.log.write(record)


def _since(before: ErrorSum, now: ErrorSum) -> ErrorSum:
    return ErrorSum(now.absolute - before.absolute, now.squared - before.squared, now.count - before.count)


def _steps(run: Run) -> int:
    return run.epoch * run.batches + run.batch
