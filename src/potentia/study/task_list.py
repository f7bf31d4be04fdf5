"""The list of tasks that are still to be done, in their order, with what went wrong with those that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from potentia.config import plain
from potentia.storage import read_json, remove_leftovers, write_json, write_text
from potentia.study.claims import claimed
from potentia.study.plan import PlannedTask
from potentia.study.tasks import Ended

__all__ = ["COMPLETED", "TASK_LIST", "TaskList"]

TASK_LIST = "task_list.json"
"""Name of the list; it is there while something is to be done."""
COMPLETED = "completed.txt"
"""Name of the file that stands for the list when nothing is."""
_KIND = "task list"


class TaskList:
    """The list of a study, which several runs of it may change: every change is read, made and written under a claim.

    Args:
        directory: The study's.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / TASK_LIST

    def set(self, pending: Sequence[PlannedTask], total: int) -> None:
        """Write what is to be done of ``total`` tasks; errors of earlier runs stay."""
        with claimed(self.directory, TASK_LIST, wait=True):
            for path in (self.path, self.directory / COMPLETED):
                remove_leftovers(path)
            before = {entry["name"]: entry for entry in self._read()}
            self._write([{**_entry(task), **_trouble(before.get(task.name, {}))} for task in pending], total)

    def remove(self, name: str, total: int) -> None:
        """Take a task that is done from the list."""
        with claimed(self.directory, TASK_LIST, wait=True):
            self._write([entry for entry in self._read() if entry["name"] != name], total)

    def failed(self, end: Ended[Any], total: int) -> None:
        """Note why a task failed; it stays in its place."""
        trouble = {"error": end.error, "traceback": end.traceback}
        with claimed(self.directory, TASK_LIST, wait=True):
            entries = self._read()
            self._write([{**entry, **trouble} if entry["name"] == end.name else entry for entry in entries], total)

    def errors(self) -> dict[str, str]:
        """Return the errors of the tasks that failed, by name."""
        return {entry["name"]: entry["error"] for entry in self._read() if entry.get("error")}

    def _read(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = read_json(self.path, _KIND)["tasks"] if self.path.is_file() else []
        return found

    def _write(self, entries: list[dict[str, Any]], total: int) -> None:
        done = self.directory / COMPLETED
        if entries:
            done.unlink(missing_ok=True)
            write_json(self.path, _KIND, {"tasks": entries})
        else:
            write_text(done, f"{total} of {total} tasks completed\n")
            self.path.unlink(missing_ok=True)


def _entry(task: PlannedTask) -> dict[str, Any]:
    settings = plain(task.settings)
    return {"name": task.name, "folder": task.folder, "seed": task.seed, "mark": task.mark(), "settings": settings}


def _trouble(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("error", "traceback") if key in entry}
