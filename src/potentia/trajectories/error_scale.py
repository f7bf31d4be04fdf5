"""On which scale errors are taken: log10 of states that are positive, where an error is in dex, or the states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from potentia.errors import DataError
from potentia.trajectories.dataset import Trajectories
from potentia.trajectories.predictor import Floats

__all__ = ["ErrorScale"]

SMALLEST = float(np.finfo(np.float64).tiny)
"""Where no state is raised, log10 of this is the lowest."""


@dataclass(frozen=True)
class ErrorScale:
    """A scale of states, and what errors on it are called."""

    log10: bool
    """Whether it is log10 of the states."""
    floor: float = 0.0
    """On the scale of log10, smaller states count as this one."""

    @classmethod
    def of(cls, part: Trajectories, log10: bool | None = None, tolerance: float | None = None) -> ErrorScale:
        """Return the scale for errors on ``part``.

        Args:
            part: What predictions are compared with.
            log10: Whether to take log10; None where all states are above zero or a tolerance is given.
            tolerance: Smaller states count as this; None for the smallest state of ``part``.

        Raises:
            DataError: log10 was asked for, and states are not positive.
        """
        lowest = float(part.states.min())
        if log10 is None:
            log10 = lowest > 0 or tolerance is not None
        if not log10:
            return cls(log10=False)
        if tolerance is None:
            _require_positive(part)
        return cls(log10=True, floor=lowest if tolerance is None else tolerance)

    @classmethod
    def learned(cls, *, log10: bool, tolerance: float | None) -> ErrorScale:
        """Return the scale on which a surrogate has learned states, by its preprocessing.

        >>> ErrorScale.learned(log10=True, tolerance=1e-3)(np.array([10.0, 0.0]))
        array([ 1., -3.])
        """
        return cls(log10=log10, floor=SMALLEST if tolerance is None else tolerance)

    @property
    def suffix(self) -> str:
        """What the names of metrics on this scale end in."""
        return "_log" if self.log10 else "_real"

    @property
    def unit(self) -> str:
        """Unit of errors: dex, or that of the data."""
        return "dex" if self.log10 else "unit of the data"

    @property
    def axis(self) -> str:
        """What errors are called on an axis."""
        return "error of log10 (dex)" if self.log10 else "absolute error (linear, unit of the data)"

    def __call__(self, states: Floats) -> Floats:
        """Return states on this scale."""
        return np.log10(np.maximum(states, self.floor)) if self.log10 else states

    def physical(self, values: Floats) -> Floats:
        """Return the states that are at these places of the scale."""
        with np.errstate(over="ignore"):
            return np.power(10.0, values) if self.log10 else values

    def require(self, part: Trajectories) -> None:
        """Raise `DataError` if states of ``part`` have no place on the scale."""
        if self.log10 and self.floor == SMALLEST:
            _require_positive(part)

    def errors(self, prediction: Floats, truth: Floats) -> Floats:
        """Return the sizes of the errors; infinite where the prediction is not finite."""
        with np.errstate(invalid="ignore", over="ignore"):
            found = np.abs(self(prediction) - self(truth))
        return np.where(np.isfinite(prediction), found, np.inf)

    def raised(self, prediction: Floats) -> int:
        """Return how many predictions have no log10, so that they count as the floor; 0 on the linear scale."""
        return int((prediction <= 0).sum()) if self.log10 else 0


def _require_positive(part: Trajectories) -> None:
    where = part.states <= 0
    if where.any():
        k = int(np.argmax(where.any(axis=(0, 1))))
        raise DataError(
            f"log10 of {part.labels[k]} does not exist: {int(where[..., k].sum())} of its values are not above "
            f"zero, the lowest is {part.states[..., k].min():g}; set log10=False, or a tolerance"
        )
