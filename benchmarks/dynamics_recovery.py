"""The race car of ``make bench-dynamics``: seventeen coefficients that are known, found again in its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from dynamics_data import Run, blocks, race_run
from numpy.typing import NDArray

from potentia.dynamics import (
    DynamicsParameterNet,
    DynamicsTrainingConfig,
    FeatureDataset,
    FeatureSettings,
    ModelSpec,
    RolloutSettings,
    get_model_spec,
)
from potentia.dynamics.parameter_box import ParameterBox, params_of, vector_of
from potentia.dynamics.polish import FitSettings, fit_constant
from potentia.seeding import stream
from potentia.train import LBFGS

__all__ = ["recovery_rows"]

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = list[dict[str, Any]]
Found: TypeAlias = Callable[[int], Floats]
"""Seed → coefficients.  [entries]"""

RACE = {
    **{"Bf": 5.579, "Cf": 1.2, "Df": 0.192, "Ef": -0.083, "Shf": -0.0013, "Svf": 0.00043},
    **{"Br": 5.3852, "Cr": 1.2691, "Dr": 0.1737, "Er": -0.019, "Shr": -0.00376, "Svr": 0.00091},
    **{"Cm1": 0.287, "Cm2": 0.0545, "Cr0": 0.0518, "Cr2": 0.00035, "Iz": 27.8e-6},
}
"""The coefficients that the race car was simulated with."""
SHARES, MOST = (15, 20, 30, 50, 80), 80
"""Percent of the rows; and what noise and networks are shown with."""
NOISES = (1e-4, 1e-3)
BLOCK = 20
"""Steps of the blocks."""
UNSEEN = 1e6
"""Standard deviation of a state that is not measured."""
EULER = RolloutSettings(method="euler")
NETWORKS = {
    "AdamW": DynamicsTrainingConfig(
        epochs=1000,
        learning_rate=0.05,
        weight_decay=0.0,
        clip_norm=None,
        scheduler="cosine",
        loss="scaled-mse",
        precision="float64",
    ),
    "L-BFGS": DynamicsTrainingConfig(
        epochs=2000, optimizer=LBFGS(batchsize=None), scheduler="constant", loss="scaled-mse", precision="float64"
    ),
}
"""Networks without inputs that are not polished, by what trains them."""


def recovery_rows(path: Path, seeds: int) -> Rows:
    """Fit the race car to shares of its rows without noise, train networks on most of them, and fit noisy ones."""
    spec, run = get_model_spec("bodyframe-pacejka"), race_run(path)
    spec = spec.with_defaults(params_of(spec, ParameterBox.of(spec).values(np.full(spec.vector_size, 0.5))))
    rows = [
        _row(spec, share, 0.0, "fit_constant", "single steps", seeds, partial(_fitted, spec, run, share, 0.0, 1))
        for share in SHARES
    ]
    for method in NETWORKS:
        learned = partial(_learned, spec, run, method)
        rows.append(_row(spec, MOST, 0.0, f"network, {method}", "single steps", seeds, learned))
    for noise in NOISES:
        steps = partial(_fitted, spec, run, MOST, noise, 1)
        rows.append(_row(spec, MOST, noise, "fit_constant", "single steps", seeds, steps))
        longer = partial(_fitted, spec, run, MOST, noise, BLOCK)
        way = 'fit_constant, initial_states="fitted" (recommended)'
        rows.append(_row(spec, MOST, noise, way, f"blocks of {BLOCK}", seeds, longer))
    return rows


def _fitted(spec: ModelSpec, run: Run, share: int, noise: float, horizon: int, seed: int) -> Floats:
    sigma = noise * run.states[:, 3:].std(0)
    states = run.states.copy()
    states[:, 3:] += sigma * stream(seed, "noise of the race car").standard_normal(states[:, 3:].shape)
    settings = FitSettings(
        rollout=EULER,
        noise=(UNSEEN,) * 3 + tuple(sigma.tolist()) if noise else None,
        initial_states="fitted" if noise and horizon > 1 else "given",
        warm_up=(1,) if horizon > 1 else (),
    )
    return fit_constant(spec, _drawn(spec, Run(states, run.controls, run.dt), share, horizon, seed), settings).values


def _learned(spec: ModelSpec, run: Run, method: str, seed: int) -> Floats:
    data = _drawn(spec, run, MOST, 1, seed)
    net = DynamicsParameterNet(spec, features=FeatureSettings(mode="none"), integration="euler", substeps=1)
    net.train(data, replace(NETWORKS[method], seed=seed))
    return vector_of(spec, {key: value[0] for key, value in net.predict_params(data).items()})


def _drawn(spec: ModelSpec, run: Run, share: int, horizon: int, seed: int) -> FeatureDataset:
    """Return a share of the windows, in the order of time."""
    data = blocks(spec, [run], horizon)
    drawn = stream(seed, "rows of the race car").permutation(len(data))[: round(share / 100 * len(data))]
    return data.take(np.sort(drawn))


def _row(spec: ModelSpec, share: int, noise: float, way: str, windows: str, seeds: int, find: Found) -> dict[str, Any]:
    found = np.array([find(seed) for seed in range(seeds)])  # [seeds, entries]
    truth, box = np.array([RACE[key] for key in spec.param_keys]), ParameterBox.of(spec)
    relative, ranged = np.abs(found / truth - 1), np.abs(found - truth) / (box.high - box.low)
    return {
        "found by": way,
        "data": f"{share} %",
        "noise": noise,
        "windows": windows,
        "mean error": float(relative.mean()),
        "median error": float(np.median(relative)),
        "median error, worst seed": float(np.median(relative, axis=1).max()),
        "largest": float(relative.max()),
        "of the range": float(ranged.mean()),
        "seeds": seeds,
    }
