"""The commands ``potentia predict``, ``evaluate``, ``calibrate``, ``export``: a model is asked, whatever its family."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import typer

from potentia.cli.families import Family, family_of_model
from potentia.cli.families.files import expanded
from potentia.cli.outputs import require_new
from potentia.cli.tables import records, shown
from potentia.words import COVERAGE

__all__ = ["calibrate", "evaluate", "export", "predict"]

ROWS = 20
"""So many rows of predictions are printed."""


def predict(model: Path, data: Sequence[str], out: Path | None, as_json: bool) -> None:
    """Predict, and write or print it."""
    if out is not None:
        require_new(out, "-o")
    family, path = family_of_model(model)
    table = family.predict(path, expanded(data), out)
    if as_json:
        told = {"family": family.name, "model": str(path), "file": None if out is None else str(out)}
        typer.echo(json.dumps({**told, "predictions": records(table)}))
    elif out is not None:
        typer.echo(f"{out}: predictions of {family.name}, {len(table)} rows")
    else:
        typer.echo(shown(table.head(ROWS)))
        typer.echo(f"{len(table)} rows; -o FILE writes all of them" if len(table) > ROWS else f"{len(table)} rows")


def evaluate(model: Path, data: Sequence[str], as_json: bool) -> None:
    """Print a table of errors, and others that the family has."""
    family, path = family_of_model(model)
    _tell(family, path, family.tables(path, expanded(data)), as_json)


def calibrate(model: Path, data: Sequence[str], level: float, as_json: bool) -> None:
    """Learn error bars, and print how good they are."""
    family, path = family_of_model(model)
    _tell(family, path, family.calibrate(path, expanded(data), level), as_json, COVERAGE)


def export(model: Path, to: str, out: Path, as_json: bool) -> None:
    """Write a model for another program."""
    family, path = family_of_model(model)
    files = [str(file) for file in family.export(path, to, out)]
    typer.echo(json.dumps({"family": family.name, "format": to, "files": files}) if as_json else "\n".join(files))


def _tell(
    family: Family,
    model: Path,
    tables: Mapping[str, pd.DataFrame],
    as_json: bool,
    meant: Mapping[str, str] | None = None,
) -> None:
    if as_json:
        told = {name: records(table) for name, table in tables.items()}
        typer.echo(json.dumps({"family": family.name, "model": str(model), **told}))
        return
    written = {name: shown(table, meant) for name, table in tables.items()}
    typer.echo("\n\n".join(text if len(tables) == 1 else f"{name}:\n{text}" for name, text in written.items()))
