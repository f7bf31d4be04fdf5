"""Rows of a history by epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from potentia.potentials.results import ParityData, ParityRows
from potentials.small_data import frames


def row(k, **more):
    """The k-th epoch of a training by energies: train gets better, test is best in epoch 2."""
    test = [0.05, 0.02, 0.03][k]
    return {
        "MAE_train": 0.03 / (k + 1),
        "RMSE_train": 0.04 / (k + 1),
        "MAE_test": 0.8 * test,
        "RMSE_test": test,
        "learning_rate": 1e-3,
        "skipped": 0.0,
        "epoch_time": 2.0 + k,
        "forward_time": 0.5,
        "backward_time": 1.0,
        **more,
    }


def by_energies(**more):
    return [row(k, **more) for k in range(3)]


def by_forces():
    forces = [
        {"RMSE_force_train": 0.3, "RMSE_force_test": 0.4, "MAE_force_train": 0.2, "MAE_force_test": 0.25},
        {"RMSE_force_train": 0.2, "RMSE_force_test": 0.3, "MAE_force_train": 0.1, "MAE_force_test": 0.15},
        {"RMSE_force_train": 0.1, "RMSE_force_test": 0.2, "MAE_force_train": 0.05, "MAE_force_test": 0.1},
    ]
    return [row(k, **errors) for k, errors in enumerate(forces)]


def told(forces=True):
    """Predictions that say which structures they are of."""
    structures = [replace(s, info={"config_type": "solid" if s.is_periodic() else "free"}) for s in frames(6)]
    rows = ParityRows.of(structures, range(6), forces=forces)
    force = np.concatenate([s.forces for s in structures]) if forces else None
    energy = np.array([s.energy / s.n_atoms for s in structures])
    return ParityData(energy, energy + 0.01, force, None if force is None else force - 0.2, rows=rows)
