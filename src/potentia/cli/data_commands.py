"""The commands ``potentia data …``."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from potentia.checks import did_you_mean
from potentia.cli.outputs import require_new
from potentia.errors import ConfigError
from potentia.operators.hdf5 import write_record
from potentia.operators.make import make_record
from potentia.operators.systems import SYSTEMS as FIELD_SYSTEMS
from potentia.trajectories.hdf5 import write_trajectories
from potentia.trajectories.study_data import FILE
from potentia.trajectories.systems import SYSTEMS, make_data

__all__ = ["make"]


def make(name: str, train: int, test: int, val: int, seed: int, out: Path | None, as_json: bool) -> None:
    """Make data of a system of either family and write them; a file that is there is never replaced."""
    if name not in SYSTEMS and name not in FIELD_SYSTEMS:
        raise ConfigError(f"there is no system {name!r}{did_you_mean(name, [*SYSTEMS, *FIELD_SYSTEMS])}")
    path = Path("datasets") / name / FILE if out is None else out
    require_new(path, "--out")
    parts = {"train": train, "test": test, "val": val}
    if name in FIELD_SYSTEMS:
        record = make_record(name, n_train=train, n_test=test, n_val=val, seed=seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_record(path, record)
        wrong = int((~record.sound).sum())
        noted = f", {wrong} of them flagged as unsound" if wrong else ""
        told = {"steps": record.steps, "unsound": wrong}
        text = f"{train} + {test} + {val} fields of {record.steps} steps{noted}"
        typer.echo(json.dumps({"file": str(path), **parts, **told}) if as_json else f"{path}: {text}")
        return
    made = make_data(name, n_train=train, n_test=test, n_val=val, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_trajectories(path, made)
    text = f"{train} + {test} + {val} trajectories of {len(made.train.times)} times"
    told = {"times": len(made.train.times)}
    typer.echo(json.dumps({"file": str(path), **parts, **told}) if as_json else f"{path}: {text}")
