"""Windows whose parameters are known, rolled out by the integrator that fits use: the truth is a minimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from potentia.dynamics import (
    FeatureDataset,
    ModelSpec,
    Parameter,
    RolloutSettings,
    Variable,
    get_model_spec,
    rollout,
    simulate_dataset,
)
from potentia.dynamics.sensitivities import entry_names

CAR = {"mu": 0.8, "C_Sf": 5.0, "C_Sr": 6.2, "lf": 0.15, "lr": 0.18, "h": 0.09, "m": 3.4, "I": 0.06}
ORCA = {
    **{"Bf": 5.579, "Cf": 1.2, "Df": 0.192, "Ef": -0.083, "Shf": -0.0013, "Svf": 0.00043},
    **{"Br": 5.3852, "Cr": 1.2691, "Dr": 0.1737, "Er": -0.019, "Shr": -0.00376, "Svr": 0.00091},
    **{"Cm1": 0.287, "Cm2": 0.0545, "Cr0": 0.0518, "Cr2": 0.00035, "Iz": 27.8e-6},
}
EULER = RolloutSettings(method="euler")


def drive(spec, params, settings=None, **options):
    """Return simulated windows with targets as the integrator of the fits has them; ``noise`` is added as it is."""
    noise = options.pop("noise", None)
    data = simulate_dataset(spec, params, **options)
    found = replace(data, targets=rolled(spec, data, params, settings))
    if noise is None:
        return found
    rng = np.random.default_rng(7)
    return replace(
        found,
        initial_states=found.initial_states + noise * rng.standard_normal(found.initial_states.shape),
        targets=found.targets + noise * rng.standard_normal(found.targets.shape),
    )


def rolled(spec, data, params, settings=None):
    given = {key: torch.as_tensor(np.array(value, dtype=np.float64)) for key, value in params.items()}
    start, controls = torch.as_tensor(data.initial_states), torch.as_tensor(data.controls)
    plain = replace(settings or RolloutSettings(), compiled=False)
    return rollout(spec, start, controls, given, torch.as_tensor(np.array(data.step_lengths)), plain).numpy()


def race(rows=160, seed=0):
    """Return single Euler steps of the small race car, and noise-free, as public recordings of it are."""
    spec, rng = get_model_spec("bodyframe-pacejka"), np.random.default_rng(seed)
    states = np.zeros((rows, 6))
    states[:, 3] = rng.uniform(0.9, 2.5, rows)
    states[:, 4] = rng.uniform(-0.25, 0.25, rows)
    states[:, 5] = rng.uniform(-5, 5, rows)
    controls = np.stack((rng.uniform(-0.2, 1.0, rows), rng.uniform(-0.35, 0.35, rows)), -1)[:, None]
    empty = np.zeros((rows, 1, 6))
    data = FeatureDataset(states, controls, empty, np.array(0.02), spec.state_names, spec.control_names)
    return replace(data, targets=rolled(spec, data, ORCA, EULER))


def combinations(params):
    """Return what data can tell of a single track with linear tyres."""
    p = {key: float(value) for key, value in params.items()}
    return np.array([p["mu"] * p["C_Sf"], p["mu"] * p["C_Sr"], p["lf"], p["lr"], p["h"], p["m"] / p["I"]])


def place_of(spec, name):
    return entry_names(spec).index(name)


def rates_that_explode(states, controls, p):
    return p["k"][..., None] * states**3


EXPLOSIVE = ModelSpec(
    name="explosive",
    states=(Variable(name="level"),),
    controls=(),
    parameters=(Parameter(name="k", low=-5.0, high=10.0, default=8.0),),
    dynamics_fn=rates_that_explode,
)


def explosive_data(steps=12):
    start = np.linspace(0.5, 1.5, 5)[:, None]
    data = FeatureDataset(start, np.zeros((5, steps, 0)), np.zeros((5, steps, 1)), np.array(0.1), ("level",), ())
    return replace(data, targets=rolled(EXPLOSIVE, data, {"k": -1.0}))
