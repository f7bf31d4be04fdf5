"""What commands there are and what they take; each hands over to a module that does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from potentia.cli.check_command import check
from potentia.cli.dynamics_app import dynamics
from potentia.cli.operators_app import operators
from potentia.cli.report_command import report
from potentia.cli.run_app import add_commands

__all__ = ["app"]

app = typer.Typer(
    help="Neural surrogates of physics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
study = typer.Typer(help="Surrogates of trajectories side by side.", no_args_is_help=True, rich_markup_mode=None)
data = typer.Typer(help="Data sets of trajectories and of fields.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(study, name="study")
app.add_typer(data, name="data")
app.add_typer(dynamics, name="dynamics")
app.add_typer(operators, name="operators")
app.command("check")(check)
app.command("report")(report)
add_commands(app)

Config = Annotated[Path, typer.Argument(help="YAML file of the settings.")]
Root = Annotated[Path, typer.Option(help="Directory with datasets/, trained/, results/ and tuned/.")]
OnMismatch = Annotated[
    str,
    typer.Option(help="With results of other settings there: 'error'; 'resume' those; 'restart' (sets them aside)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Take this value instead, e.g. dataset.tolerance=1e-20.")
]


@app.callback()
def begin(
    modules: Annotated[
        list[str],
        typer.Option(
            "--import",
            metavar="MODULE",
            envvar="POTENTIA_IMPORT",
            help="Import a module of one's own first: it registers a descriptor, a model, a network, a system.",
        ),
    ] = [],  # noqa: B006  # typer reads it
) -> None:
    """Import modules of users, before the command."""
    from potentia.cli.own_modules import import_modules

    import_modules(modules)


@study.command("run")
def study_run(
    config: Config,
    root: Root = Path(),
    on_mismatch: OnMismatch = "error",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List tasks, time and memory; train none.")] = False,
    as_json: AsJson = False,
    overrides: Overrides = [],  # noqa: B006  # typer reads it, nobody changes it
) -> None:
    """Train all models that are not there yet. Exit code 1 if one has failed; run it again to go on."""
    from potentia.cli import slots

    if not dry_run:
        slots.load_ahead(config, overrides)
    from potentia.cli import study_commands

    if dry_run:
        study_commands.forecast(config, root, as_json, overrides)
    else:
        raise typer.Exit(study_commands.run(config, root, on_mismatch, as_json, overrides))


@study.command("evaluate")
def study_evaluate(config: Config, root: Root = Path(), as_json: AsJson = False, overrides: Overrides = []) -> None:  # noqa: B006
    """Measure the models on held-out data, and write tables and figures to results/."""
    from potentia.cli import study_commands

    study_commands.evaluate(config, root, as_json, overrides)


@study.command("report")
def study_report(config: Config, root: Root = Path(), as_json: AsJson = False, overrides: Overrides = []) -> None:  # noqa: B006
    """Tell what is done, what failed and why, and what the evaluation has found."""
    from potentia.cli import study_commands

    study_commands.report(config, root, as_json, overrides)


@study.command("tune")
def study_tune(
    config: Config,
    root: Root = Path(),
    on_mismatch: OnMismatch = "error",
    promote: Annotated[
        bool,
        typer.Option("--promote", help="Only write what was found beside the data, as their defaults."),
    ] = False,
    trial: Annotated[
        list[str],
        typer.Option("--trial", metavar="NAME=NUMBER", help="Promote this trial; needed with two objectives."),
    ] = [],  # noqa: B006
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what is searched, time and memory; train nothing.")
    ] = False,
    as_json: AsJson = False,
    overrides: Overrides = [],  # noqa: B006  # typer reads it, nobody changes it
) -> None:
    """Search settings of the surrogates by Optuna; tuned/<tuning_id>/best.yaml has what was found."""
    from potentia.cli import tune_command

    if trial and not promote:
        raise typer.BadParameter("--trial goes with --promote")
    if dry_run and promote:
        raise typer.BadParameter("--dry-run and --promote are two things: give one of them")
    if dry_run:
        tune_command.forecast(config, root, as_json, overrides)
    elif promote:
        tune_command.promote(config, root, trial, as_json, overrides)
    else:
        raise typer.Exit(tune_command.tune(config, root, on_mismatch, as_json, overrides))


@data.command("make")
def data_make(
    name: Annotated[str, typer.Argument(help="Name of the system.")],
    train: Annotated[int, typer.Option(help="Samples to train on.")] = 350,
    test: Annotated[int, typer.Option(help="Samples to select by; of fields, those held out.")] = 50,
    val: Annotated[int, typer.Option(help="Samples held out; of fields, those to select by.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the initial states.")] = 42,
    out: Annotated[Path | None, typer.Option(help="File; datasets/NAME/data.hdf5 if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Solve a known system from drawn initial states, and write the data."""
    from potentia.cli import data_commands

    data_commands.make(name, train, test, val, seed, out, as_json)
