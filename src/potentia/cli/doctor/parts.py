"""Versions, and the optional parts: a part is imported in a process of its own, for it may end that."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from potentia.cli.doctor.finding import Finding
from potentia.runs.provenance import PACKAGES
from potentia.storage import release

__all__ = ["part_findings", "version_findings"]

SECONDS = 120
"""Time that an import may take."""
COUPLED = """
import lammps
from lammps.mliap import activate_mliappy
run = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
print("with" if run.has_package("ML-IAP") else "without", "ML-IAP", end=", ")
try:
    activate_mliappy(run)
    print("coupled to Python")
except ImportError:  # whatever goes wrong in there comes as one
    print("not coupled to Python: use_external works, use_mliap does not")
"""


@dataclass(frozen=True)
class Part:
    """An optional part."""

    module: str
    package: str
    """As pip has it."""
    use: str
    """What it is for."""
    extra: str | None = None
    """Extra of this package that installs it."""
    script: str | None = None
    """What tells more of it than an import."""


PARTS = (
    Part("torch_scatter", "torch-scatter", "sums over pairs on GPUs", "pyg"),
    Part("torch_cluster", "torch-cluster", "neighbours on GPUs", "pyg"),
    Part("lammps", "lammps", "potentials in LAMMPS", "lammps", COUPLED),
    Part("ipi", "ipi", "potentials in i-PI", "ipi"),
    Part("distributed", "distributed", "committees and studies on clusters", "dask"),
    Part("optuna", "optuna", "potentia study tune", "tune"),
    Part("wandb", "wandb", "records in Weights & Biases"),
    Part("torch_sim", "torch-sim-atomistic", "potentials in torch-sim", "torch-sim"),
)


def version_findings() -> Iterator[Finding]:
    """Tell the versions of all that results depend on."""
    yield Finding("potentia", "ok", release())
    yield Finding("python", "ok", f"{platform.python_version()} in {sys.prefix}, {platform.platform()}")
    yield Finding("packages", "ok", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))


def part_findings() -> Iterator[Finding]:
    """Tell which optional parts are there, and whether they can be imported."""
    there = [part for part in PARTS if importlib.util.find_spec(part.module) is not None]
    running = {part.module: _started(part) for part in there}
    for part in PARTS:
        if part.module in running:
            yield _ended(part, running[part.module])
        else:
            what = part.package if part.extra is None else f"'potentia[{part.extra}]'"
            yield Finding(part.module, "absent", f"for {part.use}", f"pip install {what}, if it is wanted")


def _started(part: Part) -> subprocess.Popen[str]:
    script = part.script or f"import {part.module}"
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


def _ended(part: Part, process: subprocess.Popen[str]) -> Finding:
    advice = f"install it again: pip install --force-reinstall {part.package}"
    try:
        told, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Finding(part.module, "broken", f"its import takes more than {SECONDS} s", advice)
    if process.returncode:
        last = (errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        return Finding(part.module, "broken", f"is installed but cannot be imported: {last}", advice)
    version = _version(part.package)
    return Finding(part.module, "ok", ", ".join(filter(None, (version, told.strip().partition("\n")[0]))))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # from a source tree, or of another installer
        return "version unknown"
