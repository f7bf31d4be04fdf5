"""Decays at rates that grow with the initial state, which are known exactly: small data that can be learned at once."""

from __future__ import annotations

import numpy as np

from potentia.seeding import stream
from potentia.trajectories.dataset import Trajectories, TrajectoryData

LABELS = ("A", "B", "C")


def decays(n: int, name: str, *, seed: int = 1, steps: int = 11, parameters: int = 0) -> Trajectories:
    """Return trajectories x_q(t) = x₀_q exp(-k_q t), with k = (1, 0.5, 0) and the first parameter as a factor."""
    draw = stream(seed, "decays", name)
    initial = 10 ** draw.uniform(-1, 1, size=(n, len(LABELS)))
    given = draw.uniform(0.5, 2.0, size=(n, parameters)) if parameters else None
    times = np.linspace(0, 2, steps)
    rates = np.array([1.0, 0.5, 0.0]) * (1 if given is None else given[:, :1])  # [(trajectories,) quantities]
    states = initial[:, None] * np.exp(-times[:, None] * (rates if given is None else rates[:, None]))
    return Trajectories(states, times, given, LABELS)


def data(n_train: int = 24, n_test: int = 6, **settings: int) -> TrajectoryData:
    parts = [decays(n, name, **settings) for n, name in ((n_train, "train"), (n_test, "test"), (5, "val"))]
    return TrajectoryData.of(*parts, name="decays")
