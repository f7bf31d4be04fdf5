"""The work of the commands ``potentia dynamics …``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer

from potentia.cli.options import given_values
from potentia.cli.settings_file import read_settings
from potentia.dynamics.models import get_model_spec, list_model_specs
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError

__all__ = ["models", "settings_of"]


def settings_of(file: Path | None, resume: Path | None, options: Mapping[str, Any]) -> RunConfig:
    """Return the settings of a run: those on the command line, else those of the file or of the run that goes on."""
    if file is not None and resume is not None:
        raise ConfigError("--resume takes the settings of the run that goes on: leave --config out")
    before: Mapping[str, Any] = {}
    if file is not None:
        before = {name.replace("-", "_"): value for name, value in read_settings(file, ()).items()}
    if resume is not None:
        before = RunDirectory.existing(resume).settings()
    return RunConfig.from_mapping({**before, **given_values(RunConfig, options)})


def models(name: str | None, as_json: bool) -> None:
    """List models, or tell all of one."""
    specs = [get_model_spec(one) for one in (list_model_specs() if name is None else [name])]
    if as_json:
        told = [{**spec.describe(), "units": _units(spec)} for spec in specs]
        typer.echo(json.dumps(told if name is None else told[0]))
        return
    if name is None:
        rows = [[spec.name, *(" ".join(part) for part in (spec.state_names, spec.control_names))] for spec in specs]
        table = pd.DataFrame(rows, columns=["model", "states", "controls"])
        table["parameters"] = [spec.vector_size for spec in specs]
        typer.echo(table.to_string(index=False))
        return
    typer.echo(_described(specs[0]))


def _described(spec: ModelSpec) -> str:
    lines = [spec.name]
    for title, part in (("states", spec.states), ("controls", spec.controls)):
        lines.append(f"  {title}: " + ", ".join(f"{one.name} ({one.unit})" if one.unit else one.name for one in part))
    rows = [
        {
            "parameter": one.name,
            "default": _short(one.values),
            "low": _short(one.bounds[0]),
            "high": _short(one.bounds[1]),
            "unit": one.unit,
            "scale": one.scale,
            "shape": "×".join(map(str, one.shape)),
            "held": "yes" if one.name in spec.gauge else "",
        }
        for one in spec.parameters
    ]
    return "\n".join([*lines, pd.DataFrame(rows).to_string(index=False)])


def _short(values: np.ndarray) -> str:
    """Return a number, or the range of an array."""
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low}…{high}"


def _units(spec: ModelSpec) -> dict[str, str]:
    named: Sequence[Any] = (*spec.states, *spec.controls, *spec.parameters)
    return {one.name: one.unit for one in named}
