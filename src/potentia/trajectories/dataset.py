"""Trajectories of one system on one grid of times, and the three parts of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.errors import DataError

__all__ = ["Trajectories", "TrajectoryData", "Which"]

Floats: TypeAlias = NDArray[np.float64]
Which: TypeAlias = slice | Sequence[int] | NDArray[np.int64]
"""Places that are taken, as NumPy takes them."""


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Trajectories on a common grid, in physical units."""

    states: Floats = field(repr=False)
    """[trajectories, times, quantities]"""
    times: Floats = field(repr=False)
    """Strictly increasing, in any unit and with any spacing.  [times]"""
    parameters: Floats | None = field(repr=False)
    """Constant along a trajectory; None where the system has none.  [trajectories, parameters]"""
    labels: tuple[str, ...]
    """Names of the quantities."""
    parameter_labels: tuple[str, ...] = ()
    """Names of the parameters."""

    def __post_init__(self) -> None:
        for name in ("states", "times", "parameters"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.ascontiguousarray(value, dtype=np.float64))
        _check_shapes(self)
        _check_values(self)

    def __len__(self) -> int:
        return len(self.states)

    @property
    def n_quantities(self) -> int:
        """Length of a state."""
        return int(self.states.shape[2])

    @property
    def n_parameters(self) -> int:
        """Parameters of a trajectory, 0 where there are none."""
        return 0 if self.parameters is None else self.parameters.shape[1]

    @property
    def initial_states(self) -> Floats:
        """States at the first time.  [trajectories, quantities]"""
        first: Floats = self.states[:, 0]
        return first

    def take(self, which: Which) -> Self:
        """Return some of the trajectories."""
        parameters = None if self.parameters is None else self.parameters[which]
        return replace(self, states=self.states[which], parameters=parameters)

    def at_steps(self, which: Which) -> Self:
        """Return the trajectories at some of the times."""
        return replace(self, states=self.states[:, which], times=self.times[which])


@dataclass(frozen=True, eq=False)
class TrajectoryData:
    """Three parts that share no initial condition."""

    train: Trajectories
    """Is fitted."""
    test: Trajectories
    """Model selection goes by it: curves, the best epoch, tuning, calibration."""
    val: Trajectories
    """Held out: every reported figure is of it."""
    name: str
    """What the data are called."""
    horizon: tuple[float, float]
    """First and last time of the whole set; it stays when times are left out, and so does the map of time."""
    system: str | None = None
    """Name of the system that made the data, where that is known."""

    @classmethod
    def of(
        cls, train: Trajectories, test: Trajectories, val: Trajectories, name: str, system: str | None = None
    ) -> Self:
        """Return the data of a whole set, whose times are its horizon."""
        return cls(train, test, val, name, (float(val.times[0]), float(val.times[-1])), system)

    def __post_init__(self) -> None:
        for name in ("test", "val"):
            part = getattr(self, name)
            if part.labels != self.train.labels or part.n_parameters != self.train.n_parameters:
                raise DataError(
                    f"{self.name}: {name} has quantities {part.labels} and {part.n_parameters} parameters, train has "
                    f"{self.train.labels} and {self.train.n_parameters}"
                )

    def with_splits(self, train: Trajectories, test: Trajectories) -> Self:
        """Return the same held-out part and horizon with other parts to train on and to select by."""
        return replace(self, train=train, test=test)

    def mark(self) -> str:
        """Return a hash of all that is in it."""
        found = hashlib.sha256(repr((self.horizon, self.train.labels, self.train.parameter_labels)).encode())
        for part in (self.train, self.test, self.val):
            for array in (part.states, part.times, part.parameters):
                if array is not None:
                    found.update(repr(array.shape).encode() + array.tobytes())
        return found.hexdigest()


def _check_shapes(part: Trajectories) -> None:
    if part.states.ndim != 3 or 0 in part.states.shape:
        raise DataError(f"states must have shape (trajectories, times, quantities), got {part.states.shape}")
    trajectories, times, quantities = part.states.shape
    if part.times.shape != (times,):
        raise DataError(f"times must have shape (times,) = ({times},), got {part.times.shape}")
    if len(part.labels) != quantities:
        raise DataError(f"labels must name {quantities} quantities, got {len(part.labels)}: {part.labels}")
    if part.parameters is not None and (part.parameters.ndim != 2 or len(part.parameters) != trajectories):
        wanted = f"(trajectories, parameters) = ({trajectories}, …)"
        raise DataError(f"parameters must have shape {wanted}, got {part.parameters.shape}")


def _check_values(part: Trajectories) -> None:
    if not np.all(np.diff(part.times) > 0):
        k = int(np.argmin(np.diff(part.times) > 0))
        raise DataError(f"times must increase: step {k} is {part.times[k]:g}, step {k + 1} is {part.times[k + 1]:g}")
    bad = np.argwhere(~np.isfinite(part.states))
    if len(bad):
        n, t, q = bad[0]
        raise DataError(f"states of trajectory {n}, step {t}, {part.labels[q]} are not finite ({len(bad)} in all)")
    if part.parameters is not None and not np.isfinite(part.parameters).all():
        n, p = np.argwhere(~np.isfinite(part.parameters))[0]
        raise DataError(f"parameter {p} of trajectory {n} is not finite")
