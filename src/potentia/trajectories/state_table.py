"""A table of states over time, a row for each trajectory and time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["state_table"]


def state_table(states: NDArray[np.float64], times: NDArray[np.float64], labels: Sequence[str]) -> pd.DataFrame:
    """Return ``trajectory``, ``time`` and a column for each quantity.

    Args:
        states: [trajectories, times, quantities]
        times: Shared [times], or of each [trajectories, times].
        labels: Names of the quantities.
    """
    n, steps = states.shape[:2]
    return pd.DataFrame(
        {
            "trajectory": np.repeat(np.arange(n), steps),
            "time": np.broadcast_to(times, (n, steps)).ravel(),
            **{name: states[:, :, k].ravel() for k, name in enumerate(labels)},
        }
    )
