"""Where the errors are: by species of the atoms and by group of the structures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from potentia.errors import DataError
from potentia.potentials.parity import ParityData, require_rows

__all__ = ["error_table", "errors_by_group", "errors_by_species"]


def error_table(residuals: ArrayLike, labels: Sequence[str] | NDArray[np.str_]) -> pd.DataFrame:
    """Return count, MAE, RMSE and largest error of the residuals under each label, from sums over all of them.

    Args:
        residuals: Any number of components for each row: counted, and averaged over, are components.  [rows, …]
        labels: To what each row belongs.  [rows]

    >>> error_table([3.0, -4.0, 1.0], ["bulk", "bulk", "slab"])
           count  MAE      RMSE  max
    label
    bulk       2  3.5  3.535534  4.0
    slab       1  1.0  1.000000  1.0
    """
    values = np.asarray(residuals, dtype=np.float64)
    names = np.asarray(labels, dtype=np.str_)
    if len(values) != len(names):
        raise DataError(f"each of the {len(values)} rows of residuals needs a label, got {len(names)}")
    flat = np.abs(values.reshape(len(values), int(np.prod(values.shape[1:]))))  # [rows, components]
    known, place = np.unique(names, return_inverse=True)
    count = np.bincount(place, minlength=len(known)) * flat.shape[1]
    largest = np.zeros(len(known))
    np.maximum.at(largest, place, flat.max(axis=1, initial=0.0))
    columns = {
        "count": count,
        "MAE": _sums(place, flat.sum(axis=1), len(known)) / count,
        "RMSE": np.sqrt(_sums(place, (flat**2).sum(axis=1), len(known)) / count),
        "max": largest,
    }
    return pd.DataFrame(columns, index=pd.Index(known.astype(object), name="label", dtype="str"))


def errors_by_group(data: ParityData) -> pd.DataFrame:
    """Return the errors of each group of structures.

    Energies in eV/atom over structures (``structures``, ``MAE``, ``RMSE``, ``max``); forces in eV/Å over components
    (``force_components``, ``MAE_force``, ``RMSE_force``, ``max_force``), 0 and NaN where a group has none.

    Raises:
        DataError: the predictions do not say which structures they belong to.
    """
    rows = require_rows(data)
    groups = np.array(rows.groups, dtype=np.str_)
    energy = error_table(data.energy_pred - data.energy_ref, groups).rename(columns={"count": "structures"})
    force = _of_forces(data, groups[rows.force_atoms.row])
    table = energy.join(force).rename_axis("group")
    return table.fillna({"force_components": 0}).astype({"force_components": "int64"})


def errors_by_species(data: ParityData) -> pd.DataFrame:
    """Return the force errors of the atoms of each species: eV/Å, over components.

    Columns: ``atoms``, ``force_components``, ``MAE_force``, ``RMSE_force``, ``max_force``.

    Raises:
        DataError: the predictions do not say which structures they belong to.
    """
    table = _of_forces(data, require_rows(data).force_atoms.species).rename_axis("species")
    table.insert(0, "atoms", table["force_components"] // 3)
    return table


def _sums(place: NDArray[np.int64], values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the sum of ``values`` [rows] at each of ``n`` places, the same bits whatever the order of the rows."""
    rising = np.argsort(values)
    sums: NDArray[np.float64] = np.bincount(place[rising], values[rising], n).astype(np.float64)
    return sums


def _of_forces(data: ParityData, labels: NDArray[np.str_]) -> pd.DataFrame:
    reference, predicted = data.pair("force")
    error = np.empty((0, 3)) if reference is None or predicted is None else (predicted - reference).reshape(-1, 3)
    names = {"count": "force_components", "MAE": "MAE_force", "RMSE": "RMSE_force", "max": "max_force"}
    return error_table(error, labels).rename(columns=names)
