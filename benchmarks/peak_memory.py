"""Peak memory of a process that does nothing but train on energies and forces, and what its libraries take of that."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PeakMemory", "measure_memory"]


@dataclass(frozen=True)
class PeakMemory:
    """Megabytes (10⁶ bytes)."""

    libraries: float
    """Peak when all is imported and nothing done."""
    training: float
    """Peak after the training, libraries included."""


def measure_memory(count: int, threads: int) -> PeakMemory:
    """Train on ``count`` structures in a new process.

    What the kernels need when they are compiled counts only if they never were before: measure something else first.
    """
    command = [sys.executable, __file__, str(count), str(threads)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent)
    return PeakMemory(**json.loads(answer.stdout.splitlines()[-1]))


def _peak() -> float:
    """Megabytes of this process at its peak.

    On Linux, ru_maxrss is never below the size of the process that started this one: the kernel's own mark of the
    present program, VmHWM, is read instead.
    """
    status = Path("/proc/self/status")
    if status.exists():
        marks = [line.split() for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:")]
        if marks:
            return int(marks[0][1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _train(count: int, threads: int) -> PeakMemory:
    import torch
    from workload import load_workload

    torch.set_num_threads(threads)
    libraries = _peak()
    workload = load_workload(count)
    workload.potential(workload.settings[0]).train(workload.structures, workload.config(5, force_weight=0.1))
    return PeakMemory(libraries, _peak())


if __name__ == "__main__":
    print(json.dumps(_train(*(int(argument) for argument in sys.argv[1:])).__dict__))
