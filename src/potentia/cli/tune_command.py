"""The command ``potentia study tune``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from potentia.cli.settings_file import naming, read_study_settings
from potentia.errors import ConfigError
from potentia.study import yaml_text

try:
    from potentia.trajectories.tuning.search import BEST, Tuning
except ModuleNotFoundError as error:
    raise ConfigError(f"searching needs Optuna, which is not installed ({error}): pip install potentia[tune]") from None

__all__ = ["promote", "tune"]


def tune(config: Path, root: Path, on_mismatch: str, as_json: bool, overrides: Sequence[str]) -> int:
    """Search, show what was found, and return the exit code."""
    tuning = _tuning(config, root, overrides)
    best = tuning.run(on_mismatch=on_mismatch)
    file = tuning.directory / BEST
    typer.echo(json.dumps({"file": str(file), "best": best}) if as_json else f"{file}:\n{yaml_text(best)}")
    return 0


def promote(config: Path, root: Path, trials: Sequence[str], as_json: bool, overrides: Sequence[str]) -> None:
    """Write the best settings, or those of ``trials``, beside the data."""
    tuning = _tuning(config, root, overrides)
    names = [one.name for one in tuning.config.surrogates]
    chosen = dict(_surrogate_and_number(text, names) for text in trials)
    file = tuning.promote(chosen)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "trials": chosen}))
    else:
        typer.echo(f"{file}: studies of these data take them for defaults")


def _tuning(config: Path, root: Path, overrides: Sequence[str]) -> Tuning:
    settings = read_study_settings(config, overrides)
    with naming(config):
        return Tuning.from_config(settings, root=root)


def _surrogate_and_number(text: str, names: Sequence[str]) -> tuple[str, int]:
    """Return both of ``"NAME=NUMBER"``; the name may be left out where there is one only."""
    name, _, number = text.rpartition("=")
    if not number.isdecimal() or (not name and len(names) > 1):
        raise ConfigError(f"--trial takes NAME=NUMBER with a surrogate of {', '.join(names)}, got {text!r}")
    return name or names[0], int(number)
