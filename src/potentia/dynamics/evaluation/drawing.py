"""What figures of scenarios share: one look for each prediction, and windows turned into the view of the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from matplotlib.typing import LineStyleType
from numpy.typing import NDArray

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.motion import Motion
from potentia.plots.style import GREY, colour

__all__ = ["TRUTH", "Look", "Track", "looks_of", "series", "track_of"]

Floats: TypeAlias = NDArray[np.float64]
TRUTH = "measured"
_DASHES: tuple[LineStyleType, ...] = ((0, (4, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (7, 2)))


@dataclass(frozen=True)
class Look:
    """How the line of one name is drawn."""

    colour: str
    """Of the line."""
    dash: LineStyleType
    """As matplotlib takes it."""
    width: float
    """Points."""


def looks_of(names: Sequence[str], baselines: Sequence[str]) -> dict[str, Look]:
    """Return a colour for each prediction, grey dashes for baselines, and black for what was measured."""
    own = [name for name in names if name not in baselines]
    found = {TRUTH: Look("#000000", "-", 2.4)}
    for k, name in enumerate(baselines):
        found[name] = Look(GREY, _DASHES[k % len(_DASHES)], 1.2)
    for k, name in enumerate(own):
        found[name] = Look(colour(k), "-", 1.6)
    return found


@dataclass(frozen=True)
class Track:
    """A path as seen from the vehicle at its first state."""

    ahead: Floats
    """In the direction of the first course (m).  [steps + 1]"""
    left: Floats
    """To its left (m).  [steps + 1]"""


def track_of(motion: Motion, start: Floats, states: Floats) -> Track:
    """Return the path of ``states`` [steps, states] behind the state ``start`` [states]."""
    course = 0.0
    if motion.heading is not None:
        can = motion.speed is not None
        course = float(motion.velocity(start)[1]) if can else float(start[motion.heading])
    x = np.concatenate(([0.0], states[:, motion.x] - start[motion.x]))
    y = np.concatenate(([0.0], states[:, motion.y] - start[motion.y]))
    return Track(x * np.cos(course) + y * np.sin(course), y * np.cos(course) - x * np.sin(course))


def series(
    dataset: FeatureDataset, predictions: Mapping[str, Floats], window: int, state: int, angle: bool
) -> dict[str, tuple[Floats, Floats]]:
    """Return times and values of a state in a window, by the name of the prediction, angles without jumps."""
    time = np.concatenate(([0.0], dataset.step_lengths[window].cumsum()))
    start = dataset.initial_states[window, state]
    found = {}
    truth = np.where(dataset.counted[window], dataset.targets[window, :, state], np.nan)
    for name, values in {**{key: one[window, :, state] for key, one in predictions.items()}, TRUTH: truth}.items():
        line = np.concatenate(([start], values))
        found[name] = (time, start + _unwrapped(line - start) if angle else line)
    return found


def _unwrapped(line: Floats) -> Floats:
    known = np.isfinite(line)
    found = line.copy()
    found[known] = np.unwrap(line[known])
    return found
