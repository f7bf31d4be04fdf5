"""Threads, devices, memory and the cache of compiled kernels."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

import potentia
from potentia.cli.doctor.finding import Finding
from potentia.study import threads_per_task

__all__ = ["cache_findings", "device_findings", "memory_findings", "thread_findings"]

COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
LITTLE = 2 * 2**30
"""Bytes below which trainings of any size are in danger."""


def thread_findings() -> Iterator[Finding]:
    """Tell how many threads there are, and which variables contradict each other or the machine."""
    cores = threads_per_task(1)
    yield Finding("threads", "ok", f"{torch.get_num_threads()} of {cores} cores of this process")
    yield from variable_findings(os.environ, cores)


def variable_findings(environment: Mapping[str, str], cores: int) -> Iterator[Finding]:
    """Tell what the variables say."""
    given = {name: environment[name] for name in COUNTS if name in environment}
    counts = {}
    for name, value in given.items():
        if not value.split(",")[0].isdecimal():
            yield Finding(name, "broken", f"is {value!r}, which is no number of threads", f"set {name} to 1 to {cores}")
            continue
        counts[name] = int(value.split(",")[0])
        if counts[name] > cores:
            text = f"is {value}, but this process has {cores} cores: threads wait for each other"
            yield Finding(name, "warning", text, f"set {name} to {cores} at most")
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name}={count}" for name, count in counts.items())
        yield Finding("thread variables", "warning", f"contradict each other: {said}", "give all of them one number")
    if counts.get("OMP_NUM_THREADS", 2) > 1 and environment.get("OMP_WAIT_POLICY", "").lower() == "active":
        text = "OMP_WAIT_POLICY=active: threads that have nothing to do keep their cores busy"
        yield Finding("OMP_WAIT_POLICY", "warning", text, "set it to passive where other processes run")


def device_findings() -> Iterator[Finding]:
    """Tell which devices torch can train on."""
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
        yield Finding("GPU", "ok", f"{', '.join(names)}; CUDA {torch.version.cuda}")
    elif torch.version.cuda is None:
        yield Finding("GPU", "absent", "this torch was built for the CPU")
    else:
        advice = "if the machine has one: look at nvidia-smi, and whether its driver is new enough for this CUDA"
        yield Finding("GPU", "absent", f"torch was built for CUDA {torch.version.cuda}, but finds no GPU", advice)


def memory_findings() -> Iterator[Finding]:
    """Tell how much memory is free."""
    pages, size = (os.sysconf(name) for name in ("SC_AVPHYS_PAGES", "SC_PAGE_SIZE"))
    whole, free = os.sysconf("SC_PHYS_PAGES") * size, _available(pages * size)
    text = f"{free / 2**30:.1f} of {whole / 2**30:.1f} GiB free"
    if free < LITTLE:
        yield Finding(
            "memory", "warning", text, "end other programs, or set training.memory_limit so that data are streamed"
        )
    else:
        yield Finding("memory", "ok", text)


def cache_findings() -> Iterator[Finding]:
    """Tell where compiled kernels are kept, and whether they can be."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(potentia.__file__).parent / "potentials/descriptors/__pycache__" if given is None else Path(given)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if _writable(there):
        kept = len(list(folder.rglob("*.nbc"))) if folder.exists() else 0
        yield Finding("compiled kernels", "ok", f"kept in {folder}, {kept} of them")
    else:
        text = f"{folder} cannot be written: each process compiles all of them again, for a minute"
        yield Finding("compiled kernels", "warning", text, "set NUMBA_CACHE_DIR to a directory that can be written")


def _writable(folder: Path) -> bool:
    """Return whether a file can be made there; permissions do not tell it of all file systems and users."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _available(free: int) -> int:
    """Return what can be had without swapping (bytes): Linux counts its caches, others tell only what is ``free``."""
    table = Path("/proc/meminfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return free
