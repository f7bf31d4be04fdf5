"""Trajectories cut into windows: what a tokenizer is trained on that is to tell how behaviour changes over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from potentia.checks import integer
from potentia.errors import DataError
from potentia.operators.dataset import Samples

__all__ = ["window_begins", "windows"]


def window_begins(steps: int, length: int, every: int) -> range:
    """Return the steps at which windows of some steps begin in a trajectory.

    Args:
        steps: Of the trajectory.
        length: Of a window, in steps.
        every: Steps from the beginning of one to that of the next.

    Raises:
        ConfigError: a number is smaller than 1.
        DataError: the trajectory is shorter than a window.

    >>> list(window_begins(10, 4, 3))
    [0, 3, 6]
    """
    integer("length", length, low=1)
    integer("every", every, low=1)
    if steps < length:
        raise DataError(f"windows of {length} steps do not fit into trajectories of {steps}")
    return range(0, steps - length + 1, every)


def windows(samples: Samples, length: int, every: int = 1) -> Samples:
    """Return windows as samples of their own, those of one trajectory behind each other and in its group.

    Args:
        samples: Trajectories.
        length: Steps of a window.
        every: Steps from the beginning of one to that of the next.
    """
    begins = window_begins(samples.steps, length, every)
    cut = np.stack([samples.fields[:, one : one + length + 1] for one in begins], 1)  # [samples, windows, …]
    return replace(
        samples,
        fields=cut.reshape(-1, *cut.shape[2:]),
        parameters=np.repeat(samples.parameters, len(begins), 0),
        group=np.repeat(samples.group, len(begins)),
    )
