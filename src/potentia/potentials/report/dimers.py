"""Two atoms alone, from far to too near: whether a potential keeps them apart where no data tell it to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.plots import Line, LinePanel, line_panels
from potentia.potentials.report.subject import Subject
from potentia.potentials.shortest_distances import shortest_distances
from potentia.potentials.structure import Structure
from potentia.report import Section

__all__ = ["dimer_section"]

Floats = NDArray[np.float64]
POINTS = 120
NEAREST = 0.5
"""A scan begins at this part of the shortest distance in the data."""
WITHOUT_DATA = 0.8
"""Where it begins if there are no data, Å."""
HEIGHT = 15.0
"""Energies above the lowest one that are shown, eV."""


def dimer_section(subject: Subject, structures: Sequence[Structure]) -> Section:
    """Return the section with the energy of each pair of species over its distance."""
    cutoff = subject.model.descriptor.cutoff
    known = shortest_distances(structures, cutoff) if structures else {}
    section = Section("Pairs of atoms")
    section.says(
        "The energy of two atoms alone, relative to the same beyond the cutoff. Data of condensed matter do not tell "
        "it, so its depth means little; but it must rise where atoms come nearer than they do in any data."
    )
    panels, rows = [], []
    for pair in combinations_with_replacement(sorted(subject.model.descriptor.species), 2):
        shortest = known.get(pair, np.nan)
        distance = np.linspace(_begin(subject, shortest), cutoff, POINTS)
        energy = _energies(subject, pair, distance)
        rows.append(_row(pair, distance, energy, shortest))
        panels.append(_panel(pair, distance, energy, shortest))
    figure = line_panels(panels, columns=3)
    for axes, panel in zip(figure.axes, panels, strict=False):
        values = np.asarray(panel.lines[0].y)
        low, high = float(values.min()), float(values.max())
        axes.set_ylim(low - 0.05 * min(high - low, HEIGHT) - 1e-6, min(high, low + HEIGHT) + 1e-6)
    section.figure(figure, f"Pairs of atoms up to {HEIGHT:g} eV; the dotted line is the shortest distance in the data.")
    table = pd.DataFrame(rows).set_index("pair")
    section.table("Pairs", table)
    falling = [str(name) for name, rises in table["rises towards zero"].items() if rises == "no"]
    if falling:
        section.says(
            f"{', '.join(falling)}: the energy falls where atoms come nearer than in the data, so a simulation that "
            "gets there goes on to fuse them. Train with a repulsion (ZBL), or add structures with short distances."
        )
    return section


def _begin(subject: Subject, shortest: float) -> float:
    """Return where a scan begins (Å): the descriptor sees nothing up to its least distance."""
    wanted = WITHOUT_DATA if np.isnan(shortest) else NEAREST * shortest
    return max(wanted, 1.001 * subject.model.descriptor.layout.min_cutoff)


def _energies(subject: Subject, pair: tuple[str, str], distance: Floats) -> Floats:
    """Return energies relative to two free atoms (eV), the mean of all members.  [distances]"""
    apart = subject.model.descriptor.cutoff + 1.0
    dimers = [Structure(np.array([[0, 0, 0], [r, 0, 0]]), list(pair)) for r in [*distance.tolist(), apart]]
    energy = np.array([member.total_energy for member in subject.predict(dimers)]).mean(0)
    return np.asarray(energy[:-1] - energy[-1])


def _row(pair: tuple[str, str], distance: Floats, energy: Floats, shortest: float) -> dict[str, object]:
    inside = distance < (distance[POINTS // 2] if np.isnan(shortest) else shortest)
    rising = bool((np.diff(energy[inside]) < 0).all())  # from short to long it must fall
    lowest = int(energy.argmin())
    return {
        "pair": "–".join(pair),
        "shortest in the data (Å)": shortest,
        "energy there (eV)": float(np.interp(shortest, distance, energy)),
        "energy at the beginning (eV)": float(energy[0]),
        "lowest energy (eV)": float(energy[lowest]),
        "at (Å)": float(distance[lowest]),
        "rises towards zero": "yes" if rising else "no",
    }


def _panel(pair: tuple[str, str], distance: Floats, energy: Floats, shortest: float) -> LinePanel:
    marks: Mapping[str, float] = {} if np.isnan(shortest) else {f"{shortest:.2f} Å": shortest}
    return LinePanel(
        title="–".join(pair),
        x_label="distance (Å)",
        y_label="energy (eV)",
        lines=[Line(label="", x=distance, y=energy)],
        marks=marks,
    )
