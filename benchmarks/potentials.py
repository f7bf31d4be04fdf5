"""Benchmarks of potentials: `make bench`.

Prints tables of time per atom, seconds per epoch and peak memory, each beside a plain reference that is measured in the
same run with the same number of threads, and beside figures of other programs. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from figures import Figures
from machine import cores, describe_machine
from measure_kernels import measure_fcc, measure_kernels
from measure_training import measure_training
from peak_memory import measure_memory
from report import report
from timing import FEWEST
from workload import load_workload

from potentia.storage import write_text

DTYPES = {"float64": torch.float64, "float32": torch.float32}


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    structures: int
    rounds: int
    """Rounds in which candidate and reference alternate."""
    training_rounds: int
    """The same, for trainings."""
    epochs: int
    """Epochs of each training on forces; five times as many on energies alone."""


NORMAL = Effort(structures=100, rounds=5, training_rounds=3, epochs=25)
QUICK = Effort(structures=10, rounds=2, training_rounds=1, epochs=5)


def main() -> None:
    """Measure, print, and write what was asked for."""
    options = _options()
    effort = QUICK if options.quick else NORMAL
    begun = time.perf_counter()
    machine = describe_machine()
    workload = load_workload(effort.structures)
    print("# Benchmarks of potentials\n")
    print("\n".join(f"- {name}: {value}" for name, value in machine.items()))
    pairs = ", ".join(f"{n:.0f} within {cutoff} Å" for cutoff, n in workload.pairs_per_atom().items())
    print(f"- data: {workload.source}: {workload.n_atoms:,} atoms; neighbours per atom: {pairs}")
    print(f"- threads: {', '.join(str(n) for n in options.threads)}")
    fewest = min(FEWEST, effort.training_rounds)
    print(f"- method: medians over {fewest} to {effort.rounds} rounds in which each thing and its reference alternate;")
    print("  one round before them, with all compilation, is not counted\n")
    figures = _measure(Figures(workload), effort, options.threads)
    print(report(figures))
    took = time.perf_counter() - begun
    print(f"\nMeasured in {took:.0f} s.")
    if options.json is not None:
        _write(options.json, figures, machine, {"seconds": took, "quick": options.quick})


def _measure(figures: Figures, effort: Effort, threads: list[int]) -> Figures:
    """Fill ``figures``; progress goes to the error stream."""
    workload = figures.workload
    _say("fcc neighbour list")
    torch.set_num_threads(threads[0])
    figures.fcc = measure_fcc(rounds=5 * effort.rounds)
    for settings in workload.settings:
        for name, dtype in DTYPES.items():
            for count in threads:
                _say(f"kernels: {settings}, {name}, threads: {count}")
                torch.set_num_threads(count)
                found = measure_kernels(workload, settings, dtype, effort.rounds)
                figures.kernels[settings, name, count] = found
        for count in threads:
            _say(f"training: {settings}, threads: {count}")
            torch.set_num_threads(count)
            found = measure_training(workload, settings, effort.training_rounds, effort.epochs)
            figures.training[settings, count] = found
    _say("peak memory")  # last: what is compiled for the first time is in Numba's cache now
    figures.memory = measure_memory(effort.structures, threads[0])
    _say("")
    return figures


def _say(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def _write(path: Path, figures: Figures, machine: Mapping[str, str], run: Mapping[str, object]) -> None:
    content = {"machine": dict(machine), "run": dict(run), **figures.plain()}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(f"All figures: {path.name}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 structures and few rounds: seconds, and rough figures")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all figures to a file")
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=sorted({1, cores()}),
        help="numbers of threads to measure with, the first also for peak memory (default: 1 and all)",
    )
    options = parser.parse_args()
    if min(options.threads) < 1:
        parser.error(f"--threads must be at least 1, got {min(options.threads)}")
    if options.json is not None and not options.json.parent.is_dir():
        parser.error("--json needs a file in a folder that exists")
    return options


if __name__ == "__main__":
    main()
