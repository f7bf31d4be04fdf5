"""Five damped masses in a row, joined by springs that harden, with a quadratic pull over two places."""

from __future__ import annotations

import numpy as np

from potentia.trajectories.systems.base import Floats, Interval, System

__all__ = ["CoupledOscillators"]

STIFFNESS, HARDENING, DAMPING, PULL = 2.0, 0.5, 0.5, 0.05
"""Of the springs, their cubic part, of the velocity, of the quadratic pull; masses are 1."""
PULLED_BY = np.array([2, 3, 4, 0, 1])
"""Mass whose distance pulls each mass."""


class CoupledOscillators(System):
    """Positions x and velocities v; they change sign, so train on them with ``log10_transform=False``."""

    name = "coupled_oscillators"
    labels = ("x1", "x2", "x3", "x4", "x5", "v1", "v2", "v3", "v4", "v5")
    times = np.linspace(0.0, 3.0, 101)
    box = (Interval(-1, 1),) * 10

    def rates(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return the change of a state [quantities] per unit of time."""
        x, v = state[:5], state[5:]
        apart = x[:-1] - x[1:]  # [springs]
        force = STIFFNESS * apart + HARDENING * apart**3
        change = -DAMPING * v + PULL * (x[PULLED_BY] - x) ** 2
        change[:-1] -= force
        change[1:] += force
        return np.concatenate([v, change])
