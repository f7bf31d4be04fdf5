"""The command ``potentia report``: one page on any trained model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from potentia.errors import FileFormatError

if TYPE_CHECKING:
    from potentia.report import ModelReport

__all__ = ["report"]

FAMILIES = {
    "potential": "potentials",
    "fully_connected": "trajectories",
    "multi_onet": "trajectories",
    "latent_neural_ode": "trajectories",
    "latent_poly": "trajectories",
    "dynamics parameter network": "dynamics",
    "neural operator": "operators",
}
"""Kind of a file → the family that reports on it."""


def report(
    run: Annotated[
        Path, typer.Argument(help="File of a trained model or checkpoint, directory of a run or committee.")
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="Data to measure on; by default those of the run's settings, if they are unchanged."),
    ] = [],  # noqa: B006  # typer reads it
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The page; report.html if left out, none with --json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Write one HTML page on a trained model of any family: errors, curves, the worst cases, settings, origin."""
    found = _reported(run, data)
    page = Path("report.html") if out is None and not as_json else out
    if page is not None:
        found.to_html(page)
    typer.echo(json.dumps(found.plain(), allow_nan=False) if as_json else f"{found}\n{page}")


def _reported(run: Path, data: Sequence[Path]) -> ModelReport:
    """Return the report by the family of the model."""
    from potentia.report import expected_kind

    if not run.exists():
        raise FileFormatError(f"no such file or directory: {run}")
    if not run.is_dir():
        return _reporter(FAMILIES[expected_kind(run, FAMILIES)])(run, data)
    from potentia.ensemble import METADATA

    if (run / METADATA).is_file():
        return _reporter("potentials")(run, data)
    if list(run.glob("params_*.safetensors")):
        return _reporter("dynamics")(run, data, only_same=not data)
    for model in _models(run):
        if model.is_file():
            family = FAMILIES[expected_kind(model, FAMILIES)]
            whole = family == "dynamics"  # its settings say how logs are cut, too
            known = data if whole else data or _data_of(run)
            return _reporter(family)(run if whole else model, known, only_same=not data)
    names = " or ".join(model.name for model in _models(run))
    raise FileFormatError(f"{run} is no directory of a run: there is no {names} in it, nor a committee")


def _models(run: Path) -> Iterator[Path]:
    """Yield what the model in the directory of a run may be; the second is asked for where the first is not there."""
    from potentia.runs import RunDirectory

    yield RunDirectory(run).model
    from potentia.operators.run_directory import RunDirectory as OperatorRun  # loads all that operators need

    yield OperatorRun(run).model


def _reporter(family: str) -> Callable[..., ModelReport]:
    reporter: Callable[..., ModelReport] = import_module(f"potentia.{family}.report").report_on
    return reporter


def _data_of(run: Path) -> list[Path]:
    """Return the data that the settings of a run name, as far as they are there."""
    from potentia.storage import load_json
    from potentia.yaml_files import read_yaml

    found: Mapping[str, Any] = {}
    if (run / "settings.yaml").is_file():
        found = read_yaml(run / "settings.yaml")
    elif (run / "settings.json").is_file():
        found = load_json(run / "settings.json")
    named = found.get("data", found.get("dataset"))
    if isinstance(named, Mapping):
        named = named.get("train", named.get("file"))
    paths = [named] if isinstance(named, str) else named or []
    return [path for one in paths for path in _files(Path(one))]


def _files(path: Path) -> Iterator[Path]:
    """Yield the files that a path, a folder or a pattern stands for."""
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(one for one in path.iterdir() if one.is_file())
    elif path.parent.is_dir():
        yield from sorted(path.parent.glob(path.name))
