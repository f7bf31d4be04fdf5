"""What the measurements say: tables of each part, beside references, published figures and targets."""

from __future__ import annotations

from collections.abc import Iterator

import published
from figures import Figures
from measure_kernels import KernelFigures
from measure_training import TrainingFigures
from table import number, ratio, table
from workload import Settings, Workload

__all__ = ["report"]

KERNEL_ROWS = (
    ("neighbours", "ASE, numpy", "neighbours", "neighbours"),
    ("features", "all triplets, torch", "features", "values"),
    ("features", "eager torch", "features", "features"),
    ("VJP (forces)", "autograd, eager torch", "vjp", "vjp"),
    ("JVP (their training)", "autograd, eager torch", "jvp", "jvp"),
    ("VJP + JVP", "autograd, graphs kept", "both", "both"),
    ("VJP + JVP", "autograd, graphs made anew", "both", "step"),
)
"""Label, what the reference is, and the figures of both."""
TRAINING_ROWS = {
    "energy-only epoch": ("energy", "ms", 1e3),
    "energy+force epoch": ("force", "ms", 1e3),
    "predict energies and forces": ("predict", "µs per atom", 1e6),
}
"""Label → figure, unit, factor from seconds."""


def report(figures: Figures) -> str:
    """Return all tables."""
    return "\n\n".join([*_kernels(figures), *_training(figures), *_others(figures), *_targets(figures)])


def _kernels(figures: Figures) -> Iterator[str]:
    yield (
        "## Kernels\n\nµs per atom: potentia · plain reference · how many times faster. Same rounds, threads and type; "
        "neighbours are searched in float64 always, and ASE's search has one thread."
    )
    for settings in figures.workload.settings:
        columns = {key: found for key, found in figures.kernels.items() if key[0] == settings}
        head = [str(settings), "reference", *(f"{dtype}, {_threads(n)}" for _, dtype, n in columns)]
        rows = []
        for label, what, ours, theirs in KERNEL_ROWS:
            rows.append([label, what, *(_kernel_cell(f, key[1], ours, theirs) for key, f in columns.items())])
        yield table(head, rows)
        worst = {dtype: max(found.differences.values()) for (_, dtype, _), found in columns.items()}
        differences = ", ".join(f"{dtype} {value:.0e}" for dtype, value in worst.items())
        yield f"Largest difference to the references, in parts of the largest value: {differences}."


def _kernel_cell(found: KernelFigures, dtype: str, ours: str, theirs: str) -> str:
    if ours == "neighbours" and dtype != "float64":
        return "–"
    one, other = found.times[ours].median, found.times[f"plain.{theirs}"].median
    return f"{number(one)} · {number(other)} · {ratio(other / one)}"


def _training(figures: Figures) -> Iterator[str]:
    yield (
        "## Training and prediction\n\nfloat64, batch 32, networks 15-15 tanh. “Fastest” is the best of all epochs or "
        "rounds, the rest are medians. Kernels: VJP + JVP of all atoms of an epoch, measured in the same rounds. Plain "
        "torch: for energies a bare loop over one matrix of features, the least there is; for forces eager autograd."
    )
    for settings in figures.workload.settings:
        rows = []
        for (key, threads), found in figures.training.items():
            if key == settings:
                rows += [
                    _training_row(figures.workload, found, label, *row, threads) for label, row in TRAINING_ROWS.items()
                ]
                set_up = found.times["force.set-up"].median * 1e3
                rows.append(
                    ["set-up and final errors", _threads(threads), "ms", number(set_up), "–", "–", "–", "–", "–"]
                )
        head = [
            str(settings),
            "threads",
            "unit",
            "potentia",
            "fastest",
            "plain torch",
            "ratio",
            "kernels",
            "times kernels",
        ]
        yield table(head, rows)


def _training_row(
    workload: Workload, found: TrainingFigures, label: str, name: str, unit: str, factor: float, threads: int
) -> list[str]:
    scale = factor / (workload.n_atoms if "atom" in unit else 1)
    ours, theirs = (found.times[key].median for key in (name, f"plain.{name}"))
    kernels = found.times["kernels"].median if name == "force" else None
    return [
        label,
        _threads(threads),
        unit,
        number(ours * scale),
        number(found.least_epochs.get(name, found.times[name].least) * scale),
        number(theirs * scale),
        ratio(theirs / ours),
        number(None if kernels is None else kernels * scale),
        ratio(None if kernels is None else ours / kernels),
    ]


