"""A table of fields over time: what each field is like in short."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["field_table", "over_points"]


def field_table(fields: NDArray[np.float32], channels: Sequence[str], time_step: float) -> pd.DataFrame:
    """Return a row for each sample, step and channel: ``mean`` and ``deviation`` of the field over its points.

    Args:
        fields: [samples, steps + 1, channels, *grid]
        channels: Their names.
        time_step: Time between two fields.
    """
    flat = over_points(fields)
    sample, step, channel = (index.ravel() for index in np.indices(flat.shape[:3]))
    return pd.DataFrame(
        {
            "sample": sample,
            "step": step,
            "time": step * time_step,
            "channel": np.array(channels)[channel],
            "mean": flat.mean(-1).ravel(),
            "deviation": flat.std(-1).ravel(),
        }
    )


def over_points(fields: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return fields with their points along one axis.  [samples, steps, channels, points]"""
    return fields.reshape(*fields.shape[:3], -1).astype(np.float64)
