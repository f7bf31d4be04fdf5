"""What is trained on together: points or whole trajectories, and the step of each trajectory that counts as its first.

Where rates do not depend on the time, the states from any moment on are a trajectory too. Beginning at later steps as
well makes of n trajectories at T times n·T(T - 1)/2 pairs of an initial state and a later one, instead of n·(T - 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentia.seeding import stream

__all__ = ["Batch", "beginning"]

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Batch:
    """Points or trajectories."""

    places: Integers
    """Their numbers; points are counted trajectory by trajectory."""
    begins: Integers
    """The step at which each begins: of each point [points], or one for all trajectories [1]."""

    def __len__(self) -> int:
        return len(self.places)


def beginning(
    places: Callable[[int], Sequence[Integers]], steps: int, part: float, seed: int, *, scattered: bool
) -> Callable[[int], list[Batch]]:
    """Return epoch → batches that begin at the first step, but for a ``part`` in [0, 1] that begins at later ones.

    A point begins at any step before its own; the trajectories of a batch share one before the last, so that they
    have their times in common.

    Args:
        places: Epoch → numbers of points or of trajectories.
        steps: Times of a trajectory.
        part: Of the points, or of the batches of trajectories.
        seed: Root of the stream that begins are drawn from.
        scattered: Whether places are points.
    """

    def batches(epoch: int) -> list[Batch]:
        draw = stream(seed, "begins", epoch)
        return [Batch(batch, begins(batch, draw)) for batch in places(epoch)]

    def begins(batch: Integers, draw: np.random.Generator) -> Integers:
        latest = batch % steps if scattered else np.array([steps - 1])  # begins are less, or 0
        later = draw.random(len(latest)) < part
        return np.where(later, draw.random(len(latest)) * latest, 0).astype(np.int64)

    return batches
