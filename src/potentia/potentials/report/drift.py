"""A short simulation at constant energy: what its total energy does tells whether forces belong to energies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from potentia.plots import Line, LinePanel, line_panels
from potentia.potentials.calculator import ANNCalculator
from potentia.potentials.report.subject import Subject
from potentia.potentials.structure import Structure
from potentia.report import Section
from potentia.seeding import stream

__all__ = ["drift_section"]

Floats = NDArray[np.float64]
WORK = 40_000
"""Steps times atoms, about:"""
FEWEST, MOST = 300, 2000
"""steps, at least and at most."""
TEMPERATURE = 300.0
"""Of the first velocities, K."""
MOST_ATOMS = 200
LIGHT = 4.0
"""With atoms lighter than this (u) the step is half as long."""


def drift_section(subject: Subject, structures: Sequence[Structure]) -> Section:
    """Return the section on a simulation from one of the structures."""
    section = Section("Conservation of energy")
    small = [s for s in structures if s.n_atoms <= MOST_ATOMS]
    if not small:
        return section.says(f"No structure of the data has {MOST_ATOMS} atoms or less to begin with.")
    start = min(small, key=lambda s: np.inf if s.energy is None else s.energy / s.n_atoms)
    atoms = Atoms(start.species, start.positions, cell=start.cell, pbc=start.pbc)
    step = 0.5 if atoms.get_masses().min() < LIGHT else 1.0  # fs
    steps = min(max(WORK // len(atoms), FEWEST), MOST)
    total, kinetic = _simulated(subject, atoms, step, steps)
    time = 1e-3 * step * np.arange(len(total))  # ps
    finite = len(total) == steps + 1
    half = len(total) // 2
    line = np.polyfit(time, total, 1) if finite else np.full(2, np.nan)
    slope = float(line[0])
    section.says(
        f"{steps} steps of {step:g} fs (velocity Verlet) from {start.source or start.label} with velocities of "
        f"{TEMPERATURE:g} K. A drift far from zero at so short a step means that forces are not the slope of the energy."
    )
    if not finite:
        section.says(f"The simulation fell apart at step {len(total)}: its atoms left all that was learned.")
    offsets = 1e3 * (total - total[0])
    panel = LinePanel(
        title="Total energy",
        x_label="time (ps)",
        y_label="change (meV/atom)",
        lines=[Line(label="", x=time, y=offsets)],
        says=f"drift {1e3 * slope:+.3f} meV/atom/ps".replace("-", "−"),
    )
    section.figure(line_panels([panel]), "Total energy per atom of a simulation at constant energy.")
    row = {
        "structure": start.source or start.label,
        "atoms": len(atoms),
        "step (fs)": step,
        "steps": len(total) - 1,
        "drift (meV/atom/ps)": 1e3 * slope,
        "fluctuation (meV/atom)": 1e3 * float((total - np.polyval(line, time)).std()),
        "mean temperature (K)": float(kinetic[half:].mean() / (1.5 * units.kB)) if finite else np.nan,
    }
    return section.table("Simulation", pd.DataFrame([row]).set_index("structure"))


def _simulated(subject: Subject, atoms: Atoms, step: float, steps: int) -> tuple[Floats, Floats]:
    """Return total and kinetic energy by step (eV/atom), as far as they are finite."""
    atoms.calc = ANNCalculator(subject)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=stream(0, "report", "velocities"))
    moving = VelocityVerlet(atoms, timestep=step * units.fs)
    total, kinetic = [], []
    for _ in range(steps + 1):
        kinetic.append(atoms.get_kinetic_energy() / len(atoms))
        total.append(atoms.get_potential_energy() / len(atoms) + kinetic[-1])
        if not np.isfinite(total[-1]) or np.abs(atoms.get_forces()).max() > 1e3:
            break
        moving.run(1)
    return np.array(total), np.array(kinetic)
