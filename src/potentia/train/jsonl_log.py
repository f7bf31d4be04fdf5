"""A log as JSON lines: each record is there as soon as it is known, and a resumed run goes on where it stands."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from potentia.errors import FileFormatError
from potentia.storage import write_text
from potentia.train.recording import Log, Record
from potentia.train.run import Run

__all__ = ["JsonLines", "read_json_lines"]


class JsonLines(Log):
    """Writes ``{"epoch": …, "batch": …, "step": …, <name>: <number>, …}``, one line each; not finite ones as null.

    When a run begins or goes on, lines of what comes after its present moment are cut: they tell of batches that will
    be taken again. So a new run begins an empty file.

    Args:
        path: File; its directory must be there when the run begins.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: TextIO | None = None

    def open(self, run: Run) -> None:
        """Cut the lines of what comes after the moment of the run."""
        kept = []
        for line, content in _whole_lines(self.path):
            if (content["epoch"], content["batch"]) > (run.epoch, run.batch):
                break
            kept.append(line)
        write_text(self.path, "".join(kept if run.epoch or run.batch else []))
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, record: Record) -> None:
        """Write a line."""
        assert self._file is not None
        place = {"epoch": record.epoch, "batch": record.batch, "step": record.step}
        self._file.write(json.dumps({**place, **_finite(record.values)}, allow_nan=False) + "\n")
        self._file.flush()

    def close(self, run: Run) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None


def read_json_lines(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of a file of `JsonLines`; a last line that was cut off in writing is left out.

    Raises:
        FileFormatError: a line is no record.
    """
    return [content for _, content in _whole_lines(Path(path))]


def _whole_lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            break  # the process was killed while it wrote this one
        try:
            content = json.loads(line)
        except ValueError as error:
            raise FileFormatError(f"{path}, line {number} is no JSON: {error}") from None
        if not isinstance(content, dict) or not {"epoch", "batch"} <= set(content):
            raise FileFormatError(f"{path}, line {number} is no record of a run: it needs `epoch` and `batch`")
        found.append((line, content))
    return found


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}
