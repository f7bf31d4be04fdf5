"""Writing logs, whole or not at all, so that reading gives the same numbers back (.json: NaN for infinities)."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path

import numpy as np

from potentia.checks import choice
from potentia.dynamics.logs.log import Log
from potentia.dynamics.logs.reading import LOG_SUFFIXES
from potentia.errors import ConfigError
from potentia.storage import replacing, write_text

__all__ = ["write_log"]


def write_log(path: str | os.PathLike[str], log: Log) -> None:
    """Write a log as its name ends: ``.csv``, ``.json`` or ``.npz``; the time is the column ``time`` (s).

    Raises:
        ConfigError: the name ends otherwise, or the log has a column ``time`` besides.
        OSError: the file could not be written.
    """
    path = Path(path)
    choice("ending of a log", path.suffix, LOG_SUFFIXES)
    if "time" in log.columns:
        raise ConfigError(f"{log.where}: a column 'time' beside the time cannot be written: give it another name")
    columns = {"time": log.time, **log.columns}
    match path.suffix:
        case ".csv":
            with replacing(path) as temporary, temporary.open("x", encoding="utf-8", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")  # writes all digits, and faster than pandas
                rows.writerow(columns)
                rows.writerows(zip(*(value.tolist() for value in columns.values()), strict=True))
        case ".json":
            plain = {key: [x if math.isfinite(x) else None for x in value.tolist()] for key, value in columns.items()}
            write_text(path, json.dumps({"columns": plain}, allow_nan=False) + "\n")
        case ".npz":
            with replacing(path) as temporary, temporary.open("xb") as file:
                np.savez(file, **columns)  # type: ignore[arg-type]  # its stub takes the names for its own options
