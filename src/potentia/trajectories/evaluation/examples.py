"""Trajectories to look at: the one whose error is the median one, truth beside predictions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.predictor import Floats

__all__ = ["example"]

MOST_QUANTITIES = 6


def example(predictions: Mapping[str, Floats], part: Trajectories, scale: ErrorScale) -> pd.DataFrame:
    """Return the trajectory whose mean error in the last of ``predictions`` is the median one, on the scale.

    Of many quantities, those with the largest errors are kept. Columns ``source`` (``"truth"`` or the name of a
    prediction), ``trajectory``, ``time``, ``quantity``, ``value``.

    Args:
        predictions: Name → [trajectories, times, quantities].
        part: The truth.
        scale: On which the states are returned.
    """
    last = list(predictions.values())[-1]
    errors = scale.errors(last, part.states)
    n = int(np.argsort(errors.mean(axis=(1, 2)), kind="stable")[len(part) // 2])
    largest = np.argsort(-errors[n].mean(axis=0), kind="stable")[:MOST_QUANTITIES]
    shown = {"truth": part.states, **predictions}
    frames = [
        pd.DataFrame(
            {
                "source": source,
                "trajectory": n,
                "time": part.times,
                "quantity": part.labels[k],
                "value": scale(states[n, :, k]),
            }
        )
        for source, states in shown.items()
        for k in sorted(largest.tolist())
    ]
    return pd.concat(frames, ignore_index=True)
