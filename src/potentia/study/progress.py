"""How far a study is: one row for each task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potentia.study.plan import PlannedTask
from potentia.study.records import read_record
from potentia.study.task_list import TaskList

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["progress"]


def progress(directory: Path, tasks: Sequence[PlannedTask]) -> pd.DataFrame:
    """Return task, seed, status (``"done"``, ``"failed"``, ``"pending"``), seconds, date and error of each task.

    Raises:
        ConfigError: a record is of other settings.
    """
    import pandas as pd  # takes a third of a second, which a process that does tasks should not pay

    errors = TaskList(directory).errors()
    return pd.DataFrame([_row(directory, task, errors.get(task.name, "")) for task in tasks])


def _row(directory: Path, task: PlannedTask, error: str) -> dict[str, Any]:
    record = read_record(directory, task)
    if record is None:
        return {"task": task.name, "seed": task.seed, "status": "failed" if error else "pending", "error": error}
    told = {key: record[key] for key in ("seconds", "date")}
    return {"task": task.name, "seed": task.seed, "status": "done", **told, "error": ""}
