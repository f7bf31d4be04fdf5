"""One sample over time, true and predicted, as every figure of fields takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.checks import did_you_mean, integer, number
from potentia.errors import ConfigError, DataError
from potentia.operators.dataset import OperatorData, Samples

__all__ = ["Film", "Floats"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """Fields of one sample at equal times, and what a model says that they are.

    >>> film = Film(truth=np.zeros((3, 1, 8)), channels=("u",), time_step=0.5)
    >>> film.times.tolist()
    [0.0, 0.5, 1.0]
    """

    truth: Floats = field(repr=False)
    """[steps + 1, channels, x] or [steps + 1, channels, x, y]"""
    prediction: Floats | None = field(default=None, repr=False)
    """Of the same shape; NaN where the model has failed. None shows the truth alone."""
    channels: tuple[str, ...]
    """Names of the fields."""
    time_step: float = 1.0
    """Time between two fields."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", np.asarray(self.truth, dtype=np.float64))
        if self.truth.ndim not in {3, 4} or not self.truth.size or not np.isfinite(self.truth).all():
            raise DataError(
                "`truth` must be finite fields [steps + 1, channels, x] or [steps + 1, channels, x, y] of one sample, "
                f"got the shape {self.truth.shape}"
            )
        if len(self.channels) != self.truth.shape[1]:
            raise DataError(f"`channels` must name {self.truth.shape[1]} fields, got {', '.join(self.channels)}")
        number("time_step", self.time_step, low=0.0)
        if self.prediction is None:
            return
        object.__setattr__(self, "prediction", np.asarray(self.prediction, dtype=np.float64))
        if np.shape(self.prediction) != self.truth.shape:
            raise DataError(
                f"`prediction` must have the shape of `truth`, {self.truth.shape}, got {np.shape(self.prediction)}"
            )

    @classmethod
    def of(cls, data: OperatorData, samples: Samples, sample: int, prediction: Floats | None = None) -> Self:
        """Return the film of one sample of a part of some data.

        Args:
            data: Names the channels and tells the time between two fields.
            samples: Its part.
            sample: Which one.
            prediction: Of this sample.  [steps + 1, channels, *grid]
        """
        sample = integer("sample", sample, low=0, high=len(samples) - 1)
        return cls(
            truth=samples.fields[sample].astype(np.float64),
            prediction=prediction,
            channels=data.channels,
            time_step=data.time_step,
        )

    @property
    def times(self) -> Floats:
        """Time of each field.  [steps + 1]"""
        return self.time_step * np.arange(len(self.truth), dtype=np.float64)

    @property
    def error(self) -> Floats:
        """Prediction less truth.

        Raises:
            ConfigError: there is no prediction.
        """
        if self.prediction is None:
            raise ConfigError("this film has no prediction, so it has no error: give Film a prediction")
        return self.prediction - self.truth

    def relative_errors(self) -> Floats:
        """Return the norm of the error over that of the truth, all channels together.  [steps + 1]"""
        axes = tuple(range(1, self.truth.ndim))
        norm = np.sqrt((self.truth**2).sum(axes))
        relative: Floats = np.sqrt((self.error**2).sum(axes)) / np.where(norm > 0, norm, 1.0)
        return relative

    def places(self, show: Sequence[str] | None) -> list[int]:
        """Return the places of the named channels; of all of them without names.

        Raises:
            ConfigError: there is no such channel.
        """
        for name in show or ():
            if name not in self.channels:
                raise ConfigError(f"there is no channel {name!r}{did_you_mean(name, self.channels)}")
        return [self.channels.index(name) for name in (self.channels if show is None else show)]

    def chosen_steps(self, steps: Sequence[int] | None, most: int = 6) -> list[int]:
        """Return the steps to show: those given, else at most ``most`` from first to last, evenly."""
        last = len(self.truth) - 1
        if steps is not None:
            return [integer("a step to show", step, low=0, high=last) for step in steps]
        return sorted(set(np.linspace(0, last, most).round().astype(int).tolist()))

    def require_axes(self, n_axes: int, instead: str) -> None:
        """Raise `ConfigError` where the fields have another number of axes of space."""
        if self.truth.ndim - 2 != n_axes:
            raise ConfigError(f"these fields have {self.truth.ndim - 2} axes of space, not {n_axes}: use {instead}")
