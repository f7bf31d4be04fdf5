"""The screened Coulomb repulsion of nuclei at short distances, where no reference data tell a network of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from potentia.checks import number
from potentia.errors import ConfigError
from potentia.potentials.neighbours import Neighbours, find_neighbours_of
from potentia.potentials.structure import Structure

__all__ = ["ZBL", "Repulsion", "checked_repulsion", "repulsion_from", "without_repulsion"]

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

    def is_zero(self) -> bool:
        """Whether nothing at all is felt."""
        return not (self.atomic.any() or self.forces.any())


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
        inner, outer = number("inner", self.inner), number("outer", self.outer)
        object.__setattr__(self, "inner", inner)
        object.__setattr__(self, "outer", outer)
        if not 0 < inner < outer:
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

    def charges(self, species: Sequence[str]) -> NDArray[np.float64]:
        """Return the charge of the nucleus of each of ``species``, or raise `ConfigError` naming what has none."""
        return np.array([_charge(name) for name in species], dtype=np.float64)

    def between(
        self, one: NDArray[np.float64], other: NDArray[np.float64], vector: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the energy (eV) [pairs] of pairs of nuclei, and its derivative by their vectors (eV/Å) [pairs, 3].

        Args:
            one: Charge of the one nucleus.  [pairs]
            other: Charge of the other.  [pairs]
            vector: From one to the other, Å; of any length.  [pairs, 3]
        """
        energy, along = np.zeros(len(vector)), np.zeros((len(vector), 3))
        distance = np.sqrt((vector**2).sum(axis=1))
        near = np.flatnonzero(distance < self.outer)
        if len(near):
            r = distance[near]
            energy[near], slope = self._pairs(one[near], other[near], r)
            along[near] = (slope / r)[:, None] * vector[near]
        return energy, along

    def on(
        self,
        charges: NDArray[np.float64],
        centre: NDArray[np.integer[Any]],
        neighbour: NDArray[np.integer[Any]],
        vector: NDArray[np.float64],
    ) -> Repulsion:
        """Return the repulsion of atoms with ``charges`` [atoms], from pairs that are each there from both sides.

        Args:
            charges: Charge of each atom's nucleus.  [atoms]
            centre: Atom that each pair is seen from.  [pairs]
            neighbour: The other atom.  [pairs]
            vector: From the centre to the neighbour, Å.  [pairs, 3]
        """
        atomic, forces = np.zeros(len(charges)), np.zeros((len(charges), 3))
        if not len(centre):
            return Repulsion(atomic, forces, np.zeros((3, 3)))
        energy, along = self.between(charges[centre], charges[neighbour], vector)
        np.add.at(atomic, centre, energy / 2)
        np.add.at(forces, centre, along)
        return Repulsion(atomic, forces, np.einsum("pa,pb->ab", along, vector) / 2)

    def _one(self, structure: Structure, pairs: Neighbours) -> Repulsion:
        return self.on(self.charges(structure.species), pairs.centre, pairs.neighbour, pairs.vector)

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


def without_repulsion(structure: Structure, found: Repulsion) -> Structure:
    """Return the structure with its labels less the repulsion: what is left for networks to learn."""
    if found.is_zero():
        return structure
    energy, forces, stress = structure.energy, structure.forces, structure.stress
    return replace(
        structure,
        energy=None if energy is None else energy - found.energy,
        forces=None if forces is None else forces - found.forces,
        stress=None if stress is None else stress - found.strain / structure.volume,
    )


def checked_repulsion(repulsion: ZBL | None, species: Sequence[str], cutoff: float) -> ZBL | None:
    """Return the repulsion if it can go with a descriptor of these ``species`` and this ``cutoff`` (Å).

    Raises:
        ConfigError: it is no repulsion, reaches farther than the descriptor, or a species is no chemical element.
    """
    if repulsion is None:
        return None
    if not isinstance(repulsion, ZBL):
        raise ConfigError(f"repulsion must be a ZBL, e.g. ZBL(inner=0.6, outer=1.2), or None, got {repulsion!r}")
    repulsion.charges(species)
    if repulsion.outer > cutoff:
        raise ConfigError(
            f"the repulsion reaches to outer = {repulsion.outer} Å, farther than the descriptor, which sees {cutoff} "
            "Å: choose outer below the shortest distances in the data"
        )
    return repulsion


def repulsion_from(recipe: Mapping[str, Any]) -> ZBL | None:
    """Return the repulsion of a recipe, None where it has none."""
    return ZBL(**recipe["repulsion"]) if "repulsion" in recipe else None
