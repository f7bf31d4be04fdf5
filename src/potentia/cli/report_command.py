"""The command ``potentia report``: one page on any trained model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from potentia.cli.outputs import require_place, write_page
from potentia.errors import FileFormatError

if TYPE_CHECKING:
    from potentia.report import ModelReport
    from potentia.runs import RunDirectory

__all__ = ["report"]

FAMILIES = {
    "potential": "potentials",
    "committee of potentials": "potentials",
    "fully_connected": "trajectories",
    "multi_onet": "trajectories",
    "latent_neural_ode": "trajectories",
    "latent_poly": "trajectories",
    "committee of trajectory surrogates": "trajectories",
    "dynamics parameter network": "dynamics",
    "committee of parameter networks": "dynamics",
    "neural operator": "operators",
    "committee of operators": "operators",
}
"""Kind of a file → the family that reports on it."""


def report(
    run: Annotated[
        Path, typer.Argument(help="File of a trained model or checkpoint, directory of a run or committee.")
    ],
    data: Annotated[
        list[Path],
        typer.Option(
            help="Data to measure on, once for each file; those of the run's settings if left out and unchanged."
        ),
    ] = [],  # noqa: B006  # typer reads it
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The page; report.html if left out, none with --json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Write one HTML page on a trained model of any family: errors, curves, the worst cases, settings, origin."""
    page = Path("report.html") if out is None and not as_json else out
    require_place(page, "-o")
    found = _reported(run, data)
    write_page(found, page)
    told = {**found.plain(), "page": None if page is None else str(page)}
    typer.echo(json.dumps(told, allow_nan=False) if as_json else f"{found}\n{page}")


def _reported(run: Path, data: Sequence[Path]) -> ModelReport:
    """Return the report by the family of the model."""
    from potentia.report import expected_kind
    from potentia.runs import RunDirectory

    if not run.exists():
        raise FileFormatError(f"no such file or directory: {run}")
    if not run.is_dir():
        return _reporter(FAMILIES[expected_kind(run, FAMILIES)])(run, data)
    from potentia.ensemble import METADATA
    from potentia.study import SNAPSHOT

    if (run / METADATA).is_file():
        return _reporter(_family_of(run))(run, data)
    directory = RunDirectory(run)
    if not directory.is_trained and (run / SNAPSHOT).is_file():
        raise FileFormatError(
            f"{run} is of a study: `potentia study evaluate` compares its models; for one of them, give its file"
        )
    if not directory.is_trained:
        raise FileFormatError(
            f"{run} is no directory of a run that has ended: there is no {directory.model.name} in it, nor a committee"
        )
    family = FAMILIES[expected_kind(directory.model, FAMILIES)]
    if family == "dynamics":  # its settings say how logs are cut, too
        return _reporter(family)(run, data, only_same=not data)
    return _reporter(family)(directory.model, data or _data_of(directory), only_same=not data)


def _family_of(committee: Path) -> str:
    """Return the family of the members of a committee; nothing is known of it where no member is trained."""
    from potentia.ensemble import MemberResult, read_metadata
    from potentia.ensemble.members import COMPLETED
    from potentia.errors import NotFittedError
    from potentia.report import expected_kind

    for entry in read_metadata(committee)["members"]:
        member = MemberResult.from_metadata(entry, committee)
        if member.status == COMPLETED:
            return FAMILIES[expected_kind(member.model_path, FAMILIES)]
    raise NotFittedError(f"no completed members of a committee were found in {committee}: train it first")


def _reporter(family: str) -> Callable[..., ModelReport]:
    reporter: Callable[..., ModelReport] = import_module(f"potentia.{family}.report").report_on
    return reporter


def _data_of(run: RunDirectory) -> list[Path]:
    """Return the data that the settings of a run name, as far as they are there."""
    if not run.settings.is_file():
        return []
    named = run.read_settings().get("data", {})
    paths = [named["file"]] if "file" in named else named.get("train", [])
    return [path for one in paths for path in _files(Path(one))]


def _files(path: Path) -> Iterator[Path]:
    """Yield the files that a path, a folder or a pattern stands for."""
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(one for one in path.iterdir() if one.is_file())
    elif path.parent.is_dir():
        yield from sorted(path.parent.glob(path.name))
