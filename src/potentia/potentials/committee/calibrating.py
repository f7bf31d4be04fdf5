"""Calibrating a committee on labelled structures: intervals are learned from one part, and measured on the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.calibration import Calibration, Scaling, SplitConformal
from potentia.checks import choice
from potentia.ensemble import learned_from, mark_of_weights
from potentia.error_bars import ErrorBars, bar_tables
from potentia.errors import DataError
from potentia.potentials.committee.calibration import CommitteeCalibration
from potentia.potentials.committee.errors import CommitteeErrors
from potentia.potentials.committee.predictions import TorchCommitteePredictResult
from potentia.potentials.datasets.contents import geometry_marks
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.structure import Structure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TorchCommitteeCalibrateResult", "calibrated", "measured_again", "require_labels"]

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

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return ``"calibration"``, a row for each quantity, and ``"coverage"`` at several levels, by species too."""
        return bar_tables(self._bars, len(self.measured_on), len(self.learned_from))

    @property
    def _bars(self) -> list[ErrorBars]:
        return [self.energy, *([] if self.forces is None else [self.forces])]

    def __str__(self) -> str:
        head = f"learned from {len(self.learned_from)} structures, measured on {len(self.measured_on)} others"
        return "\n".join([head, *map(str, self._bars)])


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
    errors = CommitteeErrors.of(predicted, structures)
    old, new = errors.part(known), errors.part(~known)
    if errors.forces is not None and (old.forces is None or new.forces is None):
        raise DataError(
            "too few structures have forces: none is in one of the two parts; hold out more, or take another seed"
        )
    energy = _fit(method, old.energy, old.energy_spread, None, None, level)
    forces = None
    if old.forces is not None:
        forces = _fit(method, old.forces.error, old.forces.spread, old.forces.species, old.forces.owner, level)
    members = tuple(sorted(mark_of_weights(model) for model in models))
    seen = tuple(sorted(geometry_marks(structures[k] for k in np.flatnonzero(known).tolist())))
    calibration = CommitteeCalibration(energy, forces, level, members, seen)
    bars = new.bars(calibration)
    measured = dict(zip(("energy", "forces"), (one.plain() for one in bars), strict=False))
    places = [np.flatnonzero(part).tolist() for part in (known, ~known)]
    return TorchCommitteeCalibrateResult(
        replace(calibration, measured=measured), bars[0], bars[1] if forces is not None else None, *places
    )


def measured_again(
    predicted: TorchCommitteePredictResult, structures: Sequence[Structure], calibration: CommitteeCalibration
) -> dict[str, pd.DataFrame]:
    """Measure the intervals of a calibration on those of the ``structures`` that it was not learned from.

    Returns:
        The tables of `bar_tables`: of energies, and of forces where structures have some and it knows of forces.

    Raises:
        DataError: it was learned from all of them.
    """
    new = calibration.unseen(structures)
    if not new.any():
        raise DataError(
            f"all {len(structures)} structures are those that the calibration was learned from: hold others out to "
            "measure it on"
        )
    bars = CommitteeErrors.of(predicted, structures).part(new).bars(calibration)
    return bar_tables(bars, int(new.sum()), int((~new).sum()))


def require_labels(structures: Sequence[Structure]) -> None:
    """Raise `DataError` unless there are two structures, and each has an energy."""
    if len(structures) < 2:
        raise DataError(
            f"calibrating needs structures to learn from and others to measure on, got {len(structures)}: hold out more"
        )
    for k, structure in enumerate(structures):
        if structure.energy is None:
            raise DataError(f"structure {k} ({structure.label}) has no energy: calibrating compares with labels")


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
