"""What checkpoints are called, when one inside an epoch is due, and which of them rotation may remove."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from potentia.train.checkpoint import load_checkpoint

__all__ = ["BY_EPOCH", "EpochNames", "Moment", "Naming", "StepNames"]


class Moment(NamedTuple):
    """How far a run had come; moments are ordered by time."""

    epoch: int
    """Completed epochs."""
    batch: int
    """Completed batches of the epoch after."""


class Naming(ABC):
    """A rule for the names of checkpoints."""

    @abstractmethod
    def name(self, moment: Moment, batches: int) -> str:
        """Return the name of the checkpoint of a moment, in epochs of so many batches."""

    @abstractmethod
    def due(self, moment: Moment, batches: int, every: int) -> bool:
        """Return whether a checkpoint is due at a moment inside an epoch, where one comes after ``every`` batches."""

    @abstractmethod
    def lasting(self, moment: Moment) -> bool:
        """Return whether rotation leaves the checkpoint of this moment alone."""

    @abstractmethod
    def newest(self, directory: Path) -> Path | None:
        """Return the checkpoint in a directory whose run had come farthest, None where there is none."""


@dataclass(frozen=True)
class EpochNames(Naming):
    """``checkpoint_epoch_0003.pt``, and ``checkpoint_epoch_0003_batch_000200.pt`` after 200 batches more."""

    def name(self, moment: Moment, batches: int) -> str:
        """Return the name: completed epochs, and batches of the epoch after."""
        batch = f"_batch_{moment.batch:06d}" if moment.batch else ""
        return f"checkpoint_epoch_{moment.epoch:04d}{batch}.pt"

    def due(self, moment: Moment, batches: int, every: int) -> bool:
        """Return whether this is the batch: they are counted from the beginning of the epoch."""
        return moment.batch % every == 0

    def lasting(self, moment: Moment) -> bool:
        """Return False: rotation takes all alike."""
        return False

    def newest(self, directory: Path) -> Path | None:
        """Return the one with the highest numbers."""
        pattern = re.compile(r"checkpoint_epoch_(\d{4,})(?:_batch_(\d{6,}))?\.pt")
        found = {Moment(int(one[1]), int(one[2] or 0)): path for path, one in _matches(directory, pattern)}
        return found[max(found)] if found else None


BY_EPOCH = EpochNames()
"""What checkpoints are called where nothing else is said."""


@dataclass(frozen=True)
class StepNames(Naming):
    """``step_675.pt`` after 675 batches in all, inside an epoch; ``epoch_3.pt`` after whole ones, which are kept."""

    def name(self, moment: Moment, batches: int) -> str:
        """Return the name: completed epochs, or inside an epoch batches of all epochs."""
        return f"step_{moment.epoch * batches + moment.batch}.pt" if moment.batch else f"epoch_{moment.epoch}.pt"

    def due(self, moment: Moment, batches: int, every: int) -> bool:
        """Return whether this is the batch: they are counted from the beginning of the run."""
        return (moment.epoch * batches + moment.batch) % every == 0

    def lasting(self, moment: Moment) -> bool:
        """Return whether it is that of a whole epoch."""
        return moment.batch == 0

    def newest(self, directory: Path) -> Path | None:
        """Return the last step or the last epoch, whichever had come farther: the files say it, not their names."""
        last = []
        for pattern in (re.compile(r"epoch_(\d+)\.pt"), re.compile(r"step_(\d+)\.pt")):
            found = {int(one[1]): path for path, one in _matches(directory, pattern)}
            last += [found[max(found)]] if found else []
        return max(last, key=_moment_in) if last else None


def _matches(directory: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        match = pattern.fullmatch(path.name)
        if match:
            yield path, match


def _moment_in(path: Path) -> Moment:
    run = load_checkpoint(path).run
    return Moment(run["epoch"], run["batch"])
