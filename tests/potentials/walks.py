"""Structures that walk, and potentials that ask them."""

from __future__ import annotations

import pytest
from ase import Atoms

from potentia import Structure, TorchANNPotential
from potentials.small_data import crystal, molecule, trained

STRUCTURES = {
    "crystal": crystal(0),
    "one atom": crystal(2, 1),
    "larger than the cutoff": crystal(5, 8, length=9.0),
    "slab": crystal(3, 4, pbc=(True, True, False)),
    "wire": crystal(4, 4, pbc=(False, True, False)),
    "molecule": molecule(1),
}
every_structure = pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)


def atoms_of(structure: Structure) -> Atoms:
    return Atoms(structure.species, structure.positions, cell=structure.cell, pbc=structure.pbc)


def with_descriptor(**changes) -> TorchANNPotential:
    """Return the trained potential with other settings of its descriptor."""
    recipe = trained().recipe()
    return TorchANNPotential.from_parts(recipe | {"descriptor": recipe["descriptor"] | changes}, trained().learned())
