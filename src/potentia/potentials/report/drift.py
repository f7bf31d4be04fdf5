"""A short simulation at constant energy: what its total energy does tells whether forces belong to energies."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from potentia.errors import PotentiaWarning
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
FEWEST, MOST = 300, 1000
"""steps, at least and at most."""
TEMPERATURE = 300.0
"""Of the first velocities, K."""
MOST_ATOMS = 200
TOO_LARGE = 1e3
"""A force at which a simulation is stopped, eV/Å."""
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
    total, kinetic, ended = _simulated(subject, atoms, step, steps)
    time = 1e-3 * step * np.arange(len(total))  # ps
    half = len(total) // 2
    line = np.polyfit(time, total, 1) if not ended else np.full(2, np.nan)
    slope = float(line[0])
    section.says(
        f"{steps} steps of {step:g} fs (velocity Verlet) from {start.source or start.label} with velocities of "
        f"{TEMPERATURE:g} K. A drift far from zero at so short a step means that forces are no slope of the energy."
    )
    if ended:
        section.says(f"The simulation was stopped at step {len(total) - 1}, it makes no sense any more: {ended}.")
    offsets = 1e3 * (total - total[0])
    panel = LinePanel(
        title="Total energy",
        x_label="time (ps)",
        y_label="change (meV/atom)",
        lines=[Line(label="", x=time, y=offsets)],
        says="" if ended else f"drift {1e3 * slope:+.3f} meV/atom/ps".replace("-", "−"),
    )
    section.figure(line_panels([panel]), "Total energy per atom of a simulation at constant energy.")
    row = {
        "structure": start.source or start.label,
        "atoms": len(atoms),
        "step (fs)": step,
        "steps": len(total) - 1,
        "drift (meV/atom/ps)": 1e3 * slope,
        "fluctuation (meV/atom)": 1e3 * float((total - np.polyval(line, time)).std()),
        "mean temperature (K)": float(kinetic[half:].mean() / (1.5 * units.kB)) if not ended else np.nan,
    }
    return section.table("Simulation", pd.DataFrame([row]).set_index("structure"))


class _Course(NamedTuple):
    """What a simulation did, step by step."""

    total: Floats
    """Potential and kinetic energy, eV/atom.  [steps + 1]"""
    kinetic: Floats
    """eV/atom.  [steps + 1]"""
    ended: str
    """Why it ended before its last step; empty if it did not."""


def _simulated(subject: Subject, atoms: Atoms, step: float, steps: int) -> _Course:
    """Simulate as long as the potential can be believed."""
    atoms.calc = ANNCalculator(subject)
    drawn = stream(0, "report", "velocities").normal(size=(len(atoms), 3))
    atoms.set_momenta(drawn * np.sqrt(units.kB * TEMPERATURE * atoms.get_masses())[:, None])  # Maxwell, Boltzmann
    moving = VelocityVerlet(atoms, timestep=step * units.fs)
    total, kinetic, ended = [], [], ""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", PotentiaWarning)
        for _ in range(steps + 1):
            kinetic.append(atoms.get_kinetic_energy() / len(atoms))
            total.append(atoms.get_potential_energy() / len(atoms) + kinetic[-1])
            largest = float(np.abs(atoms.get_forces()).max())
            if said or not largest < TOO_LARGE:
                ended = str(said[0].message) if said else f"a force is {largest:.3g} eV/Å"
                break
            moving.run(1)
    return _Course(np.array(total), np.array(kinetic), ended)
