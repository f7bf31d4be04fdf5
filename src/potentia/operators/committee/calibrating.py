"""Calibrating a committee of operators: how wide intervals must be, channel by channel and step by step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.calibration import Calibration, Scaling, SplitConformal
from potentia.ensemble import ByGroup, SpreadCalibration
from potentia.errors import DataError, warn_user
from potentia.operators.committee.measured import Errors, errors_of
from potentia.operators.committee.prediction import CommitteePrediction
from potentia.operators.dataset import Samples

__all__ = ["Method", "learned", "marks_of", "require_enough"]

Method: TypeAlias = SplitConformal | Scaling


def learned(
    predicted: CommitteePrediction,
    samples: Samples,
    method: Method,
    level: float,
    members: Sequence[str],
) -> SpreadCalibration:
    """Learn from held-out simulations, each channel and lead time by itself.

    Args:
        predicted: What the members say of them.
        samples: The truth.
        method: How.
        level: Share of the true values that intervals are to hold.
        members: Marks of the members.

    Warns:
        PotentiaWarning: there are too few simulations for this level.
    """
    found = {channel: _by_step(method, one) for channel, one in errors_of(predicted, samples).items()}
    groups = len(np.unique(samples.group))
    width = found[predicted.channels[0]].half_width(np.ones((1, 1)), level, ["step 1"])
    if np.isinf(width).any():
        warn_user(
            f"intervals at the level {level:g} are infinite: the highest level that {groups} simulations to learn "
            f"from reach is {groups / (groups + 1):.3g}. Hold out more, or ask for less"
        )
    return SpreadCalibration(
        level=level, of=found, members=tuple(members), blocks=groups, seen=tuple(sorted(marks_of(samples)))
    )


def require_enough(samples: Samples) -> None:
    """Raise `DataError` unless there are simulations to learn from and others to measure on."""
    groups = len(np.unique(samples.group))
    if groups < 2:
        raise DataError(
            "calibrating needs simulations to learn from and others to measure on, with sets of parameters that no "
            f"training has seen, got {groups}: hold out more"
        )


def marks_of(samples: Samples) -> list[str]:
    """Return a mark of each simulation, by its initial fields and parameters.  [samples]"""
    whole = zip(samples.initial, samples.parameters, strict=True)
    return [hashlib.sha256(field.tobytes() + values.tobytes()).hexdigest()[:16] for field, values in whole]


def _by_step(method: Method, found: Errors) -> ByGroup:
    fitted = (_fit(method, found.error[:, k], found.spread[:, k], found.group) for k in range(found.error.shape[1]))
    return ByGroup(dict(zip(found.steps, fitted, strict=True)))


def _fit(
    method: Method, error: NDArray[np.float64], spread: NDArray[np.float64], group: NDArray[np.int64]
) -> Calibration:
    """Learn from one lead time [samples, points]; where all members agree, intervals are of one width."""
    if isinstance(method, SplitConformal):
        return method.fit(error, spread if spread.any() else None, blocks=group, levels=())
    return method.fit(error, spread)
