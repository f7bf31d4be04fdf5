"""Windows kept in a file, with a key of all that decides them: they are used as long as nothing has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from potentia.config import to_dict
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.windows import Windows, WindowSettings
from potentia.errors import FileDamagedError, FileFormatError
from potentia.storage import read_file, remove_leftovers, write_file

__all__ = ["cache_key", "read_windows", "write_windows"]

KIND = "windows of logs"
DATA_VERSION = 1
"""Counts the changes of this package after which the same logs give other windows."""

_ARRAYS = ("initial_states", "controls", "targets", "dt", "features", "history", "mask", "group")
_NAMES = ("state_names", "control_names", "feature_names", "group_names")


def cache_key(files: Mapping[str, Path], spec: ModelSpec, settings: WindowSettings, also: Mapping[str, Any]) -> str:
    """Return a hash of the contents of files, of the settings, and of what windows need of a model.

    Other bounds or equations of a model of the same states and controls make no other windows.

    Args:
        files: Name of a log or map → its file.
        spec: The model.
        settings: How logs are cut.
        also: Whatever else decides, as plain values.
    """
    about = {
        "version": DATA_VERSION,
        "files": [[name, _hash_of(path)] for name, path in files.items()],
        "model": [spec.name, [to_dict(one) for one in (*spec.states, *spec.controls)], spec.speed, spec.min_speed],
        "settings": to_dict(settings),
        "also": dict(also),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def write_windows(path: Path, windows: Windows, key: str) -> None:
    """Write windows, whole or not at all: of two who write at the same time the later one stays."""
    data = windows.dataset
    arrays = {name: getattr(data, name) for name in _ARRAYS}
    about = {
        "key": key,
        "mark": data.mark(),
        "names": {name: list(getattr(data, name)) for name in _NAMES},
        "counts": {str(name): column.tolist() for name, column in windows.counts.items()},
        "logs": [str(name) for name in windows.counts.index],
        "suspicions": dict(windows.suspicions),
    }
    remove_leftovers(path)
    tensors = {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items() if array is not None}
    write_file(path, KIND, about, tensors, version=DATA_VERSION)


def read_windows(path: Path, key: str) -> Windows | None:
    """Return the windows of a file; None where there is none, it has another key, or bits of it have changed.

    Raises:
        FileFormatError: the file is something else, and is not to be written over.
    """
    if not path.exists():
        return None
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder: the cache of windows is a file, name one")
    try:
        found = read_file(path, KIND, version=DATA_VERSION)
    except FileDamagedError:
        return None
    except FileFormatError as error:
        raise FileFormatError(f"{error}; it cannot be a cache of windows: name another file, or remove it") from None
    about = found.settings
    if about["key"] != key:
        return None
    names = {name: tuple(about["names"][name]) for name in _NAMES}
    arrays = {name: found.tensors[name].numpy() if name in found.tensors else None for name in _ARRAYS}
    data = FeatureDataset(**arrays, **names)  # type: ignore[arg-type]  # its fields by name
    if data.mark() != about["mark"]:
        return None
    counts = pd.DataFrame(about["counts"], index=pd.Index(about["logs"], name="log"))
    return Windows(data, counts, about["suspicions"])


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
