"""Everything that a run of the benchmarks has measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from measure_kernels import KernelFigures
from measure_training import TrainingFigures
from peak_memory import PeakMemory
from timing import Times
from workload import Settings, Workload

__all__ = ["Figures"]


@dataclass
class Figures:
    """All that was measured."""

    workload: Workload
    kernels: dict[tuple[Settings, str, int], KernelFigures] = field(default_factory=dict)
    """By setting, type and number of threads."""
    training: dict[tuple[Settings, int], TrainingFigures] = field(default_factory=dict)
    """By setting and number of threads."""
    memory: PeakMemory | None = None
    fcc: dict[str, Times] = field(default_factory=dict)
    """ms"""

    def plain(self) -> dict[str, object]:
        """Return all as plain values."""
        return {
            "data": self.workload.source,
            "structures": len(self.workload.structures),
            "atoms": self.workload.n_atoms,
            "kernels (µs per atom)": [
                {"settings": str(s), "dtype": dtype, "threads": threads, "differences": found.differences}
                | {name: times.plain() for name, times in found.times.items()}
                for (s, dtype, threads), found in self.kernels.items()
            ],
            "training (s)": [
                {"settings": str(s), "threads": threads, "least epochs": found.least_epochs}
                | {name: times.plain() for name, times in found.times.items()}
                for (s, threads), found in self.training.items()
            ],
            "peak memory (MB)": None if self.memory is None else self.memory.__dict__,
            "fcc neighbour list (ms)": {name: times.plain() for name, times in self.fcc.items()},
        }
