"""The command ``potentia study tune``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from potentia.cli.settings_file import read_settings
from potentia.errors import ConfigError
from potentia.study import yaml_text

try:
    from potentia.trajectories.tuning import BEST, Tuning
except ModuleNotFoundError as error:
    raise ConfigError(f"searching needs Optuna, which is not installed ({error}): pip install potentia[tune]") from None

__all__ = ["promote", "tune"]


def tune(config: Path, root: Path, on_mismatch: str, as_json: bool, overrides: Sequence[str]) -> int:
    """Search, show what was found, and return the exit code."""
    tuning = Tuning.from_config(read_settings(config, overrides), root=root)
    best = tuning.run(on_mismatch=on_mismatch)
    typer.echo(json.dumps(best) if as_json else f"{tuning.directory / BEST}:\n{yaml_text(best)}")
    return 0


def promote(config: Path, root: Path, overrides: Sequence[str]) -> None:
    """Write the best settings beside the data."""
    written = Tuning.from_config(read_settings(config, overrides), root=root).promote()
    typer.echo(f"{written}: studies of these data take them for defaults")
