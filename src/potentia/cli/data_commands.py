"""The commands ``potentia data …``."""

from __future__ import annotations

from pathlib import Path

import typer

from potentia.checks import did_you_mean
from potentia.errors import ConfigError
from potentia.trajectories.hdf5 import write_trajectories
from potentia.trajectories.study_data import FILE
from potentia.trajectories.systems import SYSTEMS, make_data

__all__ = ["make"]


def make(name: str, train: int, test: int, val: int, seed: int, out: Path | None) -> None:
    """Make data of a system and write them; a file that is there is never replaced."""
    if name not in SYSTEMS:
        raise ConfigError(f"there is no system {name!r}{did_you_mean(name, SYSTEMS)}")
    path = Path("datasets") / name / FILE if out is None else out
    if path.exists():
        raise ConfigError(f"{path} is there already: remove it or choose another file by --out")
    made = make_data(name, n_train=train, n_test=test, n_val=val, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_trajectories(path, made)
    typer.echo(f"{path}: {train} + {test} + {val} trajectories of {len(made.train.times)} times")
