"""The commands of one training, for all families: what they take; each hands over to a module that does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["add_commands"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Model = Annotated[Path, typer.Argument(help="Directory of a run, file of an estimator, or checkpoint.")]
Data = Annotated[list[str], typer.Argument(help="Files, folders or patterns of data.")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Take this value instead, e.g. training.seed=2.")
]


def init(
    data: Data,
    out: Annotated[Path, typer.Option("-o", "--out", help="File of the settings.")] = Path("settings.yaml"),
    family: Annotated[str | None, typer.Option(help="Name of the family; by the data if left out.")] = None,
    members: Annotated[int | None, typer.Option(help="Members of a committee, of any family but dynamics.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look at data, and write settings of a training to begin with."""
    from potentia.cli import init_command

    init_command.init(data, out, family, members, as_json)


def train(
    settings: Annotated[Path, typer.Argument(help="YAML file of the settings; `potentia init` writes one.")],
    overrides: Overrides = [],  # noqa: B006  # typer reads it, nobody changes it
    run_dir: Annotated[
        Path | None, typer.Option(help="Directory of the run, new or empty; runs/NAME_DATE-TIME if left out.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --run-dir, to the bit.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell time and memory; train nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train by a file of settings; all that it brings is in a directory of its own."""
    from potentia.cli import train_command

    if dry_run:
        train_command.forecast(settings, overrides, as_json)
    else:
        train_command.train(settings, overrides, run_dir, resume, as_json)


def predict(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File of the predictions; its ending says how.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict with a trained model of any family."""
    from potentia.cli import model_commands

    model_commands.predict(model, data, out, as_json)


def evaluate(model: Model, data: Data, as_json: AsJson = False) -> None:
    """Measure a trained model on data, beside what costs no training."""
    from potentia.cli import model_commands

    model_commands.evaluate(model, data, as_json)


def calibrate(
    model: Model,
    data: Data,
    level: Annotated[float, typer.Option(help="Share of the errors that intervals shall hold.")] = 0.9,
    as_json: AsJson = False,
) -> None:
    """Learn error bars of a committee from data that it has not seen, and keep them in its file."""
    from potentia.cli import model_commands

    model_commands.calibrate(model, data, level, as_json)


def export(
    model: Model,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="Of potentials: aenet.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory of the files.")] = Path("export"),
    as_json: AsJson = False,
) -> None:
    """Write a trained model for another program."""
    from potentia.cli import model_commands

    model_commands.export(model, to, out, as_json)


def schema(
    family: Annotated[str | None, typer.Argument(help="Name of a family; all if left out.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File of the schema; printed if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the JSON schema of files of settings, for editors."""
    from potentia.cli import schema_command

    schema_command.schema(family, out, as_json)


def doctor(as_json: AsJson = False) -> None:
    """Look at the installation, and say what to do. Exit code 1 if something is broken."""
    from potentia.cli import doctor_command

    raise typer.Exit(doctor_command.doctor(as_json))


def add_commands(app: typer.Typer) -> None:
    """Give an app these commands."""
    for command in (init, train, predict, evaluate, calibrate, export, schema, doctor):
        app.command()(command)
