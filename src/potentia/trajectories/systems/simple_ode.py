"""Five quantities that feed on each other: growth with limits, an influx and decay."""

from __future__ import annotations

import numpy as np

from potentia.trajectories.systems.base import Floats, Interval, System

__all__ = ["SimpleODE"]


class SimpleODE(System):
    """Logistic growth of the first and the fourth, an exchange of the second and the third, the fifth follows."""

    name = "simple_ode"
    labels = ("s1", "s2", "s3", "s4", "s5")
    times = np.linspace(0.0, 10.0, 101)
    box = (Interval(0.1, 10, log=True),) * 5

    def rates(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return the change of a state [quantities] per unit of time."""
        s1, s2, s3, s4, s5 = state
        return np.array(
            [
                0.1 + 0.7 * s1 * (1 - s1) - 0.25 * s1,
                0.3 * s2 * s3 - 0.5 * s2,
                -0.3 * s2 * s3 + 0.4 * s4 - 0.15 * s3,
                0.4 * s4 * (1 - 0.1 * s4) - 0.1 * s4,
                0.2 * s5 * s2 - 0.2 * s5,
            ]
        )
