"""Cells that are compressed and stretched: energy over volume, and how stiff a material is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from ase.units import GPa
from numpy.typing import NDArray

from potentia.plots import Line, LinePanel, line_panels
from potentia.potentials.report.subject import Subject
from potentia.potentials.structure import Structure
from potentia.report import Section

__all__ = ["volume_section"]

Floats = NDArray[np.float64]
SCALES = np.linspace(0.8, 1.2, 21)
"""Volumes in parts of that of the data."""
MOST_CELLS = 4
MOST_ATOMS = 200


def volume_section(subject: Subject, structures: Sequence[Structure]) -> Section:
    """Return the section with the energies of some cells over their volumes."""
    section = Section("Energy over volume")
    cells = _chosen(structures)
    if not cells:
        return section.says(f"No structure of the data repeats in three directions and has {MOST_ATOMS} atoms or less.")
    section.says(
        "Cells of the data of lowest energy per atom, one of each composition, scaled with all atoms in them. The "
        "curve must be smooth, with one minimum; the bulk modulus is that of unrelaxed atoms, from a fit around it."
    )
    panels, rows = [], []
    for cell in cells:
        energy = _energies(subject, cell)
        label = None if cell.energy is None else cell.energy / cell.n_atoms
        volume = SCALES * cell.volume / cell.n_atoms
        rows.append(_row(cell, volume, energy))
        base = float(energy.min())
        lines = [Line(label="potential", x=volume, y=1e3 * (energy - base), marker="o")]
        if label is not None:
            here = [cell.volume / cell.n_atoms]
            lines.append(Line(label="label", x=here, y=[1e3 * (label - base)], marker="s"))
        panels.append(
            LinePanel(
                title=str(rows[-1]["formula"]), x_label="volume (Å³/atom)", y_label="energy (meV/atom)", lines=lines
            )
        )
    section.figure(line_panels(panels, columns=2), "Energies above the lowest one of each cell.")
    return section.table("Cells", pd.DataFrame(rows).set_index("cell"), texts=["formula"])


def _chosen(structures: Sequence[Structure]) -> list[Structure]:
    """Return cells of low energy, each of another composition, the most frequent compositions first."""
    kinds: dict[tuple[tuple[str, float], ...], list[Structure]] = {}
    for structure in structures:
        if structure.pbc.all() and structure.cell is not None and structure.n_atoms <= MOST_ATOMS:
            names = sorted(set(structure.species))
            shares = tuple((name, round(structure.species.count(name) / structure.n_atoms, 6)) for name in names)
            kinds.setdefault(shares, []).append(structure)
    frequent = sorted(kinds.values(), key=len, reverse=True)[:MOST_CELLS]
    return [min(kind, key=lambda s: np.inf if s.energy is None else s.energy / s.n_atoms) for kind in frequent]


def _energies(subject: Subject, cell: Structure) -> Floats:
    """Return the mean of all members' energies (eV/atom).  [volumes]"""
    assert cell.cell is not None
    bare = replace(cell, energy=None, forces=None, stress=None)
    scaled = [
        replace(bare, positions=cell.positions * length, cell=cell.cell * length) for length in np.cbrt(SCALES).tolist()
    ]
    return np.asarray(np.array([m.total_energy for m in subject.predict(scaled)]).mean(0) / cell.n_atoms)


def _row(cell: Structure, volume: Floats, energy: Floats) -> dict[str, object]:
    """Fit a parabola to the five volumes around the lowest energy, where it is not at an end."""
    lowest = int(energy.argmin())
    found = {"volume (Å³/atom)": np.nan, "bulk modulus (GPa)": np.nan}
    if 2 <= lowest <= len(volume) - 3:
        near = slice(lowest - 2, lowest + 3)
        curve, slope, _ = np.polyfit(volume[near] - volume[lowest], energy[near], 2)
        best = float(volume[lowest] - slope / (2 * curve))
        found = {"volume (Å³/atom)": best, "bulk modulus (GPa)": float(2 * curve * best / GPa)}
    turns = int((np.diff(np.sign(np.diff(energy))) != 0).sum())
    formula = "".join(f"{n}{cell.species.count(n)}" for n in sorted(set(cell.species)))
    return {
        "cell": cell.source or cell.label,
        "formula": formula,
        "in the data (Å³/atom)": cell.volume / cell.n_atoms,
        **found,
        "turning points": turns,
    }
