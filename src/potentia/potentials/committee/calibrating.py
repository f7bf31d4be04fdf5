"""Calibrating a committee on labelled structures: intervals are learned from one part, and measured on the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.calibration import Calibration, Scaling, SplitConformal
from potentia.checks import choice, number
from potentia.coverage import caught, coverage_by_size, coverage_table, miscalibration_area, rank_correlation
from potentia.errors import ConfigError, DataError
from potentia.potentials.committee.calibration import CommitteeCalibration, force_spread, mark_of
from potentia.potentials.committee.predictions import TorchCommitteePredictResult
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.structure import Structure
from potentia.seeding import stream

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ErrorBars", "TorchCommitteeCalibrateResult", "calibrated", "require_labels"]

Method: TypeAlias = SplitConformal | Scaling
LEVELS = (0.5, 0.68, 0.9, 0.95)
"""Levels at which coverage is told, beside the one asked for."""


@final
@dataclass(frozen=True, eq=False)
class ErrorBars:
    """How good the intervals of one quantity are, on structures that they were not learned from."""

    quantity: str
    """``"energy"`` or ``"force"``."""
    unit: str
    level: float
    coverage: pd.DataFrame
    """Which share of the errors is covered at several levels, for all and by species: see `coverage_table`."""
    by_spread: pd.DataFrame
    """Coverage of small and of large spreads: see `coverage_by_size`."""
    by_error: pd.DataFrame
    """Coverage of small and of large errors, of which the largest are covered least."""
    caught: float
    """Share of the worst 1 % of the errors (of a force: its length) that is among the 10 % of largest spread."""
    rank_correlation: float
    """Spearman's, of the sizes of the errors with the spreads."""
    miscalibration_area: float
    """Between observed and nominal coverage over all levels: 0 is right, 0.5 the worst."""
    RMSE: float
    """Of the errors, in the unit."""

    @classmethod
    def measured(  # all that belongs to the errors of a quantity
        cls,
        quantity: str,
        unit: str,
        residual: NDArray[np.float64],
        spread: NDArray[np.float64],
        calibration: Calibration,
        level: float,
        groups: NDArray[np.str_] | None = None,
        blocks: NDArray[np.int64] | None = None,
    ) -> Self:
        """Measure ``calibration`` on errors that it was not learned from; arguments as for `coverage_table`."""
        new = (residual, spread, calibration)
        size = np.abs(residual) if residual.ndim == 1 else np.linalg.norm(residual, axis=1)
        return cls(
            quantity=quantity,
            unit=unit,
            level=level,
            coverage=coverage_table(*new, sorted({*LEVELS, level}), groups, blocks),
            by_spread=coverage_by_size(*new, level, groups=groups),
            by_error=coverage_by_size(*new, level, by="error", groups=groups),
            caught=caught(size, spread),
            rank_correlation=rank_correlation(size, spread),
            miscalibration_area=miscalibration_area(*new, groups),
            RMSE=float(np.sqrt(np.mean(residual**2))),
        )

    @property
    def at_level(self) -> pd.DataFrame:
        """The rows of `coverage` at the level that was asked for."""
        return self.coverage[self.coverage["level"] == self.level].reset_index(drop=True)

    def plain(self) -> dict[str, float]:
        """Return the figures that tell of it in short."""
        row = self.at_level.iloc[0]
        found = {name: float(row[name]) for name in ("coverage", "error", "half_width", "n")}
        names = ("caught", "rank_correlation", "miscalibration_area", "RMSE")
        return found | {name: float(getattr(self, name)) for name in names}

    def plot(self, outfile: str | os.PathLike[str] | None = None) -> Figure:
        """Draw coverage over level, and widths over the widths needed: see `potentia.plots.reliability`."""
        from potentia.plots import reliability

        return reliability(self.coverage, self.by_spread, quantity=self.quantity, unit=self.unit, outfile=outfile)

    def __str__(self) -> str:
        lines = [f"{self.quantity}: RMSE {self.RMSE:.4g} {self.unit}; intervals at {100 * self.level:g} % cover"]
        for row in self.at_level.to_dict("records"):
            lines.append(
                f"  {row['group']:<6} {100 * row['coverage']:5.1f} ± {100 * row['error']:.1f} % of {row['n']:,} errors,"
                f" mean half-width {row['half_width']:.4g} {self.unit}"
            )
        lines.append(
            f"  of the worst 1 % of errors, {100 * self.caught:.0f} % are among the most uncertain 10 %; rank "
            f"correlation {self.rank_correlation:.2f}; miscalibration area {self.miscalibration_area:.3f}"
        )
        return "\n".join(lines)


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
    known = _drawn(len(structures), measure, seed)  # [structures]
    n_atoms = predicted.n_atoms
    error = (predicted.energy_mean - [s.energy for s in structures]) / n_atoms
    spread = predicted.energy_std / n_atoms
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
    marks = tuple(sorted(mark_of(model) for model in models))
    calibration = CommitteeCalibration(energy, forces, level, marks, int(known.sum()), measured)
    places = [np.flatnonzero(part).tolist() for part in (known, ~known)]
    return TorchCommitteeCalibrateResult(calibration, bars, force_bars, *places)


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


def _drawn(n: int, measure: float, seed: int) -> NDArray[np.bool_]:
    """Return which structures are learned from; at least one is, and one is not.  [structures]"""
    if not 0 < number("measure", measure) < 1:
        raise ConfigError(f"measure must lie between 0 and 1, like 0.5, got {measure!r}")
    n_measured = min(max(round(measure * n), 1), n - 1)
    known = np.ones(n, dtype=bool)
    known[stream(seed, "calibration").permutation(n)[:n_measured]] = False
    return known
