"""The command ``potentia train``: a file of settings → the directory of a run, whatever the family."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from potentia.cli.families import Family
from potentia.cli.families.base import FamilySettings, Trained
from potentia.cli.run_settings import read_run_settings
from potentia.cli.tables import records, shown
from potentia.config import differences
from potentia.errors import ConfigError
from potentia.runs import RunDirectory, provenance
from potentia.train import newest_checkpoint

__all__ = ["forecast", "train"]

RUNS = "runs"
"""Where runs are made that nobody has given a directory."""


def forecast(path: Path, overrides: Sequence[str], as_json: bool) -> None:
    """Tell how long a training would take, and how much memory; nothing is written."""
    family, settings = read_run_settings(path, overrides)
    job = family.job(settings)
    found = job.forecast()
    if as_json:
        told = {
            "epochs": found.epochs,
            "batches_per_epoch": found.batches_per_epoch,
            "memory_bytes": found.memory_bytes,
        }
        times = {"seconds_per_epoch": found.seconds_per_epoch, "seconds": found.seconds_total}
        typer.echo(json.dumps({"family": family.name, "data": job.mark(), **told, **times}))
    else:
        typer.echo(str(found))


def train(path: Path, overrides: Sequence[str], run_dir: Path | None, resume: bool, as_json: bool) -> None:
    """Train, and leave all that belongs to it in a directory of its own."""
    family, settings = read_run_settings(path, overrides)
    if resume:
        directory = _begun(run_dir)
        settings = _same(family, settings, directory)
    else:
        settings = settings.seeded(None)
    job = family.job(settings)
    if not resume:
        directory = RunDirectory.new(RUNS, path.stem) if run_dir is None else RunDirectory.given(run_dir)
    directory.begin({"family": family.name, **settings.plain()}, provenance(settings.seed, job.mark()), resumed=resume)
    if not as_json:
        typer.echo(f"run: {directory.path}")
    trained = job.train(
        directory.checkpoints,
        newest_checkpoint(directory.checkpoints) if resume else None,
        show_progress=not as_json,
    )
    _write(directory, trained)
    _tell(family, directory, trained, as_json)


def _begun(run_dir: Path | None) -> RunDirectory:
    if run_dir is None:
        raise ConfigError("--resume needs the directory of the run that is to go on: give it by --run-dir")
    return RunDirectory.existing(run_dir)


def _same(family: Family, settings: FamilySettings, directory: RunDirectory) -> FamilySettings:
    """Return settings that go on with a run.

    Raises:
        ConfigError: something is not the same that decides what is learned; the message lists it.
    """
    before = directory.read_settings()
    seed = before.get("training", {}).get("seed")
    settings = settings.seeded(seed)
    now = {"family": family.name, **settings.plain()}
    changed = differences(
        before, now, allow={f"training.{name}" for name in family.free - {"seed"}} | family.free_besides
    )
    if changed:
        raise ConfigError(
            f"{directory.path} was begun with other settings: {'; '.join(changed)}. Put them back to resume it, or "
            "begin a new run"
        )
    return settings


def _write(directory: RunDirectory, trained: Trained) -> None:
    directory.write_history(trained.out.history)
    if trained.out.history:  # paused inside the first epoch, there is nothing to draw
        trained.out.plot_training_errors(directory.losses)
    if trained.errors is not None:
        directory.write_table("errors", trained.errors)
    for name, table in trained.tables.items():
        directory.write_table(name, table)
    if not trained.out.resumable:
        trained.estimator.save(directory.model)


def _tell(family: Family, directory: RunDirectory, trained: Trained, as_json: bool) -> None:
    out = trained.out
    if as_json:
        told: dict[str, Any] = {
            "family": family.name, "run": str(directory.path), "epochs": len(out.history), "seed": out.seed,
            "ended": out.ended, "resumable": out.resumable,
            "model": None if out.resumable else str(directory.model),
            "errors": None if trained.errors is None else records(trained.errors),
        }  # fmt: skip
        typer.echo(json.dumps(told))
        return
    typer.echo(str(out))
    if trained.errors is not None:
        typer.echo(shown(trained.errors))
    if out.resumable:
        typer.echo(f"paused; the same command with --resume --run-dir {directory.path} goes on")
    else:
        typer.echo(f"{directory.model}\nnow: potentia predict {directory.path} DATA, or evaluate, or export")
