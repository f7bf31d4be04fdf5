"""Where the results of a run come from: versions, machine, data, and the state of the code they were made beside."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from potentia.dynamics.dataset import FeatureDataset
from potentia.storage import release

__all__ = ["provenance"]

PACKAGES = ("torch", "numpy", "scipy", "numba", "pandas", "matplotlib", "safetensors")


def provenance(seed: int, parts: Mapping[str, FeatureDataset]) -> dict[str, Any]:
    """Return plain values that say what a result depends on besides its settings.

    Args:
        seed: Root of all draws.
        parts: Windows by the name of their part.
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
        "data": {
            name: {
                "sha256": windows.mark(),
                "windows": len(windows),
                "steps": windows.n_steps,
                "logs": list(windows.group_names),
            }
            for name, windows in parts.items()
        },
    }


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