def _others(figures: Figures) -> Iterator[str]:
    if not figures.workload.published:
        return
    yield (
        "## Beside other programs\n\nTheir figures are not of this run: they are typed in, measured with one thread on "
        f"another machine with 100 TiO2 cells of {published.SET_ATOMS:,} atoms (here {figures.workload.n_atoms:,}), "
        "source design/baselines.md."
    )
    rows = []
    for (settings, threads), found in figures.training.items():
        if threads == 1 and settings.cutoffs in published.AENET_PYTHON:
            kernels = figures.kernels[settings, "float64", 1]
            rows += _other_rows(figures.workload, settings, found, kernels)
    yield table(
        ["one thread, float64", "unit", "potentia", "aenet-python 0.1", "ratio", "Fortran ænet 2.0.4", "ratio"], rows
    )
    yield (
        "Features are values without derivatives. aenet-python in its default mode; its energy-only epoch with cached "
        "features. Fortran: one BFGS iteration of train.x stands for an epoch; it cannot train on forces. "
        "At 6.0/3.5 Å aenet-python's fastest force epoch, with 100 MB of derivatives in HDF5, takes 0.68 s."
    )


def _other_rows(
    workload: Workload, settings: Settings, found: TrainingFigures, kernels: KernelFigures
) -> Iterator[list[str]]:
    per_atom = 1e6 / workload.n_atoms
    values = kernels.times["neighbours"].median + kernels.times["features"].median
    ours = {
        "features": ("neighbours, features", "µs per atom", values),
        "epoch_energy": ("energy-only epoch", "s", found.times["energy"].median),
        "epoch_force": ("energy+force epoch", "s", found.times["force"].median),
        "predict": ("predict energies, forces", "µs per atom", found.times["predict"].median * per_atom),
    }
    for name, (label, unit, value) in ours.items():
        row = [f"{label}, {settings.cutoffs} Å", unit, number(value)]
        for program in (published.AENET_PYTHON, published.FORTRAN):
            other = program[settings.cutoffs].__dict__[name]
            row += [number(other), ratio(None if other is None else other / value)]
        yield row


def _targets(figures: Figures) -> Iterator[str]:
    settings = figures.workload.settings[0]
    rows: list[list[str]] = []
    for (key, dtype, threads), found in figures.kernels.items():
        if key == settings and dtype == "float64":
            ours, theirs = (found.times[key].median for key in ("both", "plain.both"))
            name = f"VJP + JVP faster than autograd, {_threads(threads)}"
            rows.append(_target(name, "≥ 20×", ratio(theirs / ours), theirs / ours >= 20))
    for (key, threads), training in figures.training.items():
        if key == settings and len(figures.workload.structures) >= published.STRUCTURES:
            factor = training.times["force"].median / training.times["kernels"].median
            name = f"energy+force epoch over its kernels, {_threads(threads)}"
            rows.append(_target(name, "≤ 2×", ratio(factor), factor <= 2))
    one = figures.training.get((settings, 1))
    if figures.workload.published and one is not None:
        faster = published.EPOCH_8_65 / one.times["force"].median
        rows.append(_target("the same faster than 51.5 s, 1 thread", "≥ 300×", ratio(faster), faster >= 300))
    if figures.memory is not None:
        peak = figures.memory.training
        name = f"peak memory of that training, compiled before (libraries {number(figures.memory.libraries)} MB)"
        rows.append(_target(name, "< 600 MB", f"{number(peak)} MB", peak < 600))
    if figures.fcc:
        time = figures.fcc["potentia"].median
        name = f"neighbour list of 1-atom fcc at 8 Å (ASE {number(figures.fcc['ase'].median)} ms)"
        rows.append(_target(name, "< 50 ms", f"{number(time)} ms", time < 50))
    where = (
        "" if figures.workload.published else " The targets are meant for 100 structures of TiO2 at cutoffs 8.0/6.5 Å."
    )
    yield f"## Targets\n\n{settings}, float64, {len(figures.workload.structures)} structures.{where}"
    yield table(["what", "target", "reached", ""], rows)
    if figures.workload.published:
        yield (
            f"aenet-python 0.1 takes {number(published.PEAK_MEMORY / 1e3)} GB and {number(published.FCC_LIST)} s for "
            "the last two (design/baselines.md)."
        )


def _target(what: str, target: str, reached: str, fulfilled: bool) -> list[str]:
    return [what, target, reached, "reached" if fulfilled else "missed"]


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
