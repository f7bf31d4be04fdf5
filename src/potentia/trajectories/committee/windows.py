"""Windows of time that have intervals of their own, with as many of the known times in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.errors import DataError

__all__ = ["TimeWindows"]

MOST = 10
"""So many windows where there are as many times."""
OUTSIDE = "outside"
"""What times outside of all windows are called."""


@final
@dataclass(frozen=True)
class TimeWindows:
    """Windows from one end to the next, which belongs to the earlier one.

    >>> windows = TimeWindows.of(np.array([0.0, 0.1, 1.0, 10.0]))
    >>> windows.names(np.array([0.0, 0.1, 0.2, 5.0, 11.0])).tolist()
    ['window 1', 'window 1', 'window 2', 'window 3', 'outside']
    """

    edges: tuple[float, ...]
    """The first time, and the last one of each window."""

    @classmethod
    def of(cls, times: NDArray[np.float64]) -> Self:
        """Return the windows of a grid [times], whose first state is given.

        Raises:
            DataError: there is no time behind the first.
        """
        if len(times) < 2:
            raise DataError("error bars need trajectories with a time behind the first, whose state is given")
        parts = np.array_split(times[1:], min(MOST, len(times) - 1))
        return cls((float(times[0]), *(float(part[-1]) for part in parts)))

    def names(self, times: NDArray[np.float64]) -> NDArray[np.str_]:
        """Return the name of the window of each time, of the same shape."""
        known = [f"window {k}" for k in range(1, len(self.edges))]
        place = np.searchsorted(self.edges[1:], times, side="left")
        return np.array([*known, OUTSIDE])[np.where(times < self.edges[0], len(known), place)]

    def table(self, times: NDArray[np.float64]) -> pd.DataFrame:
        """Return ``window``, ``begin`` and ``end`` of those with some of these times, and their mean ``time``."""
        names = self.names(times)
        ends = np.array([*self.edges, np.nan])
        rows = {}
        for name in dict.fromkeys(names.tolist()):
            k = len(self.edges) if name == OUTSIDE else int(name.split()[1])
            begin, end = (np.nan, np.nan) if name == OUTSIDE else ends[k - 1 : k + 1].tolist()
            rows[name] = {"window": name, "begin": begin, "end": end, "time": float(times[names == name].mean())}
        return pd.DataFrame.from_dict(rows, orient="index")
