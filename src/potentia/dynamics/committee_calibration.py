"""Intervals from the spread of a committee: learned from held-out windows, state by state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.calibration import SplitConformal
from potentia.checks import choice
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.ensemble import SpreadCalibration, mark_of_weights
from potentia.errors import DataError

__all__ = ["half_widths", "learned", "wrapped"]

Floats: TypeAlias = NDArray[np.float64]


def learned(
    members: Sequence[DynamicsParameterNet],
    data: FeatureDataset,
    *,
    level: float,
    blocks: Literal["windows", "logs"],
) -> SpreadCalibration:
    """Learn from held-out windows; see `DynamicsCommittee.calibrate`. States on which all agree have one width.

    Raises:
        DataError: members cannot simulate a window to its end.
    """
    by_log = choice("blocks", blocks, ("windows", "logs")) == "logs"
    states = np.stack([member.predict(data) for member in members])  # [members, windows, steps, states]
    error = wrapped(data.targets - states.mean(0), members[0].spec_.angles)[data.counted]  # [targets, states]
    spread = states.std(0)[data.counted]
    if not np.isfinite(error).all():
        raise DataError("some windows cannot be simulated to their end by all members: leave them out")
    window = np.broadcast_to(np.arange(len(data))[:, None], data.counted.shape)[data.counted]
    block = data.groups[window] if by_log else window
    method = SplitConformal()
    found = {
        name: method.fit(error[:, k], spread[:, k] if spread[:, k].any() else None, blocks=block, levels=(level,))
        for k, name in enumerate(data.state_names)
    }
    marks = tuple(sorted(mark_of_weights(member.network_) for member in members))
    return SpreadCalibration(level=level, of=found, members=marks, blocks=len(data))


def half_widths(calibration: SpreadCalibration, spread: Floats) -> Floats:
    """Return the half-widths for spreads.  [windows, steps, states] both"""
    widths = [one.half_width(spread[..., k], calibration.level) for k, one in enumerate(calibration.of.values())]
    return np.stack(widths, axis=-1)


def wrapped(difference: Floats, angles: Sequence[bool]) -> Floats:
    """Return differences [..., states] with those of angles between −π and π."""
    turned = np.remainder(difference + np.pi, 2 * np.pi) - np.pi
    return np.where(np.asarray(angles), turned, difference)
