"""What a long benchmark has measured so far, in a file from which another run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

from potentia.storage import write_text

Record = TypeVar("Record")


def mark_of(*settings: object) -> str:
    """Return a hash of what a record depends on but the code."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


class Kept(Generic[Record]):
    """Records of a dataclass, read from a file if there is one, and written there whenever some are added."""

    def __init__(self, path: Path | None, read: Callable[..., Record]) -> None:
        self.path = path
        known: list[dict[str, Any]] = json.loads(path.read_text()) if path is not None and path.is_file() else []
        self.found = [read(**one) for one in known]

    def keep(self, *new: Record) -> None:
        """Add some, to the file too."""
        self.found += new
        if self.path is not None:
            write_text(self.path, json.dumps([asdict(one) for one in self.found], indent=1) + "\n")
