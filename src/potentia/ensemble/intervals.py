"""Intervals around what members say in the mean: there are none before a calibration, and none beyond what it saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from potentia.ensemble.calibration import SpreadCalibration
from potentia.errors import NotFittedError, warn_user

__all__ = ["learned_calibration", "told_infinite"]


def learned_calibration(calibration: SpreadCalibration | None, pieces: str, *, page: str) -> SpreadCalibration:
    """Return the calibration of a committee.

    Args:
        calibration: None where nothing was learned.
        pieces: What it is learned from, in words.
        page: Where that is told.

    Raises:
        NotFittedError: the committee is not calibrated.
    """
    if calibration is None:
        text = f"this committee has no intervals yet; call `calibrate` with held-out {pieces} first"
        raise NotFittedError(text, page=page)
    return calibration


def told_infinite(width: NDArray[np.floating], level: float, where: str, pieces: str) -> None:
    """Warn of half-widths that are infinite.

    Args:
        width: All of them.
        level: Share of the true values that they are to hold.
        where: Of what some are: ``"times"``.
        pieces: What calibrations are learned from, in words.
    """
    if np.isinf(width).any():
        warn_user(
            f"intervals at the level {level:g} are infinite at some of these {where}: calibrate with {pieces} that are "
            "as long, with more of them, or for less"
        )
