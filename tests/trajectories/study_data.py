"""The smallest study: exponential decays, and settings that train in a moment."""

from __future__ import annotations

import numpy as np

from potentia.trajectories import Trajectories, TrajectoryData, write_trajectories


def decays(sign=1.0):
    """24 + 4 + 4 trajectories of two quantities at eleven times."""
    rng = np.random.default_rng(0)
    times = np.linspace(0, 5, 11)

    def part(n):
        start = 10 ** rng.uniform(-1, 1, (n, 2))
        states = start[:, None] * np.exp(-times[:, None] * np.array([0.5, 1.0]))
        states[..., 1] *= sign
        return Trajectories(states=states, times=times, parameters=None, labels=("fast", "slow"))

    return TrajectoryData.of(part(24), part(4), part(4), "Decay")


def settings(**more):
    networks = {"hidden_size": 8, "num_hidden_layers": 1}
    return {
        "training_id": "a",
        "surrogates": ["FullyConnected"],
        "batch_size": 64,
        "epochs": 3,
        "devices": "cpu",
        "dataset": {"name": "decay"},
        "surrogate_configs": {"FullyConnected": networks},
        **more,
    }


MODALITIES = {
    "interpolation": {"enabled": True, "intervals": [2, 3]},
    "extrapolation": {"enabled": True, "cutoffs": [6]},
    "sparse": {"enabled": True, "factors": [4]},
    "batch_scaling": {"enabled": True, "sizes": ["1/4", 2]},
    "uncertainty": {"enabled": True, "ensemble_size": 3},
}


def root_with(path, data=None, name="Decay"):
    folder = path / "datasets" / name
    folder.mkdir(parents=True)
    write_trajectories(folder / "data.hdf5", decays() if data is None else data)
    return path
