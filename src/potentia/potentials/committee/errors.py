"""Errors of the mean of a committee beside the spreads of its members, which error bars are learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from potentia.error_bars import ErrorBars
from potentia.potentials.committee.calibration import CommitteeCalibration, force_spread
from potentia.potentials.committee.predictions import TorchCommitteePredictResult
from potentia.potentials.structure import Structure

__all__ = ["CommitteeErrors", "ForceErrors"]

Floats: TypeAlias = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class ForceErrors:
    """Those of the atoms of all structures that have forces."""

    error: Floats
    """[atoms, 3], eV/Å"""
    spread: Floats
    """[atoms], eV/Å"""
    species: NDArray[np.str_]
    """[atoms]"""
    owner: NDArray[np.int64]
    """Which structure an atom is of.  [atoms]"""

    def part(self, chosen: NDArray[np.bool_]) -> Self:
        """Return those of the atoms of some structures.  [structures]"""
        own = chosen[self.owner]
        return type(self)(self.error[own], self.spread[own], self.species[own], self.owner[own])

    def __len__(self) -> int:
        return len(self.error)


@final
@dataclass(frozen=True, eq=False)
class CommitteeErrors:
    """Those of some structures."""

    energy: Floats
    """[structures], eV/atom"""
    energy_spread: Floats
    """[structures], eV/atom"""
    forces: ForceErrors | None
    """None where no structure has forces."""

    @classmethod
    def of(cls, predicted: TorchCommitteePredictResult, structures: Sequence[Structure]) -> Self:
        """Compare predictions with labels; each structure has an energy."""
        energy = (predicted.energy_mean - [s.energy for s in structures]) / predicted.n_atoms
        errors, spreads, species, owner = [], [], [], []
        for k, (found, structure) in enumerate(zip(predicted, structures, strict=True)):
            if structure.forces is not None and found.forces_mean is not None and found.forces_std is not None:
                errors.append(found.forces_mean - structure.forces)
                spreads.append(force_spread(found.forces_std))
                species.extend(structure.species)
                owner.extend([k] * structure.n_atoms)
        atoms = None
        if errors:
            atoms = ForceErrors(np.concatenate(errors), np.concatenate(spreads), np.array(species), np.array(owner))
        return cls(energy, predicted.energy_std / predicted.n_atoms, atoms)

    def part(self, chosen: NDArray[np.bool_]) -> Self:
        """Return those of some structures.  [structures]"""
        atoms = None if self.forces is None else self.forces.part(chosen)
        return type(self)(self.energy[chosen], self.energy_spread[chosen], atoms if atoms else None)

    def bars(self, calibration: CommitteeCalibration) -> list[ErrorBars]:
        """Measure what the intervals of a calibration hold of them: of energies, and of forces where both know some."""
        level = calibration.level
        bars = [ErrorBars.measured("energy", "eV/atom", self.energy, self.energy_spread, calibration.energy, level)]
        if self.forces is not None and calibration.forces is not None:
            atoms, known = self.forces, (calibration.forces, level, self.forces.species, self.forces.owner)
            bars.append(ErrorBars.measured("force", "eV/Å", atoms.error, atoms.spread, *known))
        return bars
