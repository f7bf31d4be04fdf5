"""Public recordings of vehicles and tanks as windows; each reader knows the format of one project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.dynamics import FeatureDataset, Log, ModelSpec

__all__ = ["DRIFT_FILES", "Run", "blocks", "car_log", "drift_run", "race_run", "tank_runs"]

Floats: TypeAlias = NDArray[np.float64]
DRIFT_FILES = tuple(f"reference_single_track_drift{k}.mat" for k in ("", "2", "3"))
BRAKE = 2757.9  # kPa, the full brake of the Indy car's published vehicle model


@dataclass(frozen=True, eq=False)
class Run:
    """States, and the controls that are held from each of them to the next."""

    states: Floats
    """[rows, states]"""
    controls: Floats
    """[rows - 1, controls]"""
    dt: float
    """From row to row (s)."""

    def part(self, begin: int, end: int) -> Run:
        """Return the rows from ``begin`` to before ``end``."""
        return Run(self.states[begin:end], self.controls[begin : end - 1], self.dt)


def blocks(spec: ModelSpec, runs: list[Run], horizon: int, stride: int | None = None) -> FeatureDataset:
    """Return windows of all runs, by default behind each other without a common target."""
    starts = [(run, k) for run in runs for k in range(0, len(run.states) - horizon, stride or horizon)]
    return FeatureDataset(
        np.stack([run.states[k] for run, k in starts]),
        np.stack([run.controls[k : k + horizon] for run, k in starts]),
        np.stack([run.states[k + 1 : k + horizon + 1] for run, k in starts]),
        np.array(runs[0].dt),
        spec.state_names,
        spec.control_names,
    )


def race_run(path: Path) -> Run:
    """Read the 1:43 race car of Deep Dynamics: rows that follow each other by one step of Euler's method (20 ms).

    The first row is left out, whose pose is not that of the others.
    """
    with np.load(path, allow_pickle=False) as file:
        states, controls = file["dstates"].T[1:, :6], file["inputs"].T[1:]
    return Run(states, controls, 0.02)


def drift_run(path: Path) -> Run:
    """Read one drive of the drifting car at steps of 0.1 s from its rows of 20 ms.

    Between rows the simulation took its controls linearly: those of a step are the mean of the five pieces. (Means of
    the five rows make the error of the true model fourfold, first rows a hundredfold.)
    """
    from scipy.io import loadmat

    content = loadmat(path)
    state, control = content["x_State"], content["u_Input"]
    names = ("xPos", "yPos", "delta", "v", "psi", "dPsi", "beta")
    states = np.concatenate([state[name][0, 0] for name in names], axis=1).astype(np.float64)
    inputs = np.concatenate([control[name][0, 0] for name in ("U_vdelta", "U_ax")], axis=1).astype(np.float64)
    kept = states[::5]
    pieces = (inputs[1:] + inputs[:-1]) / 2
    held = pieces[: 5 * (len(kept) - 1)].reshape(-1, 5, 2).mean(1)
    return Run(kept, held, 0.1)


def car_log(path: Path) -> Log:
    """Read the Indy car at 25 Hz as a log of the body-frame model: throttle from -1 (full brake) to 1.

    The file calls the roll angle radians; its values are degrees.
    """
    rows = np.loadtxt(path, delimiter=",", comments="#")
    names = ("x", "y", "vx", "vy", "psi", "delta", "r")
    columns = dict(zip(names, rows[:, 1:8].T, strict=True))
    pedal, brake = rows[:, 15] / 100, rows[:, 16] / BRAKE
    throttle = np.where(brake > pedal, -np.clip(brake, 0, 1), np.clip(pedal, 0, 1))
    time = rows[:, 0] - rows[0, 0]
    columns |= {"throttle": throttle, "roll": np.radians(rows[:, 14]), "ax": rows[:, 8]}
    return Log(path.stem, time, columns, str(path))


def tank_runs(path: Path) -> tuple[Run, Run]:
    """Read the cascaded tanks: the part to fit and the official test; the upper level is not measured (0 here)."""
    rows = np.genfromtxt(path, delimiter=",", skip_header=1)
    dt = float(rows[0, 4])
    found = []
    for pump, level in ((0, 2), (1, 3)):
        states = np.stack((np.zeros(len(rows)), rows[:, level]), 1)
        found.append(Run(states, rows[:-1, pump, None], dt))
    return found[0], found[1]
