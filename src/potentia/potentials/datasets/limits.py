"""Which structures are kept: those below an energy and a force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from potentia.checks import number
from potentia.errors import ConfigError, DataError
from potentia.potentials.structure import Structure

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Energies of free atoms, and what may be above them. Structures without a label pass the test of that label."""

    atomic_energies: Mapping[str, float] | None = None
    """Energy of the free atom of each species (eV); None means zeros."""
    max_energy: float | None = None
    """Largest (E − Σ E_atom)/N (eV per atom)."""
    max_forces: float | None = None
    """Largest magnitude ``|F|`` of the force on an atom (eV/Å)."""

    def __post_init__(self) -> None:
        if self.max_energy is not None:
            object.__setattr__(self, "max_energy", number("max_energy", self.max_energy))
        if self.max_forces is not None:
            object.__setattr__(self, "max_forces", number("max_forces", self.max_forces, low=0.0))
        if self.atomic_energies is not None:
            if not isinstance(self.atomic_energies, Mapping):
                raise ConfigError(f"atomic_energies must be like {{'H': -13.6}} in eV, got {self.atomic_energies!r}")
            energies = {name: number(f"atomic_energies[{name!r}]", e) for name, e in self.atomic_energies.items()}
            object.__setattr__(self, "atomic_energies", energies)

    def reference_energy(self, structure: Structure) -> float:
        """Return the energy of the free atoms of ``structure`` (eV), 0 without atomic energies.

        Raises:
            DataError: a species has no atomic energy.
        """
        if self.atomic_energies is None:
            return 0.0
        for atom, name in enumerate(structure.species):
            if name not in self.atomic_energies:
                raise DataError(f"atomic_energies lacks {name}, the species of atom {atom} in {structure.label}")
        return float(sum(self.atomic_energies[name] for name in structure.species))

    def keep(self, structure: Structure) -> bool:
        """Whether ``structure`` is kept."""
        kept = True
        if self.max_energy is not None and structure.energy is not None:
            kept = (structure.energy - self.reference_energy(structure)) / structure.n_atoms <= self.max_energy
        if self.max_forces is not None and structure.forces is not None:
            kept = kept and float(np.linalg.norm(structure.forces, axis=1).max()) <= self.max_forces
        return kept
