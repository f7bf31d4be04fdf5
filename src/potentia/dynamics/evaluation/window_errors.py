"""Errors of predicted windows, of each state, place and heading: put together as exact sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.losses import wrapped_error
from potentia.dynamics.motion import Motion
from potentia.dynamics.spec import ModelSpec
from potentia.errors import DataError
from potentia.metrics import ErrorSum

__all__ = ["WindowErrors"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WindowErrors:
    """Errors of one prediction; infinite where a roll-out has diverged, so that no mean looks better for it."""

    states: Floats
    """Predicted minus measured, angles the short way round; 0 where it does not count.  [windows, steps, states]"""
    place: Floats | None
    """Distance between the places (m), where the model has some.  [windows, steps]"""
    heading: Floats | None
    """Angle between the headings (rad), where the model has one.  [windows, steps]"""
    counted: NDArray[np.bool_]
    """Which targets count.  [windows, steps]"""
    diverged: int
    """Windows with a state that is not finite where it counts."""

    @classmethod
    def of(cls, spec: ModelSpec, dataset: FeatureDataset, predicted: Floats, name: str = "predicted") -> Self:
        """Return the errors of predicted states [windows, steps, states].

        Raises:
            DataError: the shape is not that of the targets.
        """
        predicted = np.asarray(predicted, dtype=np.float64)
        if predicted.shape != dataset.targets.shape:
            raise DataError(
                f"what {name!r} predicts must have shape [windows, steps, states] = {dataset.targets.shape}, got "
                f"{predicted.shape}"
            )
        counted = dataset.counted
        error = wrapped_error(torch.from_numpy(predicted), torch.from_numpy(dataset.targets), spec.angles).numpy()
        lost = counted & ~np.isfinite(error).all(-1)  # [windows, steps]
        error = np.where(lost[..., None], np.inf, error)
        error = np.where(counted[..., None], error, 0.0)
        motion = Motion.of(spec)
        place = None if motion is None else np.hypot(error[..., motion.x], error[..., motion.y])
        heading = None if motion is None or motion.heading is None else np.abs(error[..., motion.heading])
        return cls(error, place, heading, counted, int(lost.any(1).sum()))

    @property
    def last(self) -> NDArray[np.int64]:
        """Number of the last step of each window that counts.  [windows]"""
        found: NDArray[np.int64] = self.counted.shape[1] - 1 - np.argmax(self.counted[:, ::-1], axis=1)
        return found

    def by_window(self, scales: Floats) -> Floats:
        """Return one error of each window: its mean distance (m); without places, its mean scaled error.  [windows]"""
        values = np.abs(self.states / scales).mean(-1) if self.place is None else self.place
        found: Floats = values.sum(1) / self.counted.sum(1)
        return found

    def summed(self, values: Floats, windows: NDArray[np.bool_] | None = None, step: int | None = None) -> ErrorSum:
        """Return the sums over what counts of ``values`` [windows, steps], of some windows or of one step."""
        keep = self.counted if windows is None else self.counted & windows[:, None]
        if step is not None:
            values, keep = values[:, step], keep[:, step]
        return ErrorSum.of(torch.from_numpy(values[keep]))

    def final(self, values: Floats, windows: NDArray[np.bool_] | None = None) -> ErrorSum:
        """Return the sums of ``values`` [windows, steps] at the last step of each window that counts."""
        ends = np.take_along_axis(values, self.last[:, None], axis=1)[:, 0]
        return ErrorSum.of(torch.from_numpy(ends if windows is None else ends[windows]))
