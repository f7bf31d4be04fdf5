"""A trained potential as an ASE calculator: energy, forces, stress and atomic energies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.stress import voigt_from_matrix

__all__ = ["ANNCalculator"]


class ANNCalculator(Calculator):
    """ASE calculator of a trained potential, for relaxation, molecular dynamics, phonons and all else in ASE.

    Energies in eV, forces in eV/Å, stress in eV/Å³ with ASE's sign and order (xx, yy, zz, yz, xz, xy).

    Args:
        potential: A trained potential.

    Raises:
        NotFittedError: the potential is not trained.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, potential: TorchANNPotential) -> None:
        super().__init__()
        potential.require_trained()
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute what ``properties`` asks for, and what comes with it for nothing."""
        super().calculate(atoms, properties, system_changes)
        gradients = bool({"forces", "stress"} & set(properties))
        periodic = bool(self.atoms.pbc.all())
        found = self.potential.predict(_bare(self.atoms), eval_forces=gradients, eval_stress=gradients and periodic)
        results: dict[str, Any] = {
            "energy": found.total_energy[0],
            "free_energy": found.total_energy[0],
        }
        if found.atom_energies is not None:
            results["energies"] = found.atom_energies[0]
        if found.forces is not None:
            results["forces"] = found.forces[0]
        if found.stress is not None and found.stress[0] is not None:
            results["stress"] = voigt_from_matrix(found.stress[0])
        self.results = results


def _bare(atoms: Atoms) -> Atoms:
    """The same atoms without labels: nothing but positions, species, cell and periodicity is needed."""
    return Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
