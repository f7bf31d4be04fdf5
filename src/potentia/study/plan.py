"""What a study has to do: tasks with plain settings, a seed, a name for their files and a hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from potentia.config import plain
from potentia.errors import ConfigError
from potentia.seeding import stream
from potentia.study.tasks import require_own_names

__all__ = ["Place", "PlannedTask", "Work", "require_apart", "task_seed"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class PlannedTask:
    """One task of a study."""

    name: str
    """What it and its files are called; no two tasks share one."""
    settings: Mapping[str, Any]
    """Plain settings: all that decides its result beside the seed, marks of the data included."""
    seed: int
    """Root of its random streams."""
    folder: str = "."
    """Directory of its files within that of the study."""
    files: tuple[str, ...] = ()
    """Names of the files that are there when it is done; one that is missing makes it be done again."""

    def __post_init__(self) -> None:
        for name in (self.name, *self.files, *(part for part in self.folder.split("/") if part != ".")):
            if not _NAME.fullmatch(name):
                raise ConfigError(f"{name!r} is no name for files: letters, digits, '_', '-', '+' and '.' make one")

    def mark(self) -> str:
        """Return the hash of all that decides the result."""
        text = json.dumps({"settings": plain(self.settings), "seed": self.seed}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Place:
    """Where a task is done."""

    directory: Path
    """Its files go here, each whole or not at all."""
    scratch: Path
    """For what it needs to go on after a kill, such as checkpoints; removed when it is done."""
    device: str
    """Device of its slot."""


class Work(Protocol):
    """Does a task and returns plain values for its record.

    It goes to other processes, so it is a function of a module, a `functools.partial` of one, or an object of a class.
    """

    def __call__(self, task: PlannedTask, place: Place, /) -> Mapping[str, Any]:
        """Do the task."""


def task_seed(seed: int, *names: str | int) -> int:
    """Return the seed of the task of these names: a NumPy seed sequence of base seed and names, in [0, 2**63).

    >>> task_seed(42, "FullyConnected", "main", ""), task_seed(42, "FullyConnected", "UQ", "1")
    (454879462256869263, 3392014635752808464)
    """
    return int(stream(seed, "task", *names).integers(2**63))


def require_apart(tasks: Sequence[PlannedTask]) -> None:
    """Raise `ConfigError` unless names and seeds of all tasks differ."""
    require_own_names([task.name for task in tasks])
    seeds = [task.seed for task in tasks]
    same = [task.name for task in tasks if seeds.count(task.seed) > 1]
    if same:
        raise ConfigError(f"tasks need seeds of their own, but these share one: {', '.join(same)}")
