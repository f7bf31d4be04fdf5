"""The command ``potentia dynamics train``: its options are the settings of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from potentia.cli import dynamics_commands
from potentia.cli.many_values import ManyValues
from potentia.cli.options import with_options
from potentia.dynamics.run_config import RunConfig

__all__ = ["train_app"]

train_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@train_app.command(cls=ManyValues)
@with_options(RunConfig)
def train(
    config: Annotated[Path | None, typer.Option(help="YAML file of these settings; options come before it.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Directory of a run that is to go on.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell data, model and time; train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    **options: Any,
) -> None:
    """Train a network on logs; all that it brings is in a directory of its own."""
    settings = dynamics_commands.settings_of(config, resume, options)
    if dry_run:
        dynamics_commands.forecast(settings, as_json)
    else:
        dynamics_commands.train(settings, resume, as_json)
