"""The command ``potentia dynamics train``: its options are the settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from potentia.cli.families.dynamics import FAMILY
from potentia.cli.families.dynamics_settings import DynamicsSettings
from potentia.cli.many_values import ManyValues
from potentia.cli.options import given_values, with_options
from potentia.cli.run_settings import read_run_settings
from potentia.cli.train_command import Training, announced
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.training_run import directory_of
from potentia.errors import ConfigError

__all__ = ["settings_of", "train_app"]

train_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@train_app.command(cls=ManyValues)
@with_options(RunConfig)
def train(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings, as of potentia train; options come before it.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Directory of a run that is to go on.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell windows, time and memory; train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    **options: Any,
) -> None:
    """Train a network on logs; all that it brings is in a directory of its own."""
    asked = settings_of(config, resume, given_values(RunConfig, options))
    settings = DynamicsSettings.of(asked)
    training = Training(FAMILY, settings, FAMILY.job(settings), as_json=as_json)
    if dry_run:
        training.forecast()
    elif resume is not None:
        training.go_on(RunDirectory.existing(resume))
    else:
        training.begin(lambda: directory_of(asked) if asked.run_dir else announced(directory_of(asked)))


def settings_of(file: Path | None, resume: Path | None, given: Mapping[str, Any]) -> RunConfig:
    """Return the settings of a run: those on the command line, else those of the file or of the run that goes on.

    Raises:
        ConfigError: file and run are both named, or the file is of another family.
    """
    if file is not None and resume is not None:
        raise ConfigError("--resume takes the settings of the run that goes on: leave --config out")
    known: Mapping[str, Any] = {}
    if file is not None:
        known = _in_file(file).plain()
    if resume is not None:
        known = RunDirectory.existing(resume).read_config().plain()
    asked = RunConfig.from_mapping(given)
    rooted = asked.rooted().plain()  # paths in the file begin at its folder, those of options at the root
    changed = {name: rooted[name] for name in given}
    return replace(RunConfig.from_mapping({**known, **changed}), root=asked.root, run_dir=asked.run_dir)


def _in_file(file: Path) -> RunConfig:
    family, settings = read_run_settings(file, ())
    if not isinstance(settings, DynamicsSettings):
        raise ConfigError(f"{file} has settings of {family.name}: give it to potentia train")
    if settings.committee is not None:
        raise ConfigError(f"{file} has settings of a committee: give it to potentia train")
    return settings.config
