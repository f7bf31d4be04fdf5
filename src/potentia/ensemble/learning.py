"""Learning how wide intervals must be: each quantity and each step of a prediction by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.calibration import Calibration, Scaling, SplitConformal
from potentia.ensemble.calibration import ByGroup, SpreadCalibration
from potentia.ensemble.held_out import Errors, HeldOut, Words
from potentia.errors import DataError, warn_user

__all__ = ["Method", "learned", "require_enough"]

Method: TypeAlias = SplitConformal | Scaling


def learned(held: HeldOut, method: Method, level: float, members: Sequence[str], words: Words) -> SpreadCalibration:
    """Learn from held-out pieces.

    Args:
        held: What the members say of them.
        method: How.
        level: Share of the true values that intervals are to hold.
        members: Marks of the members.
        words: What the pieces are called.

    Warns:
        PotentiaWarning: there are too few pieces for this level.
    """
    found = {quantity: _by_step(method, one) for quantity, one in held.errors.items()}
    one = next(iter(found.values()))
    if any(np.isinf(of.half_width(np.ones(1), level)).any() for of in one.groups.values()):
        warn_user(
            f"intervals at the level {level:g} are infinite: the highest level that {held.groups} {words.pieces} to "
            f"learn from reach is {held.groups / (held.groups + 1):.3g}. Hold out more, or ask for less"
        )
    return SpreadCalibration(
        level=level,
        of=found,
        members=tuple(members),
        blocks=held.groups,
        seen=tuple(sorted(held.marks)),
        edges=held.edges,
    )


def require_enough(groups: NDArray[np.int64], words: Words) -> None:
    """Raise `DataError` unless there are pieces [pieces] to learn from and others to measure on."""
    n = len(np.unique(groups))
    if n < 2:
        raise DataError(
            f"calibrating needs {words.pieces} to learn from and others to measure on, which follow from other "
            f"parameters or beginnings and which no training has seen, got {n}: hold out more"
        )


def _by_step(method: Method, found: Errors) -> ByGroup:
    return ByGroup({name: _fit(method, *found.at(name)) for name in found.names})


def _fit(
    method: Method, error: NDArray[np.float64], spread: NDArray[np.float64], group: NDArray[np.int64]
) -> Calibration:
    """Learn from one step [pieces, points]; where all members agree, intervals are of one width."""
    if isinstance(method, SplitConformal):
        return method.fit(error, spread if spread.any() else None, blocks=group, levels=())
    return method.fit(error, spread)
