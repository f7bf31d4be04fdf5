"""What a committee predicts: for each structure the answer, its spread, and what every member says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, final, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.checks import choice
from potentia.ensemble import aggregated
from potentia.errors import DataError
from potentia.potentials.committee.calibration import CommitteeCalibration
from potentia.potentials.predictions import PredictOut

__all__ = ["AenetEnsembleResult", "TorchCommitteePredictResult"]


@final
@dataclass(frozen=True, eq=False)
class AenetEnsembleResult:
    """Energies (eV) and forces (eV/Å) of one structure by a committee; spreads are divided by the number of members.

    >>> found = AenetEnsembleResult.from_member_predictions(np.array([-31.0, -33.0]))
    >>> found.energy, found.energy_std, found.num_members
    (-32.0, 1.0, 2)
    """

    energy: float
    """The committee's answer."""
    forces: NDArray[np.float64] | None
    """The committee's answer; None if not asked for.  [atoms, 3]"""
    energy_mean: float
    energy_std: float
    forces_mean: NDArray[np.float64] | None
    """[atoms, 3]"""
    forces_std: NDArray[np.float64] | None
    """[atoms, 3]"""
    member_energies: NDArray[np.float64]
    """[members]"""
    member_forces: NDArray[np.float64] | None
    """[members, atoms, 3]"""
    aggregation: str = "mean"
    """``"mean"``, or ``"reference"``: the answer is that of one member."""
    reference_member: int = 0
    """Which one."""
    energy_half_width: float | None = None
    """The energy is within ± this (eV) to the level of the committee's calibration; None where there is none, or where
    the answer is not the mean that it is for."""
    force_half_width: NDArray[np.float64] | None = None
    """Each component of the force on an atom is within ± this (eV/Å) to the same level.  [atoms]"""

    @classmethod
    def from_member_predictions(
        cls,
        member_energies: NDArray[np.float64],
        member_forces: NDArray[np.float64] | None = None,
        aggregation: str = "mean",
        reference_member: int = 0,
    ) -> Self:
        """Put the predictions of the members together.

        Args:
            member_energies: Total energies, eV.  [members]
            member_forces: eV/Å.  [members, atoms, 3]
            aggregation: ``"mean"`` or ``"reference"``.
            reference_member: Whose answer is given, for ``"reference"``.

        Raises:
            DataError: the shapes do not fit.
            ConfigError: there is no such aggregation or member.
        """
        energies = np.asarray(member_energies, dtype=np.float64)
        if energies.ndim != 1 or not len(energies):
            raise DataError(f"member_energies must have one energy for each member, got shape {energies.shape}")
        forces = None if member_forces is None else np.asarray(member_forces, dtype=np.float64)
        if forces is not None and (forces.ndim != 3 or forces.shape[2] != 3 or len(forces) != len(energies)):
            raise DataError(
                f"member_forces must have shape (members, atoms, 3) with {len(energies)} members, got {forces.shape}"
            )
        energy = aggregated(energies, aggregation, reference_member)
        force = None if forces is None else aggregated(forces, aggregation, reference_member)
        return cls(
            energy=float(energy.value),
            forces=None if force is None else force.value,
            energy_mean=float(energy.mean),
            energy_std=float(energy.std),
            forces_mean=None if force is None else force.mean,
            forces_std=None if force is None else force.std,
            member_energies=energies,
            member_forces=forces,
            aggregation=aggregation,
            reference_member=reference_member,
        )

    @property
    def force_uncertainty(self) -> NDArray[np.float64] | None:
        """Mean over x, y, z of the spread of the force on each atom, eV/Å.  [atoms]"""
        return None if self.forces_std is None else self.forces_std.mean(axis=1)

    @property
    def num_members(self) -> int:
        """Number of members."""
        return len(self.member_energies)


