"""Data sets of trajectories in HDF5: one array for each part, and one grid of times.

``train``, ``test`` and ``val`` are [trajectories, times, quantities]; ``train_params``, ``test_params`` and
``val_params`` [trajectories, parameters], all three or none; ``timesteps`` [times], 0 to 1 in equal steps where it is
missing. Attributes: the sizes, ``labels`` of the quantities, and, of this package, ``parameter_labels``, ``name``,
``system`` and ``horizon``. Any file with the three parts can be read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from potentia.data.attributes import plain_attribute
from potentia.data.opened import opened_hdf5
from potentia.errors import DataError, FileFormatError, warn_user
from potentia.storage import remove_leftovers, replacing
from potentia.trajectories.dataset import PARTS, TrajectoryData

__all__ = ["read_trajectories", "write_trajectories"]

Floats: TypeAlias = NDArray[np.float64]

PARAMS = tuple(f"{part}_params" for part in PARTS)


def read_trajectories(
    path: str | os.PathLike[str], *, name: str | None = None, allow_shared: bool = False
) -> TrajectoryData:
    """Read a data set.

    Args:
        path: The file.
        name: What the data are called; if None, as the file says, else as the file (``data.hdf5``: as its folder).
        allow_shared: Whether parts may hold the same initial condition; see `TrajectoryData.refuse_shared`.

    Raises:
        FileFormatError: there is no such file, it is no HDF5, or a part is missing.
        DataError: a shape does not fit, a value is not finite, or val shares an initial condition with train.

    Warns:
        PotentiaWarning: a part has parameters and another one has none (they are left out), or test shares an initial
            condition.
    """
    path = Path(path)
    with opened_hdf5(path) as file:
        arrays = {key: _numbers(path, file, key) for key in (*PARTS, *PARAMS, "timesteps") if key in file}
        about = {key: plain_attribute(value) for key, value in file.attrs.items()}
    for part in PARTS:
        if part not in arrays:
            text = f"{path} has no {part}: it needs train, test and val, and has {', '.join(arrays)}"
            raise FileFormatError(text, page="trajectories.md#data")
    params = _params(path, arrays)
    try:
        found = TrajectoryData.from_arrays(
            [arrays[part] for part in PARTS],
            params=params,
            timesteps=arrays.get("timesteps"),
            labels=about.get("labels"),
            parameter_labels=() if params is None else about.get("parameter_labels", ()),
            name=name or about.get("name") or (path.parent.resolve().name if path.stem == "data" else path.stem),
            allow_shared=allow_shared,
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    first, last = about.get("horizon", found.horizon)
    return TrajectoryData(found.train, found.test, found.val, found.name, (first, last), about.get("system"))


def write_trajectories(path: str | os.PathLike[str], data: TrajectoryData) -> None:
    """Write a data set, whole or not at all; what stood there before is replaced.

    Raises:
        DataError: the parts have different times: of a data set that was cut, the file of the whole one is to be kept.
        OSError: the file could not be written.
    """
    for part in (data.test, data.val):
        if not np.array_equal(part.times, data.train.times):
            raise DataError(f"{data.name}: the parts have different times, a file has one grid: write the whole set")
    remove_leftovers(path)
    with replacing(path) as temporary, h5py.File(temporary, "x") as file:
        for name, part in zip(PARTS, (data.train, data.test, data.val), strict=True):
            file[name] = part.states
            if part.parameters is not None:
                file[f"{name}_params"] = part.parameters
            file.attrs[f"n_{name}_samples"] = len(part)
        file["timesteps"] = data.train.times
        for key, value in _about(data).items():
            file.attrs[key] = value


def _about(data: TrajectoryData) -> dict[str, Any]:
    """Return the attributes beside the numbers of samples."""
    known: dict[str, Any] = {
        "n_timesteps": len(data.train.times),
        "n_quantities": data.train.n_quantities,
        "labels": list(data.train.labels),
        "name": data.name,
        "horizon": list(data.horizon),
    }
    if data.train.n_parameters:
        known |= {"n_parameters": data.train.n_parameters, "parameter_labels": list(data.train.parameter_labels)}
    return known if data.system is None else known | {"system": data.system}


def _numbers(path: Path, file: h5py.File, key: str) -> Floats:
    node = file[key]
    if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "fiu":
        raise FileFormatError(f"{path}: {key} must be an array of numbers")
    return np.asarray(node[()], dtype=np.float64)


def _params(path: Path, arrays: dict[str, Floats]) -> list[Floats] | None:
    found = [arrays[key] for key in PARAMS if key in arrays]
    if 0 < len(found) < len(PARAMS):
        missing = ", ".join(key for key in PARAMS if key not in arrays)
        warn_user(f"{path} has no {missing}: the parameters of the other parts are left out")
    return found if len(found) == len(PARAMS) else None
