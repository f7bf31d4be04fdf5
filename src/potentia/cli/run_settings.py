"""A file of settings of one training: which family, and its blocks, each value of it checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from potentia.checks import did_you_mean
from potentia.cli.families import FAMILIES, Family, family
from potentia.cli.families.base import FamilySettings
from potentia.cli.settings_file import naming, read_settings
from potentia.config import arms_of, from_plain
from potentia.errors import ConfigError

__all__ = ["read_run_settings", "settings_from"]


def read_run_settings(path: Path, overrides: Sequence[str]) -> tuple[Family, FamilySettings]:
    """Read settings; relative paths in them begin at the folder of the file.

    Raises:
        ConfigError: a name is unknown or a value cannot be; the message names file, block and key.
        FileFormatError: the file is no YAML.
    """
    return settings_from(read_settings(path, overrides), path)


def settings_from(content: Mapping[str, Any], path: Path) -> tuple[Family, FamilySettings]:
    """Return the family and the settings of what a file holds."""
    blocks = dict(content)
    if "family" not in blocks:
        raise ConfigError(
            f"{path} needs `family`, one of {', '.join(FAMILIES)}; `potentia init DATA` writes such a file"
        )
    with naming(path):
        found = family(blocks.pop("family"))
        return found, _settings(found.settings_class, blocks).at(path.resolve().parent)


def _settings(cls: type[FamilySettings], blocks: Mapping[str, Any]) -> FamilySettings:
    hints, known = typing.get_type_hints(cls), {one.name: one for one in dataclasses.fields(cls)}
    for name in blocks:
        if name not in known:
            raise ConfigError(f"there is no block {name!r}{did_you_mean(name, known)}")
    for name, one in known.items():
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING and name not in blocks:
            raise ConfigError(f"the block `{name}` is missing")
    return cls(**{name: _block(name, hints[name], value) for name, value in blocks.items()})


def _block(name: str, hint: Any, value: Any) -> Any:
    nothing = value is None and types.NoneType in typing.get_args(hint)
    if not isinstance(value, Mapping) and not nothing and str not in arms_of(hint):
        raise ConfigError(f"the block `{name}` must be settings by name, got {value!r}")
    try:
        return from_plain(name, hint, value)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith((f"{name} ", f"{name}: ")) else f"{name}: {text}") from None
