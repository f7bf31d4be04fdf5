"""Parameters of dynamics from public recordings: `make bench-dynamics ARGS="--data FOLDER"`.

Parts, each of minutes on one core; what is not in the folder is left out:

- ``recovery``: 17 coefficients of a simulated 1:43 race car (DYN-PP-ETHZ.npz), which are known. Shares of its rows are
  drawn by seeds, everything begins in the middle of the bounds. Without noise a row is one step of Euler's method, and
  data of a model of this very form are fitted to rounding; networks without inputs, not polished, stand beside the fits
  (wanted: a median error of 1e-2). With noise on the velocities, in parts of their standard deviation, the first states
  are noisy too: single steps that take them as exact have a bias, so blocks of 20 steps with fitted first states are
  the call to make (wanted: 3e-3 at noise 1e-3).
- ``drift``: a drifting car (reference_single_track_drift*.mat, simulated). States at 0.1 s in units of the standard
  deviations of file 1 on 0.1-69.9 s, noise of 0.025 of these on all; fitted to 0.1-69.9 s of all three files, in blocks
  of 5.8 s with fitted initial states; scored by the sum of squared errors of one roll-out over 70-99.9 s of file 1 from
  its noisy first state (300 steps, 7 states; the noise alone is 1.3). That state decides most of it: noise of the
  heading has a standard deviation of 5 degrees, and half a minute of driving follows. So the true constants
  are in the table too, and roll-outs from the true first state and from that of the fit, which saw the time before.
  Published, with noise of the same kind: 15.95 at best and 108 in the median of 20 runs of a hybrid network, 349 at
  best of a neural ODE; these had no tyre model. Wanted: a median below 15.95, all below 107.9.
- ``car``: a real Indy car (Putnam_park2023_run4_2.csv), 25 Hz. The first 80 % of the time are fitted, the last 20 % are
  the test, with a gap between; vx >= 5 m/s; roll-outs of 15 steps (0.6 s) from every row, controls as measured, pose
  and velocity of the same row. Networks see the last 10 steps, roll angle and longitudinal acceleration; their settings
  and epochs were chosen by the last 15 % of the training part. Wanted: ADE 0.085, FDE 0.145, RMSE of vy 0.034.
- ``tanks``: cascaded tanks (cascaded_tanks.csv, real). The upper level is not measured; one roll-out over the first
  record is fitted with its first levels. (In blocks with fitted levels the constants make up for what the levels of
  each block can hide: they fit the blocks, and not the record.) In a test the first upper level is chosen by the
  first 50 samples, which do not count; RMSE of the lower level over one roll-out of the official test. ``u0`` is the
  voltage from which the pump lifts.

Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import torch
from dynamics_car import car_rows
from dynamics_data import DRIFT_FILES, Run, blocks, drift_run, tank_runs
from dynamics_recovery import recovery_rows
from machine import describe_machine
from numpy.typing import NDArray
from table import number, table

from potentia.dynamics import ModelSpec, get_model_spec
from potentia.dynamics.baselines import ConstantParameters
from potentia.dynamics.models.augmented import augmented
from potentia.dynamics.models.pacejka import pacejka_spec
from potentia.dynamics.models.singletrack import singletrack_spec
from potentia.dynamics.parameter_box import ParameterBox, params_of
from potentia.dynamics.polish import ConstantFit, FitSettings, fit_constant
from potentia.dynamics.presets import VEHICLES
from potentia.seeding import stream
from potentia.storage import write_text

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = list[dict[str, Any]]

RACE_FILE, CAR_FILE, TANK_FILE = "DYN-PP-ETHZ.npz", "Putnam_park2023_run4_2.csv", "cascaded_tanks.csv"
UNSEEN = 1e6
"""Standard deviation of a state that is not measured."""
DRIFT_NOISE = 0.025
DRIFT_BLOCK = 58
"""Steps: twelve of these blocks are the time to fit."""
DRIFT_STARTS, MANY = 2, 100
"""Beginnings of a fit, unless it has so many constants."""


def main() -> None:
    """Measure and print."""
    options = _options()
    print("# Parameters of dynamics from public recordings\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    parts: dict[str, tuple[tuple[str, ...], Callable[[argparse.Namespace], Rows]]] = {
        "recovery": ((RACE_FILE,), recovery),
        "drift": (DRIFT_FILES, drift),
        "car": ((CAR_FILE,), car),
        "tanks": ((TANK_FILE,), tanks),
    }
    found: dict[str, Rows] = {}
    for name in options.parts:
        files, measure = parts[name]
        missing = [file for file in files if not (options.data / file).is_file()]
        if missing:
            print(f"\n## {name}: left out, {options.data} has no {', '.join(missing)}")
            continue
        begun, worked = time.perf_counter(), time.process_time()
        print(f"\n## {name}\n", flush=True)
        found[name] = measure(options)
        print(_printed(found[name]))
        spent = time.perf_counter() - begun, time.process_time() - worked
        print(f"\n{spent[0]:.0f} s, {spent[1]:.0f} s of the processor", flush=True)
        if options.json is not None:
            write_text(options.json, json.dumps(found, indent=1) + "\n")


# ---------------------------------------------------------------------------------------------------------- recovery


def recovery(options: argparse.Namespace) -> Rows:
    """Find the coefficients of the race car."""
    return recovery_rows(options.data / RACE_FILE, options.seeds)


# ------------------------------------------------------------------------------------------------------------- drift


def drift(options: argparse.Namespace) -> Rows:
    """Fit models of the drifting car, and roll each out over the unseen end."""
    runs = [drift_run(options.data / name) for name in DRIFT_FILES]
    vehicle = VEHICLES["fordescort"]
    tyres = pacejka_spec(vehicle)
    known = ("mu", "I", "B_f", "C_f", "E_f", "B_r", "C_r", "E_r", "a_v", "b_v")
    free = tyres.with_fixed({one.name: one.values for one in tyres.parameters if one.name not in known})
    models = {
        "singletrack-pacejka": free,
        "singletrack-augmented": augmented(singletrack_spec(vehicle)),
        "singletrack": singletrack_spec(vehicle),
        "mlp-dynamics, body": get_model_spec("mlp-dynamics"),
    }
    rows: Rows = []
    seeds = range(options.drift_seeds)
    true = [_drift_scores(tyres, runs, dict(tyres.default_params), seed, None) for seed in seeds]
    rows.append(_drift_row("the constants that it was simulated with", 0, true))
    for name, spec in models.items():
        scores, worked = [], time.process_time()
        for seed in range(options.mlp_seeds if name.startswith("mlp") else options.drift_seeds):
            fit, end = _drift_fit(spec, runs, seed, middle=spec is free)
            scores.append(_drift_scores(spec, runs, fit.params, seed, end))
        if scores:
            rows.append(_drift_row(name, spec.gauge_fixed().vector_size, scores))
            errors = ", ".join(number(score[0]) for score in scores)
            print(f"{name}: {errors}; {time.process_time() - worked:.0f} s of the processor", flush=True)
    return rows


def _drift_noise(runs: list[Run], seed: int) -> tuple[list[Run], Floats]:
    """Return the drives with noise, and what it is measured by: the spread of the states of file 1."""
    spread = runs[0].states[1:700].std(0)
    drawn = [stream(seed, "noise of file", k).standard_normal(run.states.shape) for k, run in enumerate(runs)]
    noisy = [
        Run(run.states + DRIFT_NOISE * spread * one, run.controls, 0.1) for run, one in zip(runs, drawn, strict=True)
    ]
    return noisy, spread


def _drift_fit(spec: ModelSpec, runs: list[Run], seed: int, *, middle: bool) -> tuple[ConstantFit, Floats]:
    """Return the fit, and the state at 69.9 s of file 1 as it has it."""
    noisy, spread = _drift_noise(runs, seed)
    train = blocks(spec, [noisy[k].part(699 - 12 * DRIFT_BLOCK, 700) for k in (1, 2, 0)], DRIFT_BLOCK)
    settings = FitSettings(
        noise=tuple((DRIFT_NOISE * spread).tolist()),
        initial_states="fitted",
        warm_up=(5, 20),
        starts=1 if spec.vector_size > MANY else DRIFT_STARTS,
        max_iterations=15,
        tolerance=1e-4,
        seed=seed,
    )
    start = None
    if middle:
        start = params_of(spec, ParameterBox.of(spec).values(np.full(spec.vector_size, 0.5)))
    fit = fit_constant(spec, train, settings, start=start)
    last = train.take(slice(len(train) - 1, None))
    last.initial_states[:] = fit.initial_states[-1]
    return fit, ConstantParameters(spec, fit.params).predict(last)[0, -1]


def _drift_scores(
    spec: ModelSpec, runs: list[Run], params: Mapping[str, Floats], seed: int, end: Floats | None
) -> tuple[float, ...]:
    """Return the sum of squares from the noisy first state, from the true one, and from that of the fit."""
    noisy, spread = _drift_noise(runs, seed)
    test = blocks(spec, [noisy[0].part(699, 1000)], 300)
    found = []
    for first in (noisy[0].states[699], runs[0].states[699], end):
        if first is None:
            found.append(np.nan)
            continue
        test.initial_states[:] = first
        predicted = ConstantParameters(spec, params).predict(test)
        error = float((((predicted - test.targets) / spread) ** 2).sum())
        found.append(error if np.isfinite(error) else np.inf)
    return tuple(found)


def _drift_row(name: str, constants: int, scores: list[tuple[float, ...]]) -> dict[str, Any]:
    noisy, true, fitted = zip(*scores, strict=True)
    return {
        "model": name,
        "constants": constants,
        "median SSE": median(noisy),
        "best": min(noisy),
        "worst": max(noisy),
        "true first state": median(true),
        "fitted first state": median(fitted),
        "its worst": max(fitted),
        "seeds": len(scores),
    }


# --------------------------------------------------------------------------------------------------------------- car


def car(options: argparse.Namespace) -> Rows:
    """Fit the Indy car to the first 80 % of the time, and predict 0.6 s from every row of the rest."""
    return car_rows(options.data / CAR_FILE, options.network_seeds, options.epochs)


# ------------------------------------------------------------------------------------------------------------- tanks


def tanks(options: argparse.Namespace) -> Rows:
    """Fit the constants and the hidden level to the first record, and predict the other one."""
    whole = get_model_spec("cascaded-tanks")
    first, second = tank_runs(options.data / TANK_FILE)
    guess = np.array([first.states[0, 1], 0.0])
    begin = Run(first.states + guess * [1.0, 0.0], first.controls, first.dt)
    rows: Rows = []
    for name, spec in {"pump lifts from 0 V": whole.with_fixed({"u0": 0.0}), "from u0": whole}.items():
        settings = FitSettings(noise=(UNSEEN, 0.05), initial_states="fitted", max_iterations=25, tolerance=1e-5)
        fit = fit_constant(spec, blocks(spec, [begin], len(begin.states) - 1), settings)
        print(fit.frame().to_string(float_format="{:.4g}".format), flush=True)
        rows += [_tank_row(spec, fit, name, record, run) for record, run in (("fitted", first), ("test", second))]
    return rows


def _tank_row(spec: ModelSpec, fit: ConstantFit, name: str, record: str, run: Run) -> dict[str, Any]:
    predict = ConstantParameters(spec, fit.params).predict
    levels = np.linspace(0.0, 10.0, 401)
    data = blocks(spec, [Run(run.states[:51], run.controls[:50], run.dt)], 50)
    many = data.take(np.zeros(len(levels), dtype=np.int64))
    many.initial_states[:, 0] = levels
    errors = ((predict(many)[..., 1] - many.targets[..., 1]) ** 2).sum(1)
    data = blocks(spec, [run], len(run.states) - 1)
    data.initial_states[:, 0] = levels[int(np.nanargmin(errors))]
    off = (predict(data) - data.targets)[0, 50:, 1]
    return {"model": name, "record": record, "RMSE (V)": float(np.sqrt(np.mean(off**2))), "samples": len(off)}


# ----------------------------------------------------------------------------------------------------------- printing


def _printed(rows: Rows) -> str:
    head = list(rows[0])
    return table(head, [[_cell(row[name]) for name in head] for row in rows])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return number(value) if 1e-3 <= abs(value) < 1e6 or value == 0 else f"{value:.1e}"
    return str(value)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the recordings")
    parser.add_argument("--parts", nargs="+", default=["recovery", "drift", "car", "tanks"])
    parser.add_argument("--seeds", type=int, default=5, help="of the recovery")
    parser.add_argument("--drift-seeds", type=int, default=10)
    parser.add_argument("--mlp-seeds", type=int, default=10, help="of the drift's model that is a network")
    parser.add_argument("--network-seeds", type=int, default=3, help="of the car")
    parser.add_argument("--epochs", type=int, default=30, help="of the car's networks")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_num_threads(1)  # batches are small: a second thread costs more than it does
    main()
