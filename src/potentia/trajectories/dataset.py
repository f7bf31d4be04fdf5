"""Trajectories of one system on one grid of times, and the three parts of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.errors import DataError, warn_user
from potentia.seeding import stream

__all__ = ["PARTS", "Arrays", "Trajectories", "TrajectoryData", "Which"]

PARTS = ("train", "test", "val")
"""Names of the parts of a data set."""

Floats: TypeAlias = NDArray[np.float64]
Arrays: TypeAlias = NDArray[np.floating] | Sequence[NDArray[np.floating]]
"""One array of the whole set, or one for each of `PARTS`."""
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
    """Names of the parameters; ``parameter_0``, … where they have parameters and none are given."""

    def __post_init__(self) -> None:
        for name in ("states", "times", "parameters"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.ascontiguousarray(value, dtype=np.float64))
        _check_shapes(self)
        _check_values(self)
        if self.n_parameters and not self.parameter_labels:
            names = tuple(f"parameter_{p}" for p in range(self.n_parameters))
            object.__setattr__(self, "parameter_labels", names)
        if len(self.parameter_labels) != self.n_parameters:
            raise DataError(f"parameter_labels must name {self.n_parameters} parameters, got {self.parameter_labels}")

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

    @property
    def group(self) -> NDArray[np.int64]:
        """Number of what each trajectory follows from: those that begin alike, parameters included, have one.

        [trajectories]
        """
        found: NDArray[np.int64] = np.unique(_known(self), axis=0, return_inverse=True)[1].reshape(-1)
        return found

    def marks(self) -> list[str]:
        """Return a mark of each trajectory, by what it follows from.  [trajectories]"""
        return [hashlib.sha256(start).hexdigest()[:16] for start in _starts(self)]

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

    @classmethod
    def from_arrays(
        cls,
        data: Arrays,
        *,
        params: Arrays | None = None,
        timesteps: NDArray[np.floating] | None = None,
        labels: Sequence[str] | None = None,
        parameter_labels: Sequence[str] = (),
        split: tuple[float, float, float] = (0.7, 0.1, 0.2),
        seed: int = 42,
        name: str = "data",
        allow_shared: bool = False,
    ) -> Self:
        """Return the data of one array, which is shuffled and split, or of three that are split already.

        Args:
            data: States, all of them or a tuple of train, test and val.  [trajectories, times, quantities]
            params: Parameters in the same form, None where there are none.  [trajectories, parameters]
            timesteps: Times of the steps; 0 to 1 in equal steps if None.  [times]
            labels: Names of the quantities; ``quantity_0``, … if None.
            parameter_labels: Names of the parameters.
            split: Parts of one array that go to train, test and val; their sum is 1.
            seed: Shuffles one array.
            name: What the data are called.
            allow_shared: Whether parts may hold the same initial condition; see `refuse_shared`.

        Raises:
            DataError: shapes do not fit, a value is not finite, a part would be empty, or val shares an initial
                condition with train.
        """
        if isinstance(data, np.ndarray):
            data, params = _cut(_three_axes(data, name), params, split, seed)
        states = _three("data", data)
        given = (None, None, None) if params is None else _three("params", params)
        steps, quantities = _three_axes(states[0], f"{name}: train").shape[1:]
        times = np.linspace(0.0, 1.0, steps) if timesteps is None else np.asarray(timesteps)
        names = tuple(f"quantity_{q}" for q in range(quantities)) if labels is None else tuple(labels)
        made = []
        for part, state, parameters in zip(PARTS, states, given, strict=True):
            try:
                made.append(Trajectories(state, times, parameters, names, tuple(parameter_labels)))
            except DataError as error:
                raise DataError(f"{name}: {part}: {error}") from None
        found = cls.of(made[0], made[1], made[2], name)
        if not allow_shared:
            found.refuse_shared()
        return found

    def __post_init__(self) -> None:
        for name in ("test", "val"):
            part = getattr(self, name)
            if part.labels != self.train.labels or part.n_parameters != self.train.n_parameters:
                raise DataError(
                    f"{self.name}: {name} has quantities {part.labels} and {part.n_parameters} parameters, train has "
                    f"{self.train.labels} and {self.train.n_parameters}"
                )

    def shared(self, one: str, other: str) -> NDArray[np.int64]:
        """Return which trajectories of part ``other`` begin, parameters included, exactly as one of part ``one``."""
        known = set(_starts(getattr(self, one)))
        return np.array([n for n, start in enumerate(_starts(getattr(self, other))) if start in known], dtype=np.int64)

    def refuse_shared(self) -> None:
        """Refuse data whose figures would be of trajectories that were trained on.

        Raises:
            DataError: a trajectory of val begins exactly as one of train.

        Warns:
            PotentiaWarning: one of test begins as one of train, or one of val as one of test: the choice of a model
                goes by what it was fitted to, or its figures are of what it was chosen by.
        """
        for one, other in (("train", "val"), ("train", "test"), ("test", "val")):
            same = self.shared(one, other)
            if not len(same):
                continue
            text = (
                f"{self.name}: {len(same)} of {len(getattr(self, other))} trajectories of {other} begin exactly as "
                f"one of {one}, the first is {other} {same[0]}"
            )
            if (one, other) == ("train", "val"):
                raise DataError(
                    f"{text}; the errors of a model on them say what it remembers: make the parts anew, or pass "
                    "allow_shared=True",
                    page="trajectories.md#data",
                )
            warn_user(text)

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


def _three(name: str, arrays: Arrays) -> tuple[Floats, Floats, Floats]:
    if isinstance(arrays, np.ndarray) or len(arrays) != 3:
        raise DataError(f"{name} must be three arrays, train, test and val, as the states are; got {len(arrays)}")
    train, test, val = (np.asarray(array, dtype=np.float64) for array in arrays)
    return train, test, val


def _three_axes(states: NDArray[np.floating], where: str) -> NDArray[np.floating]:
    if states.ndim != 3:
        raise DataError(f"{where}: states must have shape (trajectories, times, quantities), got {states.shape}")
    return states


def _cut(
    data: NDArray[np.floating], params: Arrays | None, split: tuple[float, float, float], seed: int
) -> tuple[list[NDArray[np.floating]], list[NDArray[np.floating]] | None]:
    """Return one array of states, and one of parameters, as three of shuffled trajectories."""
    if len(split) != 3 or min(split) < 0 or abs(sum(split) - 1) > 1e-5:
        raise DataError(f"split must be the parts of train, test and val with sum 1, got {split}")
    n = len(data)
    n_train, n_test = int(n * split[0] + 1e-9), int(n * split[1] + 1e-9)  # 0.7·10 is a little less than 7
    order = stream(seed, "split").permutation(n)
    which = np.split(order, [n_train, n_train + n_test])
    for part, rows in zip(PARTS, which, strict=True):
        if not len(rows):
            raise DataError(
                f"split {split} of {n} trajectories leaves none to {part}: choose a larger part, or add some"
            )
    if params is None:
        return [data[rows] for rows in which], None
    if not isinstance(params, np.ndarray) or len(params) != n:
        raise DataError(f"params must be one array of {n} rows, one for each trajectory, as the states are one array")
    return [data[rows] for rows in which], [params[rows] for rows in which]


def _starts(part: Trajectories) -> list[bytes]:
    """Return what each trajectory follows from, as bytes."""
    return [row.tobytes() for row in _known(part)]


def _known(part: Trajectories) -> Floats:
    """Return initial states and parameters; −0 is 0.  [trajectories, quantities + parameters]"""
    known = part.initial_states if part.parameters is None else np.hstack([part.initial_states, part.parameters])
    return known + 0.0


def _check_shapes(part: Trajectories) -> None:
    if part.states.ndim != 3 or 0 in part.states.shape:
        raise DataError(f"states must have shape (trajectories, times, quantities), got {part.states.shape}")
    trajectories, times, quantities = part.states.shape
    if part.times.shape != (times,):
        raise DataError(f"times must have shape (times,) = ({times},), got {part.times.shape}")
    if len(part.labels) != quantities:
        raise DataError(f"labels must name {quantities} quantities, got {len(part.labels)}: {part.labels}")
    shape = None if part.parameters is None else part.parameters.shape
    if shape is not None and (len(shape) != 2 or shape[0] != trajectories or shape[1] == 0):
        wanted = f"(trajectories, parameters) = ({trajectories}, …)"
        raise DataError(f"parameters must have shape {wanted}, and be None where there are none; got {shape}")


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
