"""Samples of fields in HDF5 files of other makers: what is missing is drawn or named, never made up in silence.

``outputs/trajectories`` [samples, steps + 1, channels, *grid], or with [realizations] behind samples; beside it
``inputs/fields`` [samples, channels, *grid]. ``parameters/params`` or ``/values`` [samples, parameters] with the
attribute ``names``, ``parameters/group`` and ``split`` may be there or not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from potentia.data.split import holdout_groups
from potentia.errors import DataError, FileFormatError, warn_user
from potentia.operators.record import CHECK_STEPS, Floats, Record, largest_of
from potentia.operators.space import Continuous, ParameterSpace

__all__ = ["read_other"]


def read_other(path: Path, file: h5py.File) -> Record:
    """Return the record of a file without a schema.

    Raises:
        FileFormatError: it has no trajectories.
        DataError: a shape does not fit.

    Warns:
        PotentiaWarning: parts were drawn.
    """
    fields, realizations = _fields(path, file)
    values, names = _parameters(path, file, len(fields) // realizations)
    group = _groups(file, values)
    part = np.asarray(file["split"][()], dtype=np.uint8) if "split" in file else _drawn_parts(path, group)
    for key, array in (("parameters/group", group), ("split", part)):
        if array.shape != (len(values),):
            raise DataError(f"{path}: {key} must have shape [{len(values)}], got {array.shape}")
    values, space = _space(values, names, part == 0)
    largest = largest_of(fields)
    return Record(
        values=np.repeat(values, realizations, axis=0),
        group=np.repeat(group, realizations),
        part=np.repeat(part, realizations),
        initial=fields[:, 0],
        trajectories=fields,
        sound=np.isfinite(largest),
        largest=largest,
        check=fields[:, min(CHECK_STEPS, fields.shape[1] - 1)],
        seeds=None,
        digests=None,
        kinds=None,
        space=space,
        channels=tuple(f"channel_{k}" for k in range(fields.shape[2])),
        axes=("x", "y")[: fields.ndim - 3],
        time_step=float(file.attrs.get("dt_store", 1.0)),
        name=path.stem,
        run=None,
    )


def _fields(path: Path, file: h5py.File) -> tuple[NDArray[np.float32], int]:
    """Return trajectories [samples × realizations, steps + 1, channels, *grid] and the number of realizations."""
    if "outputs/trajectories" not in file:
        raise FileFormatError(
            f"{path} has no outputs/trajectories, and it does not say which system makes them from its initial fields",
            page="operators.md#files",
        )
    found = np.asarray(file["outputs/trajectories"][()], dtype=np.float32)
    plain = file["inputs/fields"].ndim + 1 if "inputs/fields" in file else min(found.ndim, 5)
    if found.ndim == plain + 1:
        return found.reshape(-1, *found.shape[2:]), found.shape[1]
    if found.ndim != plain or plain not in {4, 5}:
        raise DataError(
            f"{path}: outputs/trajectories must have shape [samples, steps + 1, channels, x] or [..., x, y], with "
            f"realizations behind samples or not, and fit to inputs/fields; got {found.shape}",
            page="operators.md#files",
        )
    return found, 1


def _parameters(path: Path, file: h5py.File, samples: int) -> tuple[Floats, list[str]]:
    """Return parameters and their names; none where the file has none.  [samples, parameters]"""
    key = next((key for key in ("parameters/values", "parameters/params") if key in file), None)
    if key is None:
        return np.zeros((samples, 0)), []
    values = np.asarray(file[key][()], dtype=np.float64)
    if values.ndim != 2 or len(values) != samples:
        raise DataError(f"{path}: {key} must have shape [{samples}, parameters], got {values.shape}")
    given = [_text(name) for name in np.atleast_1d(file[key].attrs.get("names", []))]
    if given and len(given) != values.shape[1]:
        raise DataError(f"{path}: {key} has {values.shape[1]} columns, but {len(given)} names")
    return values, given or [f"parameter_{k}" for k in range(values.shape[1])]


def _groups(file: h5py.File, values: Floats) -> NDArray[np.int64]:
    """Return the number of the set of parameters; without parameters every sample is one.  [samples]"""
    if "parameters/group" in file:
        return np.asarray(file["parameters/group"][()], dtype=np.int64)
    if not values.shape[1]:
        return np.arange(len(values))
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _drawn_parts(path: Path, group: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return parts of 80, 10 and 10 percent that share no set of parameters.  [samples]"""
    warn_user(f"{path} has no split: 80, 10 and 10 percent of its samples were drawn as train, val and test")
    part = np.zeros(len(group), dtype=np.uint8)
    first = holdout_groups(group.tolist(), 10, seed=0)
    second = holdout_groups(group[first.train].tolist(), 100 / 9, seed=0)
    part[first.test] = 2
    part[first.train[second.test]] = 1
    return part


def _space(values: Floats, names: list[str], train: NDArray[np.bool_]) -> tuple[Floats, ParameterSpace]:
    """Return the parameters that vary in the training part, and their ranges there."""
    low, high = values[train].min(0), values[train].max(0)
    varying = np.flatnonzero(low < high)
    known = [Continuous(name=names[k], low=float(low[k]), high=float(high[k])) for k in varying]
    return values[:, varying], ParameterSpace(tuple(known))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
