"""Where the data of a study are, by a name or a path, and the settings of surrogates that lie beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from potentia.checks import did_you_mean
from potentia.errors import ConfigError, FileFormatError
from potentia.study import read_yaml
from potentia.trajectories.systems import SYSTEMS

__all__ = ["DEFAULTS", "FILE", "defaults_beside", "find_data"]

FILE = "data.hdf5"
"""Name of the data in their directory."""
DEFAULTS = "surrogate_configs.yaml"
"""Name of the settings of surrogates that suit the data, beside them."""


def find_data(root: Path, name: str) -> Path:
    """Return the file of the data of this name: a path, or a directory in ``datasets/`` of ``root`` whatever its case.

    Raises:
        ConfigError: there is none; the message lists those that are there.
    """
    for path in (Path(name), root / name):
        if path.is_file():
            return path
        if "/" in name and (path / FILE).is_file():
            return path / FILE
    folder = root / "datasets"
    known = {path.parent.name: path for path in sorted(folder.glob(f"*/{FILE}"))}
    for found, path in known.items():
        if found.lower() == name.lower():
            return path
    made = f"; `potentia data make {name.lower()}` makes them" if name.lower() in SYSTEMS else ""
    hint = did_you_mean(name, known) if known and not made else ""
    raise ConfigError(f"there are no data {name!r}: no such file, and no {folder / name / FILE}{hint}{made}")


def defaults_beside(path: Path) -> dict[str, dict[str, Any]]:
    """Return the settings of surrogates beside the data, by surrogate; none where there is no such file.

    Raises:
        FileFormatError: the file does not hold a block of settings for each surrogate.
    """
    file = path.with_name(DEFAULTS)
    if not file.is_file():
        return {}
    found = read_yaml(file)
    for name, block in found.items():
        if not isinstance(block, dict):
            raise FileFormatError(f"{file}: {name} must be a block of settings, got {block!r}")
    return found
