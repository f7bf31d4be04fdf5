"""The command ``potentia train``: a file of settings → the directory of a run, whatever the family."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from potentia.cli.families import Family
from potentia.cli.families.base import FamilySettings
from potentia.cli.run_settings import read_run_settings
from potentia.cli.tables import records, shown
from potentia.errors import ConfigError
from potentia.runs import Job, RunDirectory, Trained, carry_out, require_same_data, require_same_settings
from potentia.train import Forecast

__all__ = ["Training", "announced", "figures", "forecast", "train"]

RUNS = "runs"
"""Where runs are made that nobody has given a directory."""


def forecast(path: Path, overrides: Sequence[str], as_json: bool) -> None:
    """Tell how long a training would take, and how much memory; nothing is written."""
    family, settings = read_run_settings(path, overrides)
    Training(family, settings, family.job(settings), as_json=as_json).forecast()


def train(path: Path, overrides: Sequence[str], run_dir: Path | None, resume: bool, as_json: bool) -> None:
    """Train, and leave all that belongs to it in a directory of its own."""
    family, settings = read_run_settings(path, overrides)
    if resume:
        if run_dir is None:
            raise ConfigError("--resume needs the directory of the run that is to go on: give it by --run-dir")
        directory = family.directory.existing(run_dir)
        settings = settings.seeded(directory.read_settings().get("training", {}).get("seed"))
        Training(family, settings, family.job(settings), as_json=as_json).go_on(directory)
        return
    settings, of_run = settings.seeded(None), family.directory
    Training(family, settings, family.job(settings), as_json=as_json).begin(
        lambda: announced(of_run.new(RUNS, path.stem)) if run_dir is None else of_run.given(run_dir)
    )


def announced(directory: RunDirectory) -> RunDirectory:
    """Return the directory of a run, and tell where it is: nobody has named it."""
    typer.echo(f"run: {directory.path}", err=True)
    return directory


def figures(found: Forecast) -> dict[str, float | None]:
    """Return a forecast for programs."""
    return {
        "epochs": found.epochs,
        "batches_per_epoch": found.batches_per_epoch,
        "memory_bytes": found.memory_bytes,
        "seconds_per_epoch": found.seconds_per_epoch,
        "seconds": found.seconds_total,
    }


@dataclass(frozen=True)
class Training:
    """One training on the command line, whatever it was asked for by; results go to the standard output."""

    family: Family
    settings: FamilySettings
    """With a seed."""
    job: Job[Trained]
    """Of these settings."""
    as_json: bool
    """Whether to print JSON for programs."""

    @property
    def plain(self) -> dict[str, Any]:
        """All settings, as the file of the run has them."""
        return {"family": self.family.name, **self.settings.plain()}

    def forecast(self) -> None:
        """Tell what would be trained on, how long it would take, and how much memory; nothing is written."""
        found = self.job.forecast()
        if not self.as_json:
            typer.echo("\n".join([*self.job.seen(), str(found)]))
            return
        typer.echo(json.dumps({"family": self.family.name, "data": self.job.mark(), **figures(found)}))

    def begin(self, made: Callable[[], RunDirectory]) -> None:
        """Train in a directory that is made as soon as the data are known to be usable."""
        self.job.mark()
        self._carry_out(made(), None, resumed=False)

    def go_on(self, directory: RunDirectory) -> None:
        """Go on with a run, from where it had come farthest.

        Raises:
            ConfigError: something is not the same that decides what is learned; the message lists it.
            DataError: the data are others.
        """
        require_same_settings(directory, self.plain, self.family.free, self.family.free_besides)
        require_same_data(directory, self.job.mark())
        self._carry_out(directory, directory.newest_checkpoint, resumed=True)

    def go_on_from(self, directory: RunDirectory, checkpoint: Path) -> None:
        """Go on from a checkpoint, wherever it lies; it says itself what must be the same."""
        directory.path.mkdir(parents=True, exist_ok=True)
        self._carry_out(directory, checkpoint, resumed=True)

    def _carry_out(self, directory: RunDirectory, checkpoint: Path | None, *, resumed: bool) -> None:
        trained = carry_out(
            self.job, directory, self.plain, self.settings.seed, resumed=resumed, resume_from=checkpoint
        )
        self._tell(directory, trained)

    def _tell(self, directory: RunDirectory, trained: Trained) -> None:
        out = trained.out
        if self.as_json:
            told: dict[str, Any] = {
                "family": self.family.name, "run": str(directory.path), "epochs": len(out.history), "seed": out.seed,
                "ended": out.ended, "resumable": out.resumable,
                "model": None if out.resumable else str(directory.model),
                "errors": None if trained.errors is None else records(trained.errors),
                "advice": list(trained.advice),
            }  # fmt: skip
            typer.echo(json.dumps(told))
            return
        typer.echo(str(out))
        if trained.errors is not None:
            typer.echo(shown(trained.errors))
        typer.echo("\n".join(trained.advice), nl=bool(trained.advice))
        if out.resumable:
            typer.echo(f"paused; potentia train {directory.settings} --resume --run-dir {directory.path} goes on")
        else:
            typer.echo(f"{directory.model}\nnow: potentia predict {directory.path} DATA, or report, evaluate, export")
