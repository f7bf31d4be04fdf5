"""Settings from a YAML file, some of them replaced on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from potentia.errors import ConfigError
from potentia.yaml_files import read_yaml

__all__ = ["naming", "read_search_settings", "read_settings", "read_study_settings"]


def read_settings(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a file, with overrides such as ``"dataset.tolerance=1e-20"`` in place.

    Raises:
        ConfigError: there is no such file, or an override has no ``=`` or goes into something that is no block.
        FileFormatError: the file is no YAML.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: give the YAML file of the settings, of a run {path / 'settings.yaml'}")
    if not path.is_file():
        raise ConfigError(f"no such file: {path}")
    settings = read_yaml(path)
    for text in overrides:
        key, found, value = text.partition("=")
        if not found:
            raise ConfigError(f"--set takes KEY=VALUE, got {text!r}")
        *blocks, last = key.split(".")
        block: Any = settings
        for name in blocks:
            block = block.setdefault(name, {})
            if not isinstance(block, dict):
                raise ConfigError(f"--set {key}: {name} is no block of settings but {block!r}")
        block[last] = _value(text, value)
    return settings


def read_study_settings(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a study.

    Raises:
        ConfigError: as `read_settings`, or they are those of one training or of a search.
    """
    settings = _of_several(path, overrides)
    if "tuning_id" in settings and "training_id" not in settings:
        raise ConfigError(f"{path} has settings of a search: give it to potentia study tune")
    return settings


def read_search_settings(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a search.

    Raises:
        ConfigError: as `read_settings`, or they are those of one training or of a study.
    """
    settings = _of_several(path, overrides)
    if "training_id" in settings and "tuning_id" not in settings:
        raise ConfigError(f"{path} has settings of a study: give it to potentia study run, or name a tuning_id in it")
    return settings


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors in settings name the file that they stand in."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _of_several(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Return settings that are not those of one training."""
    settings = read_settings(path, overrides)
    if "family" in settings:
        raise ConfigError(f"{path} has settings of a training of {settings['family']}: give it to potentia train")
    return settings


def _value(text: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text}: {value!r} is no YAML value") from None
