"""A system whose flow is known, and predictors that are wrong in a known way."""

from __future__ import annotations

import numpy as np

from potentia.trajectories.dataset import Trajectories, TrajectoryData

RATES = np.array([0.3, 0.8, 1.5])
LABELS = ("A", "B", "C")


def relaxation(initial, times, parameters=None, factor=1.0):
    """Return x(t) = 1 + (x₀ − 1) exp(−λ p t): an exact flow of an autonomous system.  [trajectories, times, 3]"""
    speed = RATES[: initial.shape[1]] * factor
    if parameters is not None:
        speed = speed * parameters  # [trajectories, quantities]
    speed = np.broadcast_to(speed, initial.shape)
    elapsed = np.broadcast_to(times, (len(initial), np.shape(times)[-1]))[..., None]
    return 1 + (initial[:, None] - 1) * np.exp(-speed[:, None] * elapsed)


class Flow:
    """The exact flow where ``factor`` is 1 and the times begin at ``start``."""

    def __init__(self, factor=1.0, start=0.0, offset=0.0):
        self.factor, self.start, self.offset = factor, start, offset

    def predict(self, initial_states, times, parameters=None):
        found = relaxation(initial_states, np.asarray(times) - self.start, parameters, self.factor)
        return found * (1 + self.offset * np.arange(found.shape[1])[:, None] / found.shape[1])


class Hold:
    def predict(self, initial_states, times, parameters=None):
        return np.repeat(initial_states[:, None], np.shape(times)[-1], axis=1)


class Ramp:
    """The exact flow of dx/dt = 1."""

    def __init__(self, start=0.0):
        self.start = start

    def predict(self, initial_states, times, parameters=None):
        return initial_states[:, None] + np.asarray(times)[:, None] - self.start


class Noisy:
    """The exact flow times a known, smooth error that is different for each member and state."""

    def __init__(self, member, size=0.1):
        self.member, self.size = member, size

    def predict(self, initial_states, times, parameters=None):
        found = relaxation(initial_states, times, parameters)
        phase = 7.0 * self.member + 5.0 * initial_states.sum(axis=1)[:, None, None] + np.arange(found.shape[2])
        growth = np.linspace(0, 1, found.shape[1])[:, None]
        # all members share a part of the error, and the rest of it differs
        return found * (1 + self.size * growth * (np.sin(phase) + 2.0 * np.sin(3.1 * phase - 7.0 * 3.1 * self.member)))


def part(trajectories, times, seed=0, n_quantities=3, parameters=False):
    random = np.random.default_rng(seed)
    initial = random.uniform(0.1, 5.0, (trajectories, n_quantities))
    known = random.uniform(0.5, 1.5, (trajectories, 1)) if parameters else None
    states = relaxation(initial, np.asarray(times) - times[0], known)
    names = ("speed",) if parameters else ()
    return Trajectories(states, np.asarray(times), known, LABELS[:n_quantities], names)


def data(times=None, *, train=7, test=20, val=12, n_quantities=3, parameters=False):
    times = np.linspace(0, 3, 31) if times is None else times
    parts = [part(n, times, k, n_quantities, parameters) for k, n in enumerate((train, test, val))]
    return TrajectoryData.of(*parts, name="relaxation")


def of_states(states, times=None, labels=None):
    """Return trajectories with these states.  [trajectories, times, quantities]"""
    states = np.asarray(states, dtype=float)
    times = np.arange(states.shape[1], dtype=float) if times is None else times
    return Trajectories(states, times, None, labels or tuple(f"q{k}" for k in range(states.shape[2])))
