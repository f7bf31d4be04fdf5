"""The commands ``potentia dynamics …`` and what they take; each hands over to a module that does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from potentia.cli.many_values import ManyValues

__all__ = ["dynamics"]

dynamics = typer.Typer(
    help="Networks of parameters, trained through a simulation.", no_args_is_help=True, rich_markup_mode=None
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Run = Annotated[Path, typer.Argument(help="Directory of a run.")]
Dataset = Annotated[list[str], typer.Option(help="Folders or files of logs; those of the run if left out.")]


@dynamics.command(
    "train",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,  # --help goes to the command that knows the options
)
def train(context: typer.Context) -> None:
    """Train a network on logs; all that it brings is in a directory of its own."""
    from potentia.cli.dynamics_train import train_app

    train_app(args=list(context.args), prog_name="potentia dynamics train")


@dynamics.command("models")
def models(
    name: Annotated[str | None, typer.Argument(help="Name of a model; all if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """List models of dynamics, with states, controls, parameters, bounds and units."""
    from potentia.cli import dynamics_commands

    dynamics_commands.models(name, as_json)


@dynamics.command("simulate", cls=ManyValues)
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder of the logs; made if it is not there.")],
    model: Annotated[str, typer.Option(help="Name of the model of dynamics.")] = "singletrack",
    param: Annotated[list[str], typer.Option(metavar="KEY=NUMBER", help="Parameters; others have defaults.")] = [],  # noqa: B006
    noise: Annotated[list[str], typer.Option(metavar="KEY=NUMBER", help="Deviation of a state's sensor.")] = [],  # noqa: B006
    logs: Annotated[int, typer.Option(help="How many.")] = 8,
    seconds: Annotated[float, typer.Option(help="Length of each.")] = 20.0,
    dt: Annotated[float, typer.Option(help="Time from row to row (s).")] = 0.05,
    seed: Annotated[int, typer.Option(help="Of the drive and the noise.")] = 0,
    suffix: Annotated[str, typer.Option(help="Kind of the files: csv, npz or json.")] = "csv",
    as_json: AsJson = False,
) -> None:
    """Drive a model with known parameters at random, and write the logs."""
    from potentia.cli import dynamics_commands

    settings = dynamics_commands.simulation_of(logs, seconds, dt, seed, noise)
    dynamics_commands.simulate(out, model, param, suffix, settings, as_json)


@dynamics.command("evaluate", cls=ManyValues)
def evaluate(run: Run, dataset: Dataset = [], as_json: AsJson = False) -> None:  # noqa: B006
    """Measure a trained network on logs, beside baselines."""
    from potentia.cli import dynamics_commands

    dynamics_commands.evaluate(run, dataset, as_json)


@dynamics.command("identify", cls=ManyValues)
def identify(run: Run, dataset: Dataset = [], as_json: AsJson = False) -> None:  # noqa: B006
    """Tell which parameters logs can tell, at those that a trained network predicts."""
    from potentia.cli import dynamics_commands

    dynamics_commands.identify(run, dataset, as_json)
