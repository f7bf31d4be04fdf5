"""The work of the commands ``potentia dynamics …``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer

from potentia.cli.options import read_entries
from potentia.cli.outputs import require_empty
from potentia.dynamics.models import get_model_spec, list_model_specs
from potentia.dynamics.opened_run import OpenedRun
from potentia.dynamics.simulator import SimulationSettings, simulate_logs, write_logs
from potentia.dynamics.spec import ModelSpec
from potentia.study import write_yaml

__all__ = ["evaluate", "identify", "models", "simulate", "simulation_of"]

TRUTH = "truth.yaml"
"""File beside simulated logs that has the model and its parameters."""


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


def simulation_of(logs: int, seconds: float, dt: float, seed: int, noise: Sequence[str]) -> SimulationSettings:
    """Return the settings of a simulation."""
    return SimulationSettings(
        n_logs=logs, duration=seconds, dt=dt, seed=seed, noise=read_entries("--noise", float, noise)
    )


def simulate(
    out: Path, model: str, param: Sequence[str], suffix: str, settings: SimulationSettings, as_json: bool
) -> None:
    """Write logs of a model whose parameters are known; a folder with something in it is left alone."""
    require_empty(out, " for the logs")
    spec = get_model_spec(model)
    params = read_entries("--param", float, param)
    paths = write_logs(out, simulate_logs(spec, params, settings), f".{suffix.removeprefix('.')}")
    truth = {name: value.tolist() for name, value in spec.default_params.items()}
    true = {"model": spec.name, "params": {**truth, **params}}
    write_yaml(out / TRUTH, true)
    if as_json:
        typer.echo(json.dumps({"folder": str(out), "logs": [str(path) for path in paths], **true}))
    else:
        typer.echo(f"{out}: {len(paths)} logs of {settings.duration:g} s, what is true in {TRUTH}")


def evaluate(run: Path, dataset: Sequence[str], as_json: bool) -> None:
    """Measure the network of a run on logs."""
    opened = OpenedRun.of(run)
    found = opened.evaluate(opened.windows(dataset))
    typer.echo(found.metrics.to_json(orient="records") if as_json else found.text())


def identify(run: Path, dataset: Sequence[str], as_json: bool) -> None:
    """Tell what logs say about the parameters that the network of a run predicts."""
    opened = OpenedRun.of(run)
    found = opened.net.identifiability(opened.windows(dataset))
    typer.echo(json.dumps(found.to_dict()) if as_json else found.text())


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
