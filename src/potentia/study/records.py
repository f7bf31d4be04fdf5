"""Records of tasks that are done: one YAML file beside the files of each, written after them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from potentia.errors import ConfigError, FileFormatError
from potentia.storage import remove_leftovers
from potentia.study.plan import Place, PlannedTask
from potentia.yaml_files import read_yaml, write_yaml

__all__ = ["clear", "place_of", "read_record", "write_record"]


def _path(directory: Path, task: PlannedTask) -> Path:
    return directory / task.folder / f"{task.name}.yaml"


def place_of(directory: Path, task: PlannedTask, device: str) -> Place:
    """Return where the task is done; both directories are made."""
    folder = directory / task.folder
    scratch = folder / f"{task.name}.unfinished"
    scratch.mkdir(parents=True, exist_ok=True)
    return Place(folder, scratch, device)


def read_record(directory: Path, task: PlannedTask) -> dict[str, Any] | None:
    """Return the record of a task; None while it is not done, or where a file of it is missing.

    Raises:
        ConfigError: the record is of a task of this name with other settings or another seed.
        FileFormatError: it is no record.
    """
    path = _path(directory, task)
    if not path.is_file():
        return None
    found = read_yaml(path)
    if not {"task", "mark", "seed", "result"} <= found.keys():
        raise FileFormatError(f"{path} is no record of a task; remove it to do the task again")
    if found["mark"] != task.mark():
        raise ConfigError(
            f"{path} is of a task of the same name with other settings, seed or data; put those back, take another "
            "directory, or remove this file to do the task again"
        )
    whole = all((directory / task.folder / name).is_file() for name in task.files)
    return found if whole else None


def write_record(directory: Path, task: PlannedTask, device: str, seconds: float, result: Mapping[str, Any]) -> None:
    """Write the record of a task whose files are there.

    Raises:
        FileFormatError: a file that the task promises is not there.
    """
    for name in task.files:
        if not (directory / task.folder / name).is_file():
            raise FileFormatError(f"{task.name} has ended without its file {name}")
    content = {
        "task": task.name,
        "mark": task.mark(),
        "seed": task.seed,
        "device": device,
        "seconds": seconds,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": task.settings,
        "result": result,
    }
    write_yaml(_path(directory, task), content)


def clear(directory: Path, task: PlannedTask) -> None:
    """Remove what a task that is done no longer needs, and what killed processes left half written."""
    shutil.rmtree(directory / task.folder / f"{task.name}.unfinished", ignore_errors=True)
    for path in (_path(directory, task), *(directory / task.folder / name for name in task.files)):
        remove_leftovers(path)
