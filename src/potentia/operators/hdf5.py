"""Samples of fields in HDF5, schema ``operators/1``; every array says the meaning of its axes.

``inputs/fields`` [samples, channels, *grid] are the initial fields and ``outputs/trajectories`` [samples, steps + 1,
channels, *grid] what came of them, one chunk a sample; a file stored as ``"replay"`` leaves these out and solves again
when it is read. ``parameters/values``, ``/unit`` and ``/group``; ``split``, the place in train, val, test and
extrapolation; ``seeds/noise``; ``check/state`` and ``/digest``, to see that solving again gives the same;
``quality/sound`` and ``/max_abs``: samples that went wrong stay in the file, with a flag. ``normalizer/mean`` and
``/std`` are of the sound training part. Files without this schema are read as `hdf5_other` says.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from potentia.checks import choice
from potentia.config import from_dict, plain
from potentia.data.attributes import plain_attribute
from potentia.data.opened import opened_hdf5
from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.operators.dataset import PARTS, OperatorData
from potentia.operators.hdf5_other import read_other
from potentia.operators.record import Record, Run
from potentia.operators.space import Dimension, ParameterSpace
from potentia.storage import release, remove_leftovers, replacing

__all__ = ["SCHEMA", "read_operator_data", "read_record", "write_operator_data", "write_record"]

SCHEMA = "operators/1"


def write_operator_data(path: str | os.PathLike[str], data: OperatorData) -> None:
    """Write data to train on, whole or not at all; what stood there before is replaced.

    Raises:
        OSError: the file could not be written.
    """
    write_record(path, Record.of(data))


def write_record(path: str | os.PathLike[str], record: Record, *, store: str = "full") -> None:
    """Write all that is known of samples, whole or not at all; what stood there before is replaced.

    Args:
        path: The file.
        record: What `make_record` returns.
        store: ``"full"``, or ``"replay"``: initial fields and seeds only, and trajectories are solved on reading.

    Raises:
        ConfigError: it is not known what made the trajectories, so they cannot be left out.
        OSError: the file could not be written.
    """
    if choice("store", store, ("full", "replay")) == "replay" and (record.run is None or record.seeds is None):
        raise ConfigError(f"{record.name} does not say which system made it, so store must be 'full'")
    record = record.solved() if store == "full" else record
    remove_leftovers(path)
    with replacing(path) as temporary, h5py.File(temporary, "x") as file:
        for key, value in _about(record, store).items():
            file.attrs[key] = value
        for key, (array, axes) in _arrays(record).items():
            file[key] = array
            file[key].attrs["axes"] = axes
        file["parameters/values"].attrs["names"] = list(record.space.names)
        if store == "full" and record.trajectories is not None:
            fields = record.trajectories
            made = file.create_dataset(
                "outputs/trajectories",
                data=fields,
                chunks=(1, *fields.shape[1:]),
                compression="gzip",
                compression_opts=4,
                shuffle=True,
            )
            made.attrs["axes"] = ",".join(("samples", "steps + 1", "channels", *record.axes))


def read_operator_data(path: str | os.PathLike[str]) -> OperatorData:
    """Read the sound samples of a file in their parts.

    Raises:
        FileFormatError: there is no such file, it is no HDF5, or something is missing.
        DataError: a part has no sound sample, or a shape does not fit.

    Warns:
        PotentiaWarning: samples were left out, or parts were drawn because the file has none.
    """
    record = read_record(path)
    try:
        return record.data()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def read_record(path: str | os.PathLike[str]) -> Record:
    """Read all that a file knows of its samples; trajectories that were left out stay so until they are asked for.

    Raises:
        FileFormatError: there is no such file, it is no HDF5, or something is missing.
        DataError: a shape does not fit.
    """
    path = Path(path)
    with opened_hdf5(path) as file:
        schema = file.attrs.get("schema")
        if schema is None:
            return read_other(path, file)
        if schema != SCHEMA:
            raise FileFormatError(f"{path} has the schema {schema!r}; this release reads {SCHEMA!r}: update potentia")
        return _record(path, file)


def _about(record: Record, store: str) -> dict[str, Any]:
    """Return the attributes of the file."""
    run = record.run
    known: dict[str, Any] = {
        "schema": SCHEMA,
        "generator_version": release(),
        "torch_version": str(torch.__version__),
        "name": record.name,
        "store": store,
        "channels": list(record.channels),
        "axes": list(record.axes),
        "parts": list(PARTS),
        "dt_store": record.time_step,
        "parameter_space": json.dumps([plain(one) for one in record.space.dimensions]),
    }
    if run is None:
        return known
    known |= {"system": run.system, "system_config": json.dumps(plain(run.settings)), "every": run.every}
    known["steps"] = run.steps
    return known if run.seed is None else {**known, "dataset_seed": run.seed}


def _arrays(record: Record) -> dict[str, tuple[NDArray[Any], str]]:
    """Return the arrays of the file but the trajectories, each with its axes."""
    field = ",".join(("samples", "channels", *record.axes))
    arrays: dict[str, tuple[NDArray[Any], str]] = {
        "parameters/values": (record.values, "samples,parameters"),
        "parameters/unit": (record.space.units(record.values), "samples,parameters"),
        "parameters/group": (record.group, "samples"),
        "split": (record.part, "samples"),
        "inputs/fields": (record.initial, field),
        "check/state": (record.check, field),
        "quality/sound": (record.sound.astype(np.uint8), "samples"),
        "quality/max_abs": (record.largest, "samples"),
    }
    train = record.sound & (record.part == 0)
    if record.trajectories is not None and train.any():
        by_channel = np.moveaxis(record.trajectories[train], 2, 0).reshape(len(record.channels), -1)
        arrays["normalizer/mean"] = by_channel.mean(1, dtype=np.float64), "channels"
        arrays["normalizer/std"] = by_channel.std(1, dtype=np.float64), "channels"
    if record.seeds is not None:
        arrays["seeds/noise"] = record.seeds, "samples"
    if record.digests is not None:
        arrays["check/digest"] = record.digests, "samples,bytes"
    if record.kinds is not None:
        arrays["inputs/ic_kind"] = np.array([kind.encode() for kind in record.kinds]), "samples"
    return arrays


def _record(path: Path, file: h5py.File) -> Record:
    about = {key: plain_attribute(value) for key, value in file.attrs.items()}
    missing = [key for key in ("name", "store", "channels", "axes", "dt_store", "parameter_space") if key not in about]
    if missing:
        raise FileFormatError(f"{path} lacks the attributes {', '.join(missing)}, so it is no whole file of {SCHEMA}")
    kinds = _array(path, file, "inputs/ic_kind") if "inputs/ic_kind" in file else None
    found = Record(
        values=_array(path, file, "parameters/values"),
        group=_array(path, file, "parameters/group"),
        part=_array(path, file, "split"),
        initial=_array(path, file, "inputs/fields"),
        trajectories=_array(path, file, "outputs/trajectories") if about["store"] == "full" else None,
        sound=_array(path, file, "quality/sound").astype(bool),
        largest=_array(path, file, "quality/max_abs"),
        check=_array(path, file, "check/state"),
        seeds=_array(path, file, "seeds/noise") if "seeds/noise" in file else None,
        digests=_array(path, file, "check/digest") if "check/digest" in file else None,
        kinds=None if kinds is None else tuple(kind.decode() for kind in kinds.tolist()),
        space=ParameterSpace(tuple(from_dict(Dimension, one) for one in json.loads(about["parameter_space"]))),
        channels=tuple(about["channels"]),
        axes=tuple(about["axes"]),
        time_step=about["dt_store"],
        name=about["name"],
        run=_run(about),
    )
    _require_shapes(path, found)
    return found


def _run(about: dict[str, Any]) -> Run | None:
    if "system" not in about:
        return None
    return Run(
        system=about["system"],
        settings=json.loads(about["system_config"]),
        steps=about["steps"],
        every=about["every"],
        seed=about.get("dataset_seed"),
    )


def _require_shapes(path: Path, record: Record) -> None:
    """Refuse arrays of different numbers of samples, and parts that there are none of."""
    n = len(record.values)
    per_sample: dict[str, NDArray[Any]] = {
        "parameters/group": record.group,
        "split": record.part,
        "inputs/fields": record.initial,
        "quality/sound": record.sound,
        "check/state": record.check,
    }
    if record.trajectories is not None:
        per_sample["outputs/trajectories"] = record.trajectories
    for key, array in per_sample.items():
        if len(array) != n:
            raise DataError(f"{path}: {key} is of {len(array)} samples, parameters/values of {n}")
    if n and int(record.part.max()) >= len(PARTS):
        raise DataError(f"{path}: split must hold 0 to {len(PARTS) - 1} for {', '.join(PARTS)}")


def _array(path: Path, file: h5py.File, key: str) -> NDArray[Any]:
    node = file.get(key)
    if not isinstance(node, h5py.Dataset):
        raise FileFormatError(f"{path} has no {key}, so it is no whole file of the schema {SCHEMA}")
    return np.asarray(node[()])
