"""Labels whose unit, sign or origin cannot be right, found out from the numbers alone, without any model.

What can be seen, and what cannot:

- Energies against forces, energies against stress: `energy_work` compares them where frames of the same atoms are close
  to each other (trajectories, rattled and strained crystals). A unit of one that does not fit the other, or a wrong
  sign, is then seen, if units differ by 1.6 and more for forces, 2 and more for stress. Without such frames it is not.
- All labels in one foreign system (kcal/mol with kcal/mol/Å, Hartree with Hartree/Å) fit each other. They are seen only
  by a stress in other units, when energies are more than 50 eV/atom off the atomic energies given or scatter by more
  than 10 eV/atom, or when forces or stresses are larger or smaller than those of any matter.
- Energies per atom instead of total: when one composition comes in different sizes, or when they do not fit the forces.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce
from math import gcd

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.energy_work import Ratio, Step, ratio_of, steps_between
from potentia.potentials.quality.findings import ERROR, WARNING, Finding, some
from potentia.potentials.structure import Structure
from potentia.units import (
    ANGSTROM_PER_BOHR,
    EV_PER_ANGSTROM3_IN_GPA,
    EV_PER_HARTREE,
    EV_PER_KCAL_MOL,
    EV_PER_RYDBERG,
)

__all__ = ["ENERGY_UNITS", "FITTING_UNITS", "FORCE_UNITS", "STRESS_UNITS", "nearest", "size_findings", "work_findings"]

CHECK = "signs and units"

EV_PER_KJ_MOL = EV_PER_KCAL_MOL / 4.184

FEWEST_STEPS = 8
"""Steps needed to believe a ratio of energy and work ..."""
LEAST_AGREEMENT = 0.5
"""... and the part of them that must agree on it."""
FORCE_RATIO = 1.6
"""Energy over work of forces beyond which units must differ; Hartree with Hartree/Bohr is 1.89."""
STRESS_RATIO = 2.0
"""Energy over work of stress beyond which units must differ; real stresses are noisier than forces."""
LARGEST_REFERENCED = 50.0
"""Energy per atom (eV) against free atoms in the median frame; bonds give 10 at most."""
WIDEST_SPREAD = 10.0
"""Interquartile range of referenced energies (eV/atom) ..."""
FEWEST_FRAMES = 8
"""... of as many frames as this, or more."""
FORCES = (1e-4, 50.0)
"""Median force (eV/Å) between these."""
LARGEST_STRESS = 10.0
"""Median stress times volume per atom (eV); 1 is a high pressure."""

ENERGY_UNITS = {
    "Hartree": 1 / EV_PER_HARTREE,
    "Rydberg": 1 / EV_PER_RYDBERG,
    "kcal/mol": 1 / EV_PER_KCAL_MOL,
    "kJ/mol": 1 / EV_PER_KJ_MOL,
    "meV": 1000.0,
}
"""The number that stands for 1 eV."""
FORCE_UNITS = {f"{unit}/Å": value for unit, value in ENERGY_UNITS.items()} | {
    f"{unit}/Bohr": ENERGY_UNITS[unit] * ANGSTROM_PER_BOHR for unit in ("Hartree", "Rydberg")
}
STRESS_UNITS = {"GPa": EV_PER_ANGSTROM3_IN_GPA, "kbar": 10 * EV_PER_ANGSTROM3_IN_GPA}
FITTING_UNITS = (
    {f"energies in {unit}": value for unit, value in ENERGY_UNITS.items()}
    | {f"forces in {unit}": 1 / value for unit, value in FORCE_UNITS.items()}
    | {"energies in Hartree and forces in Hartree/Bohr (or Rydberg and Rydberg/Bohr)": 1 / ANGSTROM_PER_BOHR}
)
"""The ratio of energy to the work of forces that each mistake makes."""


def work_findings(structures: Sequence[Structure]) -> list[Finding]:
    """Return what steps between neighbouring frames tell of signs and units."""
    return _against_work(steps_between(structures))


def size_findings(structures: Sequence[Structure], atomic_energies: Mapping[str, float]) -> list[Finding]:
    """Return what labels cannot be by their size.

    Args:
        structures: the frames with their labels.
        atomic_energies: energy of the free atom of each species (eV), empty where they are not known.
    """
    with_energy = [s for s in structures if s.has_energy()]
    return [
        *_per_atom(with_energy),
        *_references(with_energy, atomic_energies),
        *_force_size(structures),
        *_stress_size(structures),
    ]


def _against_work(steps: list[Step]) -> list[Finding]:
    at_rest = [step for step in steps if not step.strained]
    ratio = ratio_of(_array([s.energy for s in at_rest]), _array([s.force_work for s in at_rest]))
    if ratio is not None and _differs(ratio, FORCE_RATIO):
        per_atom = {"energies per atom instead of total": 1 / float(np.median([step.n_atoms for step in at_rest]))}
        return [_of_ratio(ratio, "forces", "−dE/dx, not the gradient", FITTING_UNITS | per_atom)]
    strained = [(s.energy - s.force_work, s.force_work, s.stress_work) for s in steps if s.stress_work is not None]
    mostly_stress = [(rest, stress) for rest, forces, stress in strained if stress and abs(rest) >= abs(forces)]
    ratio = ratio_of(_array([rest for rest, _ in mostly_stress]), _array([stress for _, stress in mostly_stress]))
    if ratio is not None and _differs(ratio, STRESS_RATIO):
        units = {f"stress in {unit}": 1 / value for unit, value in STRESS_UNITS.items()}
        units |= {f"energies and forces in {unit}": value for unit, value in ENERGY_UNITS.items()}
        return [_of_ratio(ratio, "stress", "positive in tension, as in ASE; VASP and LAMMPS have the opposite", units)]
    return []


def _differs(ratio: Ratio, factor: float) -> bool:
    sure = ratio.steps >= FEWEST_STEPS and ratio.agreement >= LEAST_AGREEMENT
    return sure and not 1 / factor < ratio.value < factor


def _of_ratio(ratio: Ratio, label: str, sign: str, mistakes: Mapping[str, float]) -> Finding:
    size = abs(ratio.value)
    causes = [f"the sign of the {label} (wanted: {sign})"] if ratio.value < 0 else []
    if not 1 / 1.5 < size < 1.5:
        causes.append(" or ".join(nearest(size, mistakes)) or f"the unit of energies or {label}")
    text = (
        f"from frame to frame, energies change by {ratio.value:.3g} times the work of the {label}, and 1 is right "
        f"(median of {ratio.steps} steps); likely: {' and '.join(causes)}"
    )
    return _error(text, "convert to eV, eV/Å and eV/Å³, with the sign that is wanted")


def nearest(size: float, mistakes: Mapping[str, float], within: float = 1.25) -> list[str]:
    """Return the mistakes whose factor is that of ``size``, up to a factor of ``within``, the nearest first."""
    distance = {mistake: abs(float(np.log(size / factor))) for mistake, factor in mistakes.items()}
    return sorted((m for m in distance if distance[m] < np.log(within)), key=distance.__getitem__)


def _per_atom(structures: Sequence[Structure]) -> list[Finding]:
    sizes: dict[tuple[tuple[str, int], ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for s in structures:
        counts = Counter(s.species)
        unit = reduce(gcd, counts.values())
        composition = tuple(sorted((symbol, n // unit) for symbol, n in counts.items()))
        sizes[composition][s.n_atoms].append(s.energy or 0.0)
    for composition, energies in sizes.items():
        middle = _array([np.median(values) for values in energies.values()])  # [sizes], eV
        if len(middle) > 1 and middle.std() < 0.2 * (middle / _array(list(energies))).std():
            formula = "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in composition)
            text = f"the energies of {formula} do not grow with the number of atoms ({some(sorted(energies))})"
            return [_error(text, "if they are per atom: wanted is the total energy of all atoms")]
    return []


def _references(structures: Sequence[Structure], atomic_energies: Mapping[str, float]) -> list[Finding]:
    symbols = sorted({symbol for s in structures for symbol in s.species})
    if not structures:
        return []
    counts = _array([[s.species.count(symbol) for symbol in symbols] for s in structures])
    n_atoms = counts.sum(axis=1)
    energies = _array([s.energy for s in structures])
    if any(atomic_energies.values()) and set(symbols) <= set(atomic_energies):
        free = counts @ _array([atomic_energies[symbol] for symbol in symbols])  # [structures], eV
        referenced = (energies - free) / n_atoms
        middle = float(np.median(referenced))
        if abs(middle) > LARGEST_REFERENCED:
            ratio = float(np.median(energies / np.where(free == 0, np.nan, free)))
            mistakes = {f"energies in {unit}": value for unit, value in ENERGY_UNITS.items()}
            mistakes["energies per atom instead of total"] = 1 / float(np.median(n_atoms))
            causes = nearest(ratio, mistakes) if ratio > 0 else []
            hint = " or ".join(causes) or "they do not come from the same method and pseudopotentials"
            text = f"the median energy is {middle:.3g} eV/atom off the atomic energies; likely: {hint}"
            return [_error(text, "give atomic energies of the same method, in eV")]
    else:
        fitted = np.linalg.lstsq(counts / n_atoms[:, None], energies / n_atoms, rcond=None)[0]
        referenced = (energies - counts @ fitted) / n_atoms
    low, high = np.percentile(referenced, [25, 75])
    if len(structures) >= FEWEST_FRAMES and high - low > WIDEST_SPREAD:
        text = f"half of the frames differ by more than {high - low:.3g} eV/atom in energy against their composition"
        return [_error(text, "check the unit of energies, and whether all come from the same method")]
    return []


def _force_size(structures: Sequence[Structure]) -> list[Finding]:
    forces = [s.forces for s in structures if s.forces is not None]
    sizes = np.linalg.norm(np.concatenate([np.empty((0, 3)), *forces]), axis=1)
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return []
    middle = float(np.median(sizes))
    if FORCES[0] <= middle <= FORCES[1]:
        return []
    return [_warning(f"the median force is {middle:.3g} eV/Å, where 0.01 to 10 is usual", "check the unit of forces")]


def _stress_size(structures: Sequence[Structure]) -> list[Finding]:
    found = [(np.abs(s.stress).max(), s.volume / s.n_atoms) for s in structures if s.stress is not None]
    if not found:
        return []
    largest, volume = _array(found).T  # [structures], eV/Å³ and Å³ per atom
    middle = float(np.median(largest * volume))
    if middle <= LARGEST_STRESS:
        return []
    stress = float(np.median(largest))
    text = (
        f"the median stress is {stress:.3g} eV/Å³ = {stress * EV_PER_ANGSTROM3_IN_GPA:.3g} GPa, "
        f"times the volume {middle:.3g} eV per atom"
    )
    return [_error(text, "if it is in GPa or kbar, convert it to eV/Å³")]


def _error(text: str, advice: str) -> Finding:
    return Finding(check=CHECK, severity=ERROR, text=text, advice=advice)


def _warning(text: str, advice: str) -> Finding:
    return Finding(check=CHECK, severity=WARNING, text=text, advice=advice)


def _array(values: Sequence[object]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
