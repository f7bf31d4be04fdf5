"""An HDF5 file, opened to be read: what is none, is cut off or is not there says so."""

from __future__ import annotations

from pathlib import Path

import h5py

from potentia.errors import FileFormatError

__all__ = ["opened_hdf5"]


def opened_hdf5(path: Path) -> h5py.File:
    """Open a file, to be closed by ``with``.

    Raises:
        FileFormatError: there is no such file, or it is no HDF5.
    """
    if not path.is_file():
        raise FileFormatError(f"no such file: {path}")
    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise FileFormatError(f"{path} is truncated or no HDF5 file at all: {error}") from None
