"""The command ``potentia check``: the data doctor of potentials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from potentia.cli.outputs import require_place, write_page
from potentia.errors import ConfigError

if TYPE_CHECKING:
    from potentia.potentials.quality import CheckSettings
    from potentia.potentials.structure import Structure
    from potentia.potentials.training_config import TorchTrainingConfig

__all__ = ["check"]

NOT_FIT = 1
"""Exit code with --strict where there are errors or warnings."""


def check(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Files, folders or patterns of structures (extended XYZ, XSF, what ASE reads); or one HDF5 data set."
        ),
    ],
    test: Annotated[list[Path], typer.Option(help="File held out; once for each.")] = [],  # noqa: B006  # typer reads it
    testpercent: Annotated[float | None, typer.Option(help="Or: look at the split that a training makes (%).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of this split.")] = 0,
    split_by: Annotated[str, typer.Option(help="What it holds out: structure, group or block.")] = "structure",
    atomic_energy: Annotated[
        list[str], typer.Option(metavar="SPECIES=EV", help="Energy of a free atom, e.g. Ti=-1604.6; once for each.")
    ] = [],  # noqa: B006
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 where there are errors or warnings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page with tables and pictures.")] = None,
    overrides: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="A threshold, e.g. too_close=0.3.")
    ] = [],  # noqa: B006
) -> None:
    """Look at structures before a potential is trained on them: labels, units, signs, copies, outliers."""
    from potentia.potentials.quality import check_structures

    require_place(html, "--html")
    if test and testpercent is not None:
        raise ConfigError("--test and --testpercent both say what is held out: give one of them")
    report = check_structures(
        _read(data),
        test=_read(test) if test else None,
        config=_config(testpercent, seed, split_by),
        atomic_energies=_energies(atomic_energy) or None,
        settings=_settings(overrides),
    )
    write_page(report, html)
    told = {**report.plain(), "page": None if html is None else str(html)}
    typer.echo(json.dumps(told) if as_json else str(report))
    if strict and not report.is_fit(strict=True):
        raise typer.Exit(NOT_FIT)


def _read(paths: Sequence[Path]) -> Sequence[Path] | Sequence[Structure]:
    """Return files, those of folders and patterns too, and all structures of a data set."""
    from potentia.cli.families.files import expanded
    from potentia.cli.families.potentials.data import database_among, structures_in

    paths = expanded(paths)
    return paths if database_among(paths) is None else structures_in(paths)


def _config(testpercent: float | None, seed: int, split_by: str) -> TorchTrainingConfig | None:
    from potentia.potentials.training_config import TorchTrainingConfig

    if testpercent is None:
        return None
    return TorchTrainingConfig(testpercent=testpercent, split_seed=seed, split_by=split_by, checkpoint_dir=None)


def _settings(overrides: Sequence[str]) -> CheckSettings:
    from potentia.config import from_dict
    from potentia.potentials.quality import CheckSettings

    return from_dict(CheckSettings, {key: yaml.safe_load(value) for key, value in _pairs("--set", overrides)})


def _energies(given: Sequence[str]) -> dict[str, float]:
    found = {}
    for species, value in _pairs("--atomic-energy", given):
        try:
            found[species] = float(value)
        except ValueError:
            raise ConfigError(f"--atomic-energy {species}={value}: {value!r} is no number (eV)") from None
    return found


def _pairs(option: str, given: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in given]
    for (key, found, value), text in zip(pairs, given, strict=True):
        if not (key and found and value):
            raise ConfigError(f"{option} takes NAME=VALUE, got {text!r}")
    return [(key, value) for key, _, value in pairs]
