"""The command ``potentia study tune``."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from potentia.cli.settings_file import naming, read_search_settings
from potentia.cli.study_commands import at_a_time
from potentia.cli.tables import records
from potentia.errors import ConfigError
from potentia.study import yaml_text
from potentia.train import time_in_words

try:
    from potentia.trajectories.tuning.search import BEST, Tuning
    from potentia.trajectories.tuning.storage import without_password
except ModuleNotFoundError as error:
    raise ConfigError(f"searching needs Optuna, which is not installed ({error}): pip install potentia[tune]") from None

__all__ = ["forecast", "promote", "tune"]


def tune(config: Path, root: Path, on_mismatch: str, as_json: bool, overrides: Sequence[str]) -> int:
    """Search, show what was found, and return the exit code."""
    tuning = _tuning(config, root, overrides)
    best = tuning.run(on_mismatch=on_mismatch)
    file = tuning.directory / BEST
    typer.echo(json.dumps({"file": str(file), "best": best}) if as_json else f"{file}:\n{yaml_text(best)}")
    return 0


def forecast(config: Path, root: Path, as_json: bool, overrides: Sequence[str]) -> None:
    """Tell what would be searched, where it is kept, and how long it is likely to take; nothing is written."""
    tuning = _tuning(config, root, overrides)
    table, space, slots = tuning.forecast(), tuning.space, len(tuning.config.devices)
    seconds, memory = float(table["seconds"].sum()), int(table["memory_bytes"].max()) * slots
    if as_json:
        whole = {"slots": slots, "seconds": seconds, "seconds_with_slots": seconds / slots, "memory_bytes": memory}
        told = {"storage": without_password(tuning.url), "other_settings": tuning.differs, "goal": tuning.goal}
        typer.echo(json.dumps({**told, "searched": records(space), "surrogates": records(table), **whole}))
        return
    words = {"drawn_from": "drawn from", "only_with": "only with"}
    typer.echo(_aligned(space.rename(columns=words)))
    typer.echo(f"made small: {tuning.goal}\nkept in: {without_password(tuning.url)}")
    if tuning.differs:
        typer.echo(f"{tuning.directory} holds a search with other settings: see --on-mismatch")
    for row in table.to_dict("records"):
        typer.echo(_trials(row))
    left = int((table["trials"] - table["done"]).sum())
    typer.echo(f"{left} trials: {at_a_time(seconds, slots, memory)}; those that are ended early take less")


def _aligned(table: pd.DataFrame) -> str:
    """Return a table of words whose columns begin at the left."""
    rows = [list(map(str, table)), *table.astype(str).to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _trials(row: Mapping[Hashable, Any]) -> str:
    """Return what is expected of the trials of a surrogate."""
    text = f"{row['surrogate']}: {row['trials']} trials of {row['epochs']} epochs"
    if row["done"] == row["trials"]:
        return f"{text}, all done"
    ends = f"{time_in_words(row['fastest'])} to {time_in_words(row['slowest'])}"
    done = f", {row['done']} done" if row["done"] else ""
    return f"{text}{done}, about {time_in_words(row['seconds_per_trial'])} each ({ends} by what is drawn)"


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
    settings = read_search_settings(config, overrides)
    with naming(config):
        return Tuning.from_config(settings, root=root)


def _surrogate_and_number(text: str, names: Sequence[str]) -> tuple[str, int]:
    """Return both of ``"NAME=NUMBER"``; the name may be left out where there is one only."""
    name, _, number = text.rpartition("=")
    if not number.isdecimal() or (not name and len(names) > 1):
        raise ConfigError(f"--trial takes NAME=NUMBER with a surrogate of {', '.join(names)}, got {text!r}")
    return name or names[0], int(number)
