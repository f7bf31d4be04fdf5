"""Errors of predictions as rows of a table, beside what costs no training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.errors import DataError
from potentia.potentials.parity import ParityData, ParityRows, require_rows
from potentia.potentials.predictions import PredictOut
from potentia.potentials.structure import Structure

__all__ = ["Row", "error_rows", "labelled_errors", "require_energies"]

UNITS = {"energy": "eV/atom", "force": "eV/Å", "stress": "eV/Å³"}

Floats = NDArray[np.float64]
Row: TypeAlias = dict[str, Any]


def error_rows(part: str, data: ParityData) -> list[Row]:
    """Return a row for each quantity that has labels: of energies one a structure, else one a component.

    ``trivial_RMSE`` is that of no forces, of no stress, and of the energies that compositions tell by least squares.
    """
    rows = []
    for quantity, unit in UNITS.items():
        reference, predicted = data.pair(quantity)
        if reference is None or predicted is None or not reference.size:
            continue
        error = (predicted - reference).ravel()
        trivial = reference.ravel() - (_by_composition(data) if quantity == "energy" else 0.0)
        rows.append({
            "part": part, "quantity": quantity, "unit": unit, "count": error.size,
            "MAE": float(np.abs(error).mean()), "RMSE": _rms(error), "max": float(np.abs(error).max()),
            "trivial_RMSE": _rms(trivial),
        })  # fmt: skip
    return rows


def require_energies(structures: Sequence[Structure]) -> None:
    """Raise `DataError` unless each structure has an energy."""
    without = [one.label for one in structures if one.energy is None]
    if without:
        raise DataError(f"{without[0]} has no energy, as {len(without)} of {len(structures)}: errors need labels")


def labelled_errors(part: str, found: PredictOut, structures: Sequence[Structure]) -> list[Row]:
    """Compare predictions with all labels that structures have; each has an energy."""
    assert found.forces is not None
    assert found.stress is not None
    n_atoms = np.array([one.n_atoms for one in structures])
    forces = [(one.forces, f) for one, f in zip(structures, found.forces, strict=True) if one.forces is not None]
    stress = [(one.stress, s) for one, s in zip(structures, found.stress, strict=True) if one.has_stress()]
    energy = np.array([one.energy for one in structures], dtype=np.float64)
    data = ParityData(
        energy / n_atoms,
        np.array(found.total_energy) / n_atoms,
        force_ref=_joined([one for one, _ in forces]),
        force_pred=_joined([two for _, two in forces]),
        stress_ref=_joined([one for one, _ in stress]),
        stress_pred=_joined([two for _, two in stress]),
        rows=ParityRows.of(structures, range(len(structures)), forces=True),
    )
    return error_rows(part, data)


def _joined(values: Sequence[Any]) -> Floats | None:
    return np.concatenate([np.ravel(one) for one in values]) if values else None


def _by_composition(data: ParityData) -> Floats:
    """Return energies per atom [structures] that are best by the number of atoms of each species alone."""
    rows = require_rows(data)
    names = sorted({name for species in rows.species for name in species})
    counts = np.array([[species.count(name) for name in names] for species in rows.species], dtype=np.float64)
    shares = counts / counts.sum(1, keepdims=True)  # [structures, species]
    best: Floats = shares @ np.linalg.lstsq(shares, data.energy_ref, rcond=None)[0]
    return best


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean()))
