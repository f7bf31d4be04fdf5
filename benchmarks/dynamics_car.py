"""The Indy car of ``make bench-dynamics``: what its log holds besides dynamics, its model, fits and networks.

Two things in the recording are no dynamics, and no surrogate of velocities can do without them: integrating the
*measured* velocities over 0.6 s misses the measured positions by 0.09 m in the mean and by 0.15 m at the end.

- The positions are those of another point than ``vx`` and ``vy``: sideways it moves by ``g_p vy + (l_p + s_p vx) r +
  b_p``, whose four numbers are parameters here.
- The clock of the positions is uneven: it goes 1-6 % fast or slow, and once a second it jumps back by a fifth of a
  step, every second alike. Its 25 rates are read off the training part and go into the model as a control, ``clock``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from dynamics_data import car_log
from numpy.typing import NDArray
from torch import Tensor

from potentia.dynamics import (
    DynamicsParameterNet,
    DynamicsTrainingConfig,
    FeatureDataset,
    FeatureSettings,
    Log,
    ModelSpec,
    Parameter,
    RolloutSettings,
    Variable,
    WindowSettings,
    cut_windows,
    split_blocks,
)
from potentia.dynamics.baselines import ConstantParameters, ConstantTurn, Persistence
from potentia.dynamics.models.bodyframe import bodyframe_rates, bodyframe_spec
from potentia.dynamics.polish import FitSettings, fit_constant
from potentia.dynamics.presets import VEHICLES, G
from potentia.dynamics.spec import Params

__all__ = ["ACCURACY", "Setup", "car_rows", "clock_rates", "indy_spec", "with_clock"]

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = list[dict[str, Any]]

HORIZON, PAST, SLOWEST = 15, 10, 5.0
PER_SECOND = 25
SUBSTEPS = RolloutSettings(substeps=2)
ACCURACY = ("ADE", "FDE", "vx", "vy", "r", "vx, end", "vy, end", "r, end")
"""Mean and final displacement (m); RMSE over all steps, and at the last one (m/s, rad/s)."""
POSE = {"l_p": 0.0, "g_p": 1.0, "s_p": 0.0, "b_p": 0.0}
"""Positions of the point that the velocities are of."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A model of the car and whether it knows the clock."""

    name: str
    other_point: bool
    """Whether positions may be those of another point."""
    clock: bool
    """Whether the clock of the positions is corrected."""


SETUPS = (
    Setup(name="velocities as they are", other_point=False, clock=False),
    Setup(name="other point", other_point=True, clock=False),
    Setup(name="other point, clock", other_point=True, clock=True),
)


def indy_rates(states: Tensor, controls: Tensor, p: Params) -> Tensor:
    """Return the rates of the body-frame model whose brake has its own gain, and whose pose is another point's."""
    psi, vx, vy, r = (states[..., k] for k in range(2, 6))
    pedal, delta, clock = controls.unbind(-1)
    pedal = torch.where(pedal < 0, p["brake"] * pedal, pedal)
    rates = bodyframe_rates(states, torch.stack((pedal, delta), -1), p)
    along = (1 + clock) * vx
    across = p["g_p"] * vy + (p["l_p"] + p["s_p"] * vx) * r + p["b_p"]
    moved = (along * psi.cos() - across * psi.sin(), along * psi.sin() + across * psi.cos())
    return torch.stack((*moved, *rates.unbind(-1)[2:]), -1)


def indy_spec(*, other_point: bool) -> ModelSpec:
    """Return the model of the car, with bounds for which two substeps are stable from 5 m/s on."""
    vehicle = VEHICLES["iac-av21"]
    load = vehicle.m * G / 2
    base = bodyframe_spec(vehicle).with_bounds(
        {
            **dict.fromkeys(("Bf", "Br"), (3.0, 12.0)),
            **dict.fromkeys(("Cf", "Cr"), (1.0, 1.6)),
            **dict.fromkeys(("Df", "Dr"), (0.5 * load, 2.0 * load)),
            **dict.fromkeys(("Shf", "Shr"), (-0.03, 0.03)),
            **dict.fromkeys(("Svf", "Svr"), (-0.3 * load, 0.3 * load)),
            **{"Cm1": (500.0, 20000.0), "Cm2": (0.0, 400.0), "Cr0": (-1500.0, 3000.0), "Cr2": (-1.0, 4.0)},
            **{"Iz": (500.0, 40000.0)},
        }
    )
    base = base.with_fixed({"Ef": 0.0, "Er": 0.0})
    extra = (
        Parameter(name="brake", low=1.0, high=12.0, default=4.0),
        Parameter(name="l_p", low=-4.0, high=2.0, default=-vehicle.lr, unit="m"),
        Parameter(name="g_p", low=-1.0, high=1.5, default=0.5),
        Parameter(name="s_p", low=-0.1, high=0.3, default=0.05, unit="s"),
        Parameter(name="b_p", low=-0.3, high=0.3, default=0.0, unit="m/s"),
    )
    whole = replace(
        base,
        name="indy-car",
        controls=(*base.controls, Variable(name="clock")),
        parameters=(*base.parameters, *extra),
        dynamics_fn=indy_rates,
    )
    return whole if other_point else whole.with_fixed(POSE)


