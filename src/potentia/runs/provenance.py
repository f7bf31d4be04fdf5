"""Where the results of a run come from: versions, machine, data, and the state of the code they were made beside."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import socket
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from potentia.storage import release

__all__ = ["mark_of_files", "provenance"]

PACKAGES = ("torch", "numpy", "scipy", "numba", "pandas", "matplotlib", "safetensors")


def provenance(seed: int | None, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values that say what a result depends on besides its settings.

    Args:
        seed: Root of all draws.
        data: What the data are, plain: part → its hash and sizes.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "versions": {
            "potentia": release(),
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "host": {"name": socket.gethostname(), "system": platform.platform(), "machine": platform.machine()},
        "git": _git(),
        "data": dict(data),
    }


def mark_of_files(paths: Sequence[str | os.PathLike[str]]) -> dict[str, Any]:
    """Return how many files there are, their size in bytes, and one hash over all their contents in this order."""
    whole, size = hashlib.sha256(), 0
    for path in map(Path, paths):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
        size += path.stat().st_size
    return {"sha256": whole.hexdigest(), "files": len(paths), "bytes": size}


def _git() -> dict[str, Any] | None:
    """Return commit and state of the repository around the present directory; None where there is none."""
    commit = _answer("rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "branch": _answer("branch", "--show-current"), "changed": bool(_answer("status", "-s"))}


def _answer(*words: str) -> str | None:
    try:
        done = subprocess.run(("git", *words), cwd=Path.cwd(), capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git on this machine, or a repository that does not answer
        return None
    return done.stdout.strip() if done.returncode == 0 else None
