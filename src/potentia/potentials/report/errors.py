"""Sections on errors: beside what costs no training, predicted over reference, by species and group, the worst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.plots import ParityPanel, error_distribution, parity_panels
from potentia.potentials.breakdown import errors_by_group, errors_by_species
from potentia.potentials.parity import NO_GROUP, require_rows
from potentia.potentials.report.measured import MOST, Measured
from potentia.report import Section
from potentia.words import POTENTIALS, in_words

__all__ = ["accuracy_section", "error_table", "in_units", "parity_section", "worst_section"]

Floats = NDArray[np.float64]
QUANTITIES = {"energy": ("meV/atom", 1e3), "force": ("eV/Å", 1.0), "stress": ("meV/Å³", 1e3)}
"""Unit in which errors are shown, and the factor from that of the labels."""
WORST = 15
"""Rows of a table of what is worst."""
OF_ENERGIES = ("RMSE", "MAE", "max")
"""Columns of a table by group that are errors of energies."""
TEXTS = ("part", "formula", "group", "on atom")
"""Columns that are read."""


def error_table(parts: Mapping[str, Measured]) -> pd.DataFrame:
    """Return a row for each part and quantity with its errors, and those of what costs no training.

    For energies that is one energy per species, by least squares on the first part; for forces and stress, nothing.
    """
    reference = next(iter(parts.values()))
    rows = []
    for part, measured in parts.items():
        for quantity, (unit, factor) in QUANTITIES.items():
            labels, predicted = measured.parity.pair(quantity)
            if labels is None or predicted is None:
                continue
            error = factor * (predicted - labels)
            naive = factor * (labels - _by_species(measured, reference) if quantity == "energy" else labels)
            rows.append({
                "of": f"{quantity}, {part}",
                "unit": unit,
                "RMSE": _rms(error),
                "MAE": float(np.abs(error).mean()),
                "largest": float(np.abs(error).max()),
                "baseline RMSE": _rms(naive),
                "RMSE in parts of it": _rms(error) / _rms(naive) if naive.any() else np.nan,
                "values": int(error.size),
            })  # fmt: skip
    return pd.DataFrame(rows).set_index("of")


def accuracy_section(parts: Mapping[str, Measured], errors: pd.DataFrame) -> Section:
    """Return the section on errors, all of them and by group and species."""
    section = Section("Errors").table("Errors", errors, texts=["unit"])
    section.says(
        "The baseline of energies is one energy for each species, fitted by least squares to the first part of the "
        "table; that of forces and stress is zero. Forces and stress are counted by component."
    )
    if any(len(measured.structures) == MOST for measured in parts.values()):
        section.says(f"Of parts with more than {MOST:,} structures, so many were drawn at random.")
    groups = pd.concat({part: errors_by_group(measured.parity) for part, measured in parts.items()}, names=["part"])
    if set(groups.index.get_level_values("group")) != {NO_GROUP}:
        section.table("Energies (meV/atom) and forces (eV/Å) by group", _rows(groups), meant=POTENTIALS)
    species = {part: errors_by_species(m.parity) for part, m in parts.items() if m.parity.force_ref is not None}
    if species:
        section.table("Forces by species (eV/Å)", _rows(pd.concat(species, names=["part"])))
    return section


def in_units(errors: pd.DataFrame) -> pd.DataFrame:
    """Return errors of a training in the units of the page, a row for each, in words."""
    quantities = [
        next((one for one in ("force", "stress") if one in name), "energy") for name in map(str, errors.index)
    ]
    factors = pd.Series([QUANTITIES[one][1] for one in quantities], index=errors.index)
    names = [
        f"{in_words(str(name), POTENTIALS)} ({QUANTITIES[one][0]})"
        for name, one in zip(errors.index, quantities, strict=True)
    ]
    return errors.mul(factors, axis=0).set_axis(pd.Index(names, name="error"))


def parity_section(parts: Mapping[str, Measured]) -> Section:
    """Return the section with predicted over reference, and the distributions of the errors."""
    last_name, last = list(parts.items())[-1]
    section = Section("Predicted and reference")
    panels = [_panel("energy", "eV/atom", {name: m.parity.pair("energy") for name, m in parts.items()})]
    by_species = _by_species_of_atoms(last)
    if by_species:
        panels.append(_panel("force", "eV/Å", by_species))
    stress = {name: m.parity.pair("stress") for name, m in parts.items() if m.parity.stress_ref is not None}
    if stress:
        panels.append(_panel("stress", "eV/Å³", stress))
    of_forces = f" Forces are those of the part “{last_name}”, by species." if by_species else ""
    section.figure(parity_panels(panels), f"Predicted over reference, and the distribution of the errors.{of_forces}")
    energies = {name: 1e3 * (m.parity.energy_pred - m.parity.energy_ref) for name, m in parts.items()}
    section.figure(error_distribution(energies, quantity="energy", unit="meV/atom"), "Errors of energies by part.")
    if by_species:
        forces = {name: found - known for name, (known, found) in by_species.items()}
        figure = error_distribution(forces, quantity="force component", unit="eV/Å")
        section.figure(figure, f"Errors of force components of the part “{last_name}”, by species.")
    return section


def worst_section(parts: Mapping[str, Measured]) -> Section:
    """Return the section with the structures of the largest errors, named by file and frame."""
    section = Section("Worst structures")
    section.says("Look at these first: a large error may be a wrong label.")
    table = pd.concat([_structure_errors(name, measured) for name, measured in parts.items()])
    energy = table.sort_values("energy error (meV/atom)", key=np.abs, ascending=False, kind="stable").head(WORST)
    section.table("By energy", energy, texts=TEXTS)
    known = table[table["largest force error (eV/Å)"].notna()]
    if len(known):
        section.table(
            "By force",
            known.sort_values("largest force error (eV/Å)", ascending=False, kind="stable").head(WORST),
            texts=TEXTS,
        )
    return section


def _structure_errors(part: str, measured: Measured) -> pd.DataFrame:
    """Return a row for each structure."""
    parity = measured.parity
    rows = require_rows(parity)
    force, atom = np.full(len(rows), np.nan), [""] * len(rows)
    if parity.force_ref is not None and parity.force_pred is not None:
        length = np.linalg.norm(parity.force_pred - parity.force_ref, axis=1)  # [atoms]
        owner, number, species = rows.force_atoms
        for k in np.unique(owner).tolist():
            here = np.flatnonzero(owner == k)
            worst = here[int(length[here].argmax())]
            force[k], atom[k] = length[worst], f"{species[worst]} {number[worst]}"
    frame = pd.DataFrame({
        "structure": [s.source or s.label for s in measured.structures],
        "part": part,
        "formula": [_formula(s.species) for s in measured.structures],
        "group": rows.groups,
        "energy error (meV/atom)": 1e3 * (parity.energy_pred - parity.energy_ref),
        "largest force error (eV/Å)": force,
        "on atom": atom,
    })  # fmt: skip
    kept = frame if set(rows.groups) != {NO_GROUP} else frame.drop(columns="group")
    return kept.set_index("structure")


def _panel(quantity: str, unit: str, groups: Mapping[str, tuple[Floats | None, Floats | None]]) -> ParityPanel:
    there = {name: (a, b) for name, (a, b) in groups.items() if a is not None and b is not None}
    error_unit, factor = QUANTITIES[quantity]
    return ParityPanel(quantity=quantity, unit=unit, groups=there, error_unit=error_unit, error_factor=factor)


def _by_species_of_atoms(measured: Measured) -> dict[str, tuple[Floats, Floats]]:
    """Return labels and predictions of forces for each species."""
    reference, predicted = measured.parity.pair("force")
    if reference is None or predicted is None:
        return {}
    species = require_rows(measured.parity).force_atoms.species
    return {str(s): (reference[species == s], predicted[species == s]) for s in np.unique(species)}


def _by_species(measured: Measured, reference: Measured) -> Floats:
    """Return the energies per atom that one energy for each species gives, fitted to ``reference``.  [structures]"""
    names = sorted({name for m in (measured, reference) for s in m.structures for name in s.species})

    def shares(m: Measured) -> Floats:
        return np.array([[s.species.count(name) / s.n_atoms for name in names] for s in m.structures])

    fitted = np.linalg.lstsq(shares(reference), reference.parity.energy_ref)[0]
    return np.asarray(shares(measured) @ fitted)


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with their two names joined, and energies in meV/atom."""
    names = " of ".join(str(name) for name in reversed(frame.index.names))
    rows = frame.set_axis(pd.Index([f"{second}, {first}" for first, second in frame.index], name=names))
    factor = QUANTITIES["energy"][1]
    return rows.assign(**{name: factor * rows[name] for name in OF_ENERGIES if name in rows})


def _formula(species: list[str]) -> str:
    return "".join(f"{name}{n if n > 1 else ''}" for name, n in sorted(Counter(species).items()))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))