def clock_rates(log: Log, before: int) -> Floats:
    """Return by how much of a step the positions of the first rows go on too far, for each row of a second.  [25]"""
    x, y, vx, psi = (log.columns[name][:before] for name in ("x", "y", "vx", "psi"))
    psi, speed = np.unwrap(psi), (vx[1:] + vx[:-1]) / 2
    middle = (psi[1:] + psi[:-1]) / 2
    went = (np.diff(x) * np.cos(middle) + np.diff(y) * np.sin(middle)) * PER_SECOND
    fast, place = speed > SLOWEST, np.arange(len(went)) % PER_SECOND
    return np.array(
        [np.median((went[fast & (place == k)] / speed[fast & (place == k)]) - 1) for k in range(PER_SECOND)]
    )


def with_clock(log: Log, rates: Floats) -> Log:
    """Return the log with the column ``clock``."""
    return replace(log, columns={**log.columns, "clock": rates[np.arange(len(log.time)) % PER_SECOND]})


def car_rows(path: Path, seeds: int, epochs: int) -> Rows:
    """Fit and train on the first 80 % of the time, and predict 0.6 s from every row of the rest."""
    log = car_log(path)
    rates = clock_rates(log, round(0.8 * len(log.time)) - 2 * (HORIZON + PAST))
    rows: Rows = []
    for setup in SETUPS:
        spec = indy_spec(other_point=setup.other_point)
        train, test = _windows(spec, with_clock(log, rates * setup.clock))
        if not rows:
            print(f"{len(train)} windows to fit, {len(test)} of the test", flush=True)
            rows += [_row(name, "", 1, [_accuracy(test, one.predict(test))]) for name, one in _simple(spec).items()]
            rows.append(_row("measured velocities, integrated", "", 1, [_accuracy(test, _integrated(test))]))
        fit = fit_constant(
            spec, train.take(slice(0, None, 10)), FitSettings(rollout=SUBSTEPS, max_iterations=25, tolerance=1e-4)
        )
        found = ConstantParameters(spec, fit.params, SUBSTEPS).predict(test)
        rows.append(_row("constant fit", setup.name, 1, [_accuracy(test, found)]))
        print(f"{setup.name}: {', '.join(f'{k} at its {side} bound' for k, side in fit.at_bounds.items())}", flush=True)
        scores = [_accuracy(test, _network(spec, train, test, seed, epochs)) for seed in range(seeds)]
        if scores:
            rows.append(_row("network", setup.name, seeds, scores))
    return rows


def _windows(spec: ModelSpec, log: Log) -> tuple[FeatureDataset, ...]:
    settings = WindowSettings(
        horizon=HORIZON,
        history=PAST,
        dt=1 / PER_SECOND,
        min_speed=SLOWEST,
        features=("roll", "ax"),
        check_units=False,
        max_gap=1.9,
    )
    return split_blocks(cut_windows([log], spec, settings).dataset, (0.8, 0.2))


def _simple(spec: ModelSpec) -> dict[str, ConstantTurn | Persistence]:
    return {"constant turn": ConstantTurn(spec), "persistence": Persistence(spec)}


def _network(spec: ModelSpec, train: FeatureDataset, test: FeatureDataset, seed: int, epochs: int) -> Floats:
    """Train on the first 85 % of the training part, choose the epoch by the rest of it, and predict the test."""
    fitted, held_out = split_blocks(train, (0.85, 0.15))
    net = DynamicsParameterNet(
        spec, hidden=(64, 64), features=FeatureSettings(mode="features+history"), substeps=SUBSTEPS.substeps
    )
    config = DynamicsTrainingConfig(
        epochs=epochs,
        batch_size=256,
        learning_rate=3e-3,
        scheduler="cosine",
        seed=seed,
        curriculum=((100, 5),),
        state_weights={"x": 30.0, "y": 30.0},
    )
    net.train(fitted, config, validation=held_out)
    return net.predict(test)


def _integrated(test: FeatureDataset) -> Floats:
    """Return the measured velocities of the windows themselves, and where they lead.  [windows, steps, states]"""
    whole = np.concatenate((test.initial_states[:, None], test.targets), axis=1)
    whole[..., 2] = np.unwrap(whole[..., 2], axis=1)
    middle = (whole[:, 1:] + whole[:, :-1]) / 2
    psi, vx, vy = (middle[..., k] for k in (2, 3, 4))
    found = test.targets.copy()
    found[..., 0] = whole[:, :1, 0] + np.cumsum(vx * np.cos(psi) - vy * np.sin(psi), axis=1) / PER_SECOND
    found[..., 1] = whole[:, :1, 1] + np.cumsum(vx * np.sin(psi) + vy * np.cos(psi), axis=1) / PER_SECOND
    return found


def _accuracy(test: FeatureDataset, predicted: Floats) -> dict[str, float]:
    error = predicted - test.targets  # [windows, steps, states]
    away = np.hypot(error[..., 0], error[..., 1])
    found = {"ADE": away.mean(), "FDE": away[:, -1].mean()}
    for name, k in (("vx", 3), ("vy", 4), ("r", 5)):
        found |= {name: np.sqrt(np.mean(error[..., k] ** 2)), f"{name}, end": np.sqrt(np.mean(error[:, -1, k] ** 2))}
    return {name: float(value) for name, value in found.items()}


def _row(name: str, setup: str, seeds: int, scores: list[dict[str, float]]) -> dict[str, Any]:
    middle = {key: float(np.median([score[key] for score in scores])) for key in ACCURACY}
    worst = {f"worst {key}": max(score[key] for score in scores) for key in ("ADE", "FDE", "vy, end")}
    return {"prediction": name, "positions": setup, "seeds": seeds, **middle, **worst}
