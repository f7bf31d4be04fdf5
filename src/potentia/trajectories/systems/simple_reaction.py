"""Five species and five reactions."""

from __future__ import annotations

import numpy as np

from potentia.trajectories.systems.base import Floats, Interval, System

__all__ = ["SimpleReaction"]

CHANGE = np.array(
    [
        [-1, 0, 0, 1, 1],
        [1, -1, 0, 0, 0],
        [0, -1, 0, 1, -1],
        [0, 1, -2, 0, 0],
        [0, 0, 1, -1, 0],
    ],
    dtype=np.float64,
)
"""What each reaction (column) makes of each species (row); no sum of species is conserved."""


class SimpleReaction(System):
    """A → B, B + C ⇌ D, 2 D → E, E → A + C, C → A."""

    name = "simple_reaction"
    labels = ("A", "B", "C", "D", "E")
    times = np.linspace(0.0, 3.0, 101)
    box = (*(Interval(0.1, 20, log=True),) * 3, *(Interval(1, 30, log=True),) * 2)

    def rates(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return the change of a state [quantities] per unit of time."""
        a, b, c, d, e = state
        speeds = np.array([0.25 * a, 0.5 * b * c - 0.25 * d, 0.1 * d * d, 0.15 * e, 0.05 * c])  # [reactions]
        return np.asarray(CHANGE @ speeds)
