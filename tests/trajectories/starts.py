"""Initial states of the systems."""

from __future__ import annotations

from potentia.trajectories import SYSTEMS
from potentia.trajectories.systems import draw_starts


def first_start(name, n=1):
    starts = draw_starts(SYSTEMS[name], n, 7)
    return starts.states[n - 1], None if starts.parameters is None else starts.parameters[n - 1]
