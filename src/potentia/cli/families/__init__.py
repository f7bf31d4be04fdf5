"""The families as the commands see them: by name, by what data look like, and by the kind of a file.

A family is imported when it is asked for: a command of one does not wait for the others.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

from potentia.checks import choice
from potentia.cli.families.base import Family
from potentia.errors import ConfigError, DataError, FileFormatError

__all__ = ["FAMILIES", "Family", "family", "family_of_data", "family_of_model"]

FAMILIES = ("potentials", "trajectories", "dynamics", "operators")
"""Names; a module beside this one has each."""


def family(name: object) -> Family:
    """Return a family by its name.

    Raises:
        ConfigError: there is none; the message has the nearest name.
    """
    chosen = choice("family", name, FAMILIES)
    found: Family = importlib.import_module(f"{__name__}.{chosen}").FAMILY
    return found


def family_of_data(paths: Sequence[Path]) -> Family:
    """Return the family that such files are the data of.

    Raises:
        DataError: none knows them.
    """
    for name in ("dynamics", "trajectories", "operators", "potentials"):  # those that know their files first
        found = family(name)
        if found.recognises(paths):
            return found
    raise DataError(
        f"{paths[0]} is no data of any family: give structures (XSF, extended XYZ, what ASE reads, an HDF5 "
        "data set), HDF5 of trajectories or fields, or a folder of logs (.csv, .json, .npz)"
    )


def family_of_model(path: str | os.PathLike[str]) -> tuple[Family, Path]:
    """Return the family of a model, and its file.

    Args:
        path: A file of an estimator, a checkpoint, or the directory of a run.

    Raises:
        ConfigError: there is nothing there.
        FileFormatError: it is neither, or the training of the run has not ended.
    """
    from potentia.runs import RunDirectory
    from potentia.runs.models import kind_of

    where = Path(path)
    if not where.exists():
        raise ConfigError(f"no such model: {path}")
    if where.is_dir():
        run = RunDirectory.existing(where)
        if not run.is_trained:
            raise FileFormatError(f"{path} has no model yet: let its training go on by --resume --run-dir {path}")
        where = run.model
    kind = kind_of(where)
    for name in FAMILIES:
        found = family(name)
        if kind in found.kinds:
            return found, where
    raise FileFormatError(f"{where} holds a {kind}, which no command of this kind knows")