@final
@dataclass(frozen=True, eq=False)
class TorchCommitteePredictResult(Sequence[AenetEnsembleResult]):
    """Predictions of a committee for several structures, as a list with tables."""

    predictions: list[AenetEnsembleResult]
    """One for each structure."""
    member_outputs: list[PredictOut]
    """What each member says of all structures."""
    indices: list[int]
    """Place of each structure in what was given."""
    source_indices: list[int]
    """Place of each structure in the whole data set, where a part of one was given."""
    identifiers: list[str]
    """Name of each structure."""
    level: float | None = None
    """Share of the errors that the half-widths shall hold; None where the committee is not calibrated."""

    @classmethod
    def of(
        cls,
        outputs: Sequence[PredictOut],
        source_indices: Sequence[int],
        aggregation: str,
        reference_member: int,
        calibration: CommitteeCalibration | None = None,
    ) -> Self:
        """Put the predictions of members for the same structures together, with half-widths by ``calibration``."""
        first = outputs[0]
        energies = np.array([out.total_energy for out in outputs], dtype=np.float64).reshape(len(outputs), -1)
        predictions = []
        for k in range(len(first)):
            forces = None
            if first.forces is not None:
                forces = np.stack([out.forces[k] for out in outputs if out.forces is not None])
            predictions.append(
                AenetEnsembleResult.from_member_predictions(energies[:, k], forces, aggregation, reference_member)
            )
        level = None
        if calibration is not None and aggregation == "mean":
            level = calibration.level
            predictions = [
                _with_intervals(found, calibration, species)
                for found, species in zip(predictions, first.atom_types, strict=True)
            ]
        indices = list(range(len(first)))
        return cls(predictions, list(outputs), indices, list(source_indices), list(first.structure_paths), level)

    def __len__(self) -> int:
        return len(self.predictions)

    @overload
    def __getitem__(self, key: int) -> AenetEnsembleResult: ...
    @overload
    def __getitem__(self, key: slice) -> list[AenetEnsembleResult]: ...
    def __getitem__(self, key: int | slice) -> AenetEnsembleResult | list[AenetEnsembleResult]:
        return self.predictions[key]

    def __iter__(self) -> Iterator[AenetEnsembleResult]:
        return iter(self.predictions)

    @property
    def energy(self) -> NDArray[np.float64]:
        """The committee's answers, eV.  [structures]"""
        return np.array([found.energy for found in self], dtype=np.float64)

    @property
    def energy_mean(self) -> NDArray[np.float64]:
        """Means over members, eV.  [structures]"""
        return np.array([found.energy_mean for found in self], dtype=np.float64)

    @property
    def energy_std(self) -> NDArray[np.float64]:
        """Spreads over members of the total energies, eV.  [structures]"""
        return np.array([found.energy_std for found in self], dtype=np.float64)

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """[structures]"""
        return np.array([len(types) for types in self.member_outputs[0].atom_types], dtype=np.int64)

    @property
    def max_force_uncertainty(self) -> NDArray[np.float64]:
        """Largest `AenetEnsembleResult.force_uncertainty` of each structure, eV/Å; NaN without forces.  [structures]"""
        return np.array([_over_atoms(found, np.max) for found in self], dtype=np.float64)

    @property
    def mean_force_uncertainty(self) -> NDArray[np.float64]:
        """Mean `AenetEnsembleResult.force_uncertainty` of each structure, eV/Å; NaN without forces.  [structures]"""
        return np.array([_over_atoms(found, np.mean) for found in self], dtype=np.float64)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a row for each structure, in their order: energies are totals in eV, forces in eV/Å.

        Of a calibrated committee, also ``energy_half_width``, ``energy_half_width_per_atom`` (eV/atom),
        ``max_force_half_width`` and the ``level`` of these; where it is known what training has seen, also the columns
        of `Extrapolated.columns`.
        """
        columns: dict[str, Any] = {
            "index": self.indices,
            "source_index": self.source_indices,
            "identifier": pd.Series(self.identifiers, dtype=str),
            "energy": self.energy,
            "energy_mean": self.energy_mean,
            "energy_std": self.energy_std,
            "member_energies": pd.Series([found.member_energies.tolist() for found in self], dtype=object),
            "max_force_uncertainty": self.max_force_uncertainty,
            "mean_force_uncertainty": self.mean_force_uncertainty,
            "num_members": [found.num_members for found in self],
            "aggregation": pd.Series([found.aggregation for found in self], dtype=str),
            "reference_member": [found.reference_member for found in self],
        }
        if self.level is not None:
            widths = np.array([found.energy_half_width for found in self], dtype=np.float64)
            columns["energy_half_width"] = widths
            columns["energy_half_width_per_atom"] = widths / self.n_atoms
            columns["max_force_half_width"] = [_largest(found.force_half_width) for found in self]
            columns["level"] = np.full(len(self), self.level)
        extrapolated = self.member_outputs[0].extrapolated
        return pd.DataFrame(columns | ({} if extrapolated is None else extrapolated.columns()))

    def extrapolation(self) -> pd.DataFrame:
        """Return a row for each atom that is outside of what training has seen: see `Extrapolated.table`.

        Raises:
            NotFittedError: what training has seen is not known.
        """
        return self.member_outputs[0].extrapolation()

    def sort_by(self, column: str = "energy_std", ascending: bool = False) -> pd.DataFrame:
        """Return the table by falling (or rising) values of a column; equal ones stay in order.

        Raises:
            ConfigError: there is no such column.
        """
        frame = self.to_dataframe()
        choice("column", column, [str(name) for name in frame.columns])
        return frame.sort_values(column, ascending=ascending, kind="stable", ignore_index=True)

    def top_uncertain(self, n: int = 10, metric: str = "energy_std") -> pd.DataFrame:
        """Return the rows of the ``n`` structures of which the committee is least sure.

        Raises:
            ConfigError: there is no such column.
        """
        return self.sort_by(metric).head(n)


def _with_intervals(
    found: AenetEnsembleResult, calibration: CommitteeCalibration, species: Sequence[str]
) -> AenetEnsembleResult:
    """Return the same with half-widths."""
    n_atoms = len(species)
    energy = n_atoms * float(calibration.energy_half_width(np.array(found.energy_std / n_atoms)))
    force = None if found.forces_std is None else calibration.force_half_width(found.forces_std, species)
    return replace(found, energy_half_width=energy, force_half_width=force)


def _largest(values: NDArray[np.float64] | None) -> float:
    return np.nan if values is None else float(values.max())


def _over_atoms(found: AenetEnsembleResult, reduce: Any) -> float:
    spread = found.force_uncertainty
    return np.nan if spread is None else float(reduce(spread))
