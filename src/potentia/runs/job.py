"""A training carried out in a directory of its own, the same for all families: begun, resumed, written."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from potentia.config import differences
from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.outcome import Outcome
from potentia.runs.directory import RunDirectory
from potentia.runs.provenance import provenance

if TYPE_CHECKING:
    import pandas as pd

    from potentia.train import Forecast

__all__ = ["Curves", "Job", "Trained", "carry_out", "require_same_data", "require_same_settings"]


class Curves(Outcome, Protocol):
    """What the training of any estimator returns."""

    @property
    def seed(self) -> int | None:
        """Seed of all draws."""

    def plot_training_summary(self, outfile: Path) -> Any:
        """Draw losses and errors over the epochs."""


class _Saved(Protocol):
    def save(self, path: Path) -> None:
        """Write the estimator."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training has brought."""

    estimator: _Saved
    """The trained one."""
    out: Curves
    """Its history."""
    errors: pd.DataFrame | None
    """Errors on what was held out; None where nothing was, or where the training has only paused."""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Name → what else is worth a table."""
    advice: Sequence[str] = ()
    """What the history says that may be done better."""


Result = TypeVar("Result", bound=Trained)
Result_co = TypeVar("Result_co", bound=Trained, covariant=True)


class Job(ABC, Generic[Result_co]):
    """A training whose settings and data are known."""

    @abstractmethod
    def mark(self) -> dict[str, Any]:
        """Return what the data are: their hash and sizes."""

    @abstractmethod
    def forecast(self) -> Forecast:
        """Measure how long the training would take."""

    @abstractmethod
    def train(self, directory: RunDirectory, resume_from: Path | None) -> Result_co:
        """Train, or go on; checkpoints and what only this family writes go to the directory."""

    def seen(self) -> Sequence[str]:
        """Return what is trained on, in lines."""
        return list(_told(self.mark()))


def carry_out(
    job: Job[Result],
    directory: RunDirectory,
    settings: Mapping[str, Any],
    seed: int | None,
    *,
    resumed: bool = False,
    resume_from: Path | None = None,
) -> Result:
    """Train, and leave all that belongs to the run in its directory.

    A run that is refused before its first checkpoint leaves nothing there: the same directory may be taken again. One
    that is refused when it is to go on leaves what was there.

    Args:
        job: The training.
        directory: Of the run.
        settings: All of them, plain, as the file of settings of the run has them.
        seed: Root of all draws.
        resumed: Whether the run has been there before.
        resume_from: The checkpoint to go on from; None to begin.
    """
    before = directory.begun()
    directory.begin(settings, provenance(seed, job.mark()), resumed=resumed)
    try:
        trained = job.train(directory, resume_from)
    except (ConfigError, DataError, FileFormatError):
        directory.withdraw(before)
        raise
    out = trained.out
    directory.write_history(out.history)
    if out.history:  # paused inside the first epoch, there is nothing to draw
        out.plot_training_summary(directory.losses)
    if trained.errors is not None:
        directory.write_table("errors", trained.errors)
    for name, table in trained.tables.items():
        directory.write_table(name, table)
    if not out.resumable:
        trained.estimator.save(directory.model)
    return trained


def require_same_settings(
    directory: RunDirectory, settings: Mapping[str, Any], free: frozenset[str], besides: frozenset[str] = frozenset()
) -> None:
    """Check that a run can go on with these settings; where its data lie may have changed.

    Args:
        directory: Of the run.
        settings: All of them, plain.
        free: Fields of ``training`` that may be others.
        besides: ``block.field`` of other blocks that may.

    Raises:
        ConfigError: something is not the same that decides what is learned; the message lists it.
    """
    before = directory.read_settings()
    if before.get("family") != settings["family"]:
        raise ConfigError(
            f"{directory.path} is a run of {before.get('family')}, these are settings of {settings['family']}: resume "
            "it with its own"
        )
    allowed = {"data", *(f"training.{name}" for name in free - {"seed"})} | besides
    changed = differences(before, settings, allow=allowed)
    if changed:
        raise ConfigError(
            f"{directory.path} was begun with other settings: {'; '.join(changed)}. Put them back to resume it, or "
            "begin a new run"
        )


def require_same_data(directory: RunDirectory, mark: Mapping[str, Any]) -> None:
    """Check that the data are those that a run was begun with.

    Raises:
        DataError: they are not; the message lists how.
    """
    changed = differences(directory.read_provenance()["data"], json.loads(json.dumps(mark)))
    if changed:
        raise DataError(
            f"{directory.path} was begun with other data: {'; '.join(changed)}. Put them back as they were to resume "
            "it, or begin a new run"
        )


def _told(mark: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each group of sizes; hashes are for programs."""
    for name, content in mark.items():
        if isinstance(content, Mapping):
            yield f"{name}: " + ", ".join(f"{key} {value}" for key, value in content.items() if isinstance(value, int))
