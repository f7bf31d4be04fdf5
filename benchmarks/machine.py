"""The machine in words: processor, cores, memory, and the versions that decide how fast things are."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

__all__ = ["cores", "describe_machine"]

PACKAGES = ("potentia", "torch", "numpy", "numba", "vesin", "ase")
THREADING = ("OMP_", "GOMP_", "KMP_", "MKL_")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_machine() -> dict[str, str]:
    """Return processor, system and versions by name."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "processor": f"{_processor()}, {cores()} cores",
        "memory": _memory(),
        "load before": load,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "environment": _environment(),
        "optional": "torch_scatter installed" if _installed("torch_scatter") else "torch_scatter not installed",
    }


def _environment() -> str:
    """What is set that changes how threads wait, bind and are counted."""
    found = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(THREADING)]
    return ", ".join(found) or "nothing about threads is set"


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return f"{int(line.split()[1]) / 1e6:.0f} GB"
    return "unknown"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
