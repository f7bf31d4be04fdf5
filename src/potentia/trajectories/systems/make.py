"""Data sets of a system: initial conditions of one Sobol sequence, so that no part shares one with another."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike

from potentia import progress
from potentia.checks import integer
from potentia.seeding import stream
from potentia.study import SpawnedProcesses
from potentia.trajectories.dataset import Trajectories, TrajectoryData
from potentia.trajectories.systems.base import Floats, Starts, System
from potentia.trajectories.systems.registry import system

__all__ = ["draw_starts", "make_data"]

CHUNK = 16
"""Trajectories that a process solves at a time."""
LABEL = f"{CHUNK} trajectories each"


def make_data(
    name: str | System,
    *,
    n_train: int = 350,
    n_test: int = 50,
    n_val: int = 100,
    seed: int = 42,
    times: ArrayLike | None = None,
    workers: int = 1,
) -> TrajectoryData:
    """Return trajectories of a system, each solved by itself.

    The first ``n_train`` points of the sequence are train, then test, then val: to ask for more of val changes nothing
    in the other two.

    Args:
        name: A name in `SYSTEMS`, or a system.
        n_train: Trajectories to fit.
        n_test: Trajectories to select models by.
        n_val: Trajectories held out.
        seed: Of the initial conditions, and of parameters.
        times: Grid; None is the system's own.  [times]
        workers: Processes that solve; their number changes no bit. They take seconds to start, so they pay for large
            sets only, and a script that asks for more than one needs ``if __name__ == "__main__":``.

    Raises:
        ConfigError: there is no such system, or a part would be empty.
        DataError: the solver gave up on a trajectory.

    >>> make_data("simple_reaction", n_train=4, n_test=2, n_val=2).train.states.shape
    (4, 101, 5)
    """
    one = system(name) if isinstance(name, str) else name
    sizes = [integer(key, n, low=1) for key, n in (("n_train", n_train), ("n_test", n_test), ("n_val", n_val))]
    grid = np.array(one.times if times is None else times, dtype=np.float64)
    starts = draw_starts(one, sum(sizes), integer("seed", seed, low=0))
    states = _solve_all(one, starts, grid, integer("workers", workers, low=1))
    shown = None if one.hides_parameters else starts.parameters
    names = one.parameter_labels if shown is not None else ()
    whole = Trajectories(states, grid, shown, one.labels, names)
    ends = np.cumsum(sizes)
    train, test, val = (whole.take(slice(end - size, end)) for end, size in zip(ends, sizes, strict=True))
    return TrajectoryData.of(train, test, val, one.name, None if one.hides_parameters else one.name)


def draw_starts(one: System, n: int, seed: int) -> Starts:
    """Return what ``n`` trajectories begin from: the first points of a scrambled Sobol sequence in the system's box."""
    from scipy.stats import qmc  # takes a second and 20 MB, which who makes no data should not pay

    sequence = qmc.Sobol(len(one.box), scramble=True, rng=stream(seed, "initial conditions"))
    unit = sequence.random_base2((n - 1).bit_length())[:n]  # [trajectories, intervals]
    return one.starts(np.stack([interval(part) for interval, part in zip(one.box, unit.T, strict=True)], axis=1))


def _solve_all(one: System, starts: Starts, times: Floats, workers: int) -> Floats:
    """Return states.  [trajectories, times, quantities]"""
    n = len(starts.states)
    parts = [slice(first, min(first + CHUNK, n)) for first in range(0, n, CHUNK)]
    solve = functools.partial(_solve_some, one, times)
    some = [
        Starts(starts.states[part], None if starts.parameters is None else starts.parameters[part]) for part in parts
    ]
    if workers == 1:
        return np.concatenate([solve(part) for part in progress.track(some, LABEL)])
    with SpawnedProcesses(min(workers, len(some))) as pool:
        with progress.bar(len(some), LABEL) as bar:
            found = []
            for part in pool.map(solve, some):
                found.append(part)
                bar.update()
        return np.concatenate(found)


def _solve_some(one: System, times: Floats, starts: Starts) -> Floats:
    known = [None] * len(starts.states) if starts.parameters is None else list(starts.parameters)
    return np.stack([one.solve(first, times, own) for first, own in zip(starts.states, known, strict=True)])
