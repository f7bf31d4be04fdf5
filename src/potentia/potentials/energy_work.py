"""Energy against work: two like frames differ in energy by the work of forces and stress on the way between them.

For frames i and j of the same atoms in nearly the same places, by the trapezoidal rule (exact when bonds are springs),

    E_j − E_i = −½ Σ_a (F_i + F_j)·Δx_a + ½ (V_i σ_i + V_j σ_j):ε,

so the ratio of both sides is 1, and tells the unit and the sign of the labels when it is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.structure import Structure

__all__ = ["Ratio", "Step", "ratio_of", "steps_between"]

LONGEST_STEP = 0.5
"""Root mean square displacement (Å) up to which the trapezoidal rule holds well enough."""
LARGEST_STRAIN = 0.15
"""Change of the cell, relative, up to which the same is true."""
MOST_STEPS = 1000
"""Steps looked at; of longer lists, evenly spaced ones."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """From one frame to the next of the same atoms. All in eV."""

    n_atoms: int
    energy: float
    """E_j − E_i."""
    force_work: float
    """−½ Σ (F_i + F_j)·Δx."""
    strained: bool
    """Whether the cell changes, too."""
    stress_work: float | None = None
    """½ (V_i σ_i + V_j σ_j):ε; None without stress."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times the work the energy changes, in the middle of many steps."""

    value: float
    steps: int
    agreement: float
    """Part of the steps whose ratio has the same sign and is within a factor of 1.5."""


def ratio_of(energy: NDArray[np.float64], work: NDArray[np.float64]) -> Ratio | None:
    """Return the median ratio over the larger half of the steps; None if there is no step with work.  [steps] each."""
    large = np.abs(work) >= max(float(np.median(np.abs(work))) if len(work) else 0.0, 1e-6)
    if not large.any():
        return None
    ratios = energy[large] / work[large]
    middle = float(np.median(ratios))
    if middle == 0:
        return None
    near = (ratios / middle > 1 / 1.5) & (ratios / middle < 1.5)
    return Ratio(value=middle, steps=len(ratios), agreement=float(near.mean()))


def steps_between(structures: Sequence[Structure]) -> list[Step]:
    """Return the short steps between frames that follow each other among those of the same atoms."""
    alike: dict[tuple[str, ...], list[Structure]] = defaultdict(list)
    for structure in structures:
        if structure.has_energy() and structure.has_forces():
            alike[tuple(structure.species)].append(structure)
    pairs = [pair for frames in alike.values() for pair in pairwise(frames)]
    stride = max(1, len(pairs) // MOST_STEPS)
    steps = (_step(one, other) for one, other in pairs[::stride])
    return [step for step in steps if step is not None]


def _step(one: Structure, other: Structure) -> Step | None:
    path = _path(one, other)
    if path is None or one.energy is None or other.energy is None or one.forces is None or other.forces is None:
        return None
    moved, strain = path
    if not 1e-8 < float(np.mean(moved**2)) * 3 + float(np.mean(strain**2)) < LONGEST_STEP**2:
        return None
    stress_work = None
    if one.stress is not None and other.stress is not None:
        virial = one.volume * one.stress + other.volume * other.stress
        stress_work = 0.5 * float((virial * strain).sum())
    return Step(
        n_atoms=one.n_atoms,
        energy=other.energy - one.energy,
        force_work=-0.5 * float(((one.forces + other.forces) * moved).sum()),
        strained=bool(strain.any()),
        stress_work=stress_work,
    )


def _path(one: Structure, other: Structure) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return displacements (atoms, 3), Å, to the nearest images, and strain (3, 3); None if the cells are not alike."""
    nothing = np.zeros((3, 3))
    if not np.array_equal(one.pbc, other.pbc):
        return None
    if one.cell is None or other.cell is None or not one.is_periodic():
        return other.positions - one.positions, nothing
    if np.allclose(one.cell[one.pbc], other.cell[one.pbc], rtol=0, atol=1e-6):
        vectors = one.cell[one.pbc]  # [periodic, 3]
        moved = other.positions - one.positions
        return moved - np.round(moved @ np.linalg.pinv(vectors)) @ vectors, nothing
    if not one.pbc.all():
        return None
    change = np.linalg.solve(one.cell, other.cell) - np.eye(3)
    if np.abs(change).max() > LARGEST_STRAIN:
        return None
    fraction = other.positions @ np.linalg.inv(other.cell) - one.positions @ np.linalg.inv(one.cell)
    return (fraction - np.round(fraction)) @ ((one.cell + other.cell) / 2), (change + change.T) / 2
