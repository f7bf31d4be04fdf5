"""The screened Coulomb repulsion of nuclei at short distances, where no reference data tell a network of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from potentia.checks import number
from potentia.errors import ConfigError
from potentia.potentials.neighbours import find_neighbours_of
from potentia.potentials.structure import Structure

__all__ = ["ZBL", "Repulsion"]

COULOMB = 14.399645
"""e²/(4πε₀) in eV·Å, with the digits that LAMMPS uses."""
SCREENING = 0.46850
"""0.88534 times the Bohr radius, Å."""
POWER = 0.23
AMOUNT = np.array([0.02817, 0.28022, 0.50986, 0.18175])
DECAY = np.array([0.20162, 0.40290, 0.94229, 3.19980])


@dataclass(frozen=True, eq=False)
class Repulsion:
    """Energy of one structure and its derivatives."""

    atomic: NDArray[np.float64]
    """Half of each pair's energy on either atom, eV.  [atoms]"""
    forces: NDArray[np.float64]
    """eV/Å.  [atoms, 3]"""
    strain: NDArray[np.float64]
    """dE/dε, eV: the stress times the volume.  [3, 3]"""

    @property
    def energy(self) -> float:
        """eV."""
        return float(self.atomic.sum())


@dataclass(frozen=True)
class ZBL:
    """Universal repulsion of Ziegler, Biersack and Littmark, led smoothly to zero between two distances.

    J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter, Pergamon (1985). The switch is
    that of ``pair_style zbl inner outer`` of LAMMPS: energy, force and its slope are zero at ``outer``, and below
    ``inner`` the energy is shifted by a constant.

    Choose ``outer`` below the shortest distances in the data, so that the network keeps what it is good at.

    Raises:
        ConfigError: the distances cannot be.

    >>> hydrogen = Structure([[0, 0, 0], [0.3, 0, 0]], ["H", "H"])
    >>> round(ZBL(inner=0.4, outer=0.7).of([hydrogen])[0].energy, 3)
    12.103
    """

    inner: float
    """Where the switch begins, Å."""
    outer: float
    """From where on there is nothing, Å."""

    def __post_init__(self) -> None:
        if not 0 < number("inner", self.inner) < number("outer", self.outer):
            raise ConfigError(f"ZBL needs 0 < inner < outer in Å, got inner={self.inner} and outer={self.outer}")

    def of(self, structures: Sequence[Structure]) -> list[Repulsion]:
        """Return the repulsion in each structure.

        Raises:
            ConfigError: a species is no chemical element.
        """
        return [self._one(s, n) for s, n in zip(structures, find_neighbours_of(structures, self.outer), strict=True)]

    def pair(
        self, one: str, other: str, distance: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return energy (eV) and its slope (eV/Å) of a pair of elements at ``distance`` (Å)."""
        charge = np.array([_charge(one)]), np.array([_charge(other)])
        return self._pairs(*charge, np.asarray(distance, dtype=np.float64))

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return dict(vars(self))

    def _one(self, structure: Structure, pairs: Any) -> Repulsion:
        charges = np.array([_charge(name) for name in structure.species], dtype=np.float64)
        atomic, forces = np.zeros(structure.n_atoms), np.zeros((structure.n_atoms, 3))
        if not pairs.n_pairs:
            return Repulsion(atomic, forces, np.zeros((3, 3)))
        centre, r = pairs.centre, pairs.distance
        energy, slope = self._pairs(charges[centre], charges[pairs.neighbour], r)
        along = (slope / r)[:, None] * pairs.vector  # dE/dvector; each pair is there twice, with half of its energy
        np.add.at(atomic, centre, energy / 2)
        np.add.at(forces, centre, along)
        return Repulsion(atomic, forces, np.einsum("pa,pb->ab", along, pairs.vector) / 2)

    def _pairs(
        self, one: NDArray[np.float64], other: NDArray[np.float64], r: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        value, slope, _ = _screened(one, other, r)
        edge, fall, bend = _screened(one, other, np.full_like(r, self.outer))
        width = self.outer - self.inner
        cubic = (-3 * fall + width * bend) / width**2
        quartic = (2 * fall - width * bend) / width**3
        constant = -edge + width * fall / 2 - width**2 * bend / 12
        x = np.maximum(r - self.inner, 0.0)
        inside = r < self.outer
        energy = value + cubic / 3 * x**3 + quartic / 4 * x**4 + constant
        return np.where(inside, energy, 0.0), np.where(inside, slope + cubic * x**2 + quartic * x**3, 0.0)


def _screened(
    one: NDArray[np.float64], other: NDArray[np.float64], r: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the screened Coulomb energy of pairs, and its first and second derivative by the distance."""
    decay = DECAY * ((one**POWER + other**POWER) / SCREENING)[:, None]  # [pairs, terms]
    terms = AMOUNT * np.exp(-decay * r[:, None])
    screen, first, second = terms.sum(1), -(decay * terms).sum(1), (decay**2 * terms).sum(1)
    scale = COULOMB * one * other / r
    return (
        scale * screen,
        scale * (first - screen / r),
        scale * (second - 2 * first / r + 2 * screen / r**2),
    )


def _charge(species: str) -> float:
    if species not in atomic_numbers:
        raise ConfigError(f"ZBL knows chemical elements only, not the species {species!r}: leave the repulsion out")
    return float(atomic_numbers[species])


def repulsion_from(settings: Mapping[str, Any] | None) -> ZBL | None:
    """Return the repulsion of a recipe, None where it has none."""
    return None if settings is None else ZBL(**settings)
