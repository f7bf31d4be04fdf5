"""Calibrating a committee on labelled structures: intervals are learned from one part, and measured on the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from potentia.calibration import Calibration, Scaling, SplitConformal
from potentia.checks import choice
from potentia.ensemble import learned_from, mark_of_weights
from potentia.error_bars import ErrorBars
from potentia.errors import DataError
from potentia.potentials.committee.calibration import CommitteeCalibration, force_spread
from potentia.potentials.committee.predictions import TorchCommitteePredictResult
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.structure import Structure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TorchCommitteeCalibrateResult", "calibrated", "error_bars", "require_labels"]

Method: TypeAlias = SplitConformal | Scaling
Floats: TypeAlias = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class TorchCommitteeCalibrateResult:
    """What the calibration of a committee has learned, and how good it is on other structures."""

    calibration: CommitteeCalibration
    """What the committee keeps: learned from `learned_from` alone, so that what was measured holds for it."""
    energy: ErrorBars
    """Of energies per atom, eV/atom."""
    forces: ErrorBars | None
    """Of the components of forces, eV/Å; None where no structure had any."""
    learned_from: list[int]
    """Places of the structures that it was learned from."""
    measured_on: list[int]
    """Places of the structures that it was measured on."""

    def plot(self, quantity: str = "energy", outfile: str | os.PathLike[str] | None = None) -> Figure:
        """Draw how reliable the intervals are.

        Args:
            quantity: ``"energy"`` or ``"forces"``.
            outfile: Where to write the figure, if anywhere.

        Raises:
            ConfigError: there is no such quantity.
        """
        known = {"energy": self.energy} | ({} if self.forces is None else {"forces": self.forces})
        return known[choice("quantity", quantity, tuple(known))].plot(outfile)

    def __str__(self) -> str:
        head = f"learned from {len(self.learned_from)} structures, measured on {len(self.measured_on)} others"
        return "\n".join([head, str(self.energy), *([] if self.forces is None else [str(self.forces)])])


def calibrated(  # all that a calibration goes by
    predicted: TorchCommitteePredictResult,
    structures: Sequence[Structure],
    models: Sequence[AtomicNetworks],
    method: Method,
    measure: float,
    level: float,
    seed: int,
) -> TorchCommitteeCalibrateResult:
    """Learn intervals from a part of ``structures`` that is drawn, whole ones, and measure them on the others."""
    known = learned_from(len(structures), measure, seed)  # [structures]
    error, spread = _energies(predicted, structures)
    energy = _fit(method, error[known], spread[known], None, None, level)
    bars = ErrorBars.measured("energy", "eV/atom", error[~known], spread[~known], energy, level)
    forces, force_bars = None, None
    atoms = _Atoms.of(predicted, structures)
    if atoms is not None:
        learned = known[atoms.owner]
        if learned.all() or not learned.any():
            raise DataError(
                "too few structures have forces: none is in one of the two parts; hold out more, or take another seed"
            )
        old, new = atoms.part(learned), atoms.part(~learned)
        forces = _fit(method, old.error, old.spread, old.species, old.owner, level)
        force_bars = ErrorBars.measured(
            "force", "eV/Å", new.error, new.spread, forces, level, new.species, new.owner
        )  # fmt: skip
    measured = {"energy": bars.plain()} | ({} if force_bars is None else {"forces": force_bars.plain()})
    marks = tuple(sorted(mark_of_weights(model) for model in models))
    calibration = CommitteeCalibration(energy, forces, level, marks, int(known.sum()), measured)
    places = [np.flatnonzero(part).tolist() for part in (known, ~known)]
    return TorchCommitteeCalibrateResult(calibration, bars, force_bars, *places)


def error_bars(
    predicted: TorchCommitteePredictResult, structures: Sequence[Structure], calibration: CommitteeCalibration
) -> list[ErrorBars]:
    """Measure the intervals of a calibration on ``structures``, which it should not have been learned from.

    Returns:
        Those of the energies; behind them those of the forces, where structures have some and it knows of forces.
    """
    (error, spread), level = _energies(predicted, structures), calibration.level
    bars = [ErrorBars.measured("energy", "eV/atom", error, spread, calibration.energy, level)]
    atoms = _Atoms.of(predicted, structures)
    if atoms is not None and calibration.forces is not None:
        own = (calibration.forces, level, atoms.species, atoms.owner)
        bars.append(ErrorBars.measured("force", "eV/Å", atoms.error, atoms.spread, *own))
    return bars


def _energies(predicted: TorchCommitteePredictResult, structures: Sequence[Structure]) -> tuple[Floats, Floats]:
    """Return errors of the mean and spreads, eV/atom.  [structures] each"""
    error = (predicted.energy_mean - [s.energy for s in structures]) / predicted.n_atoms
    return error, predicted.energy_std / predicted.n_atoms


def require_labels(structures: Sequence[Structure]) -> None:
    """Raise `DataError` unless there are two structures, and each has an energy."""
    if len(structures) < 2:
        raise DataError(
            f"calibrating needs structures to learn from and others to measure on, got {len(structures)}: hold out more"
        )
    for k, structure in enumerate(structures):
        if structure.energy is None:
            raise DataError(f"structure {k} ({structure.label}) has no energy: calibrating compares with labels")


@dataclass(frozen=True, eq=False)
class _Atoms:
    """Force errors of the atoms of all structures that have forces."""

    error: NDArray[np.float64]
    """[atoms, 3], eV/Å"""
    spread: NDArray[np.float64]
    """[atoms], eV/Å"""
    species: NDArray[np.str_]
    """[atoms]"""
    owner: NDArray[np.int64]
    """Which structure an atom is of.  [atoms]"""

    @classmethod
    def of(cls, predicted: TorchCommitteePredictResult, structures: Sequence[Structure]) -> Self | None:
        """Return them; None where no structure has forces."""
        errors, spreads, species, owner = [], [], [], []
        for k, (found, structure) in enumerate(zip(predicted, structures, strict=True)):
            if structure.forces is not None and found.forces_mean is not None and found.forces_std is not None:
                errors.append(found.forces_mean - structure.forces)
                spreads.append(force_spread(found.forces_std))
                species.extend(structure.species)
                owner.extend([k] * structure.n_atoms)
        if not errors:
            return None
        return cls(np.concatenate(errors), np.concatenate(spreads), np.array(species), np.array(owner))

    def part(self, chosen: NDArray[np.bool_]) -> _Atoms:
        """Return those of some atoms."""
        return _Atoms(self.error[chosen], self.spread[chosen], self.species[chosen], self.owner[chosen])


def _fit(
    method: Method,
    residual: NDArray[np.float64],
    spread: NDArray[np.float64],
    groups: NDArray[np.str_] | None,
    blocks: NDArray[np.int64] | None,
    level: float,
) -> Calibration:
    if isinstance(method, SplitConformal):
        return method.fit(residual, spread, groups=groups, blocks=blocks, levels=(level,))
    return method.fit(residual, spread)
