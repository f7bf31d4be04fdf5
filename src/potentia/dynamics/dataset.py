"""Windows of logs as a network needs them: what was known before, the controls after it, and what followed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from potentia.checks import choice, integer
from potentia.errors import ConfigError, DataError

__all__ = ["Blocks", "FeatureDataset", "truncate_dataset_timesteps"]

Floats: TypeAlias = NDArray[np.float64]
Blocks: TypeAlias = Literal["windows", "logs"]
Which: TypeAlias = slice | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FeatureDataset:
    """Windows of logs: ``targets[:, k]`` is the state after ``controls[:, k]`` were held for ``dt[:, k]``."""

    initial_states: Floats = field(repr=False)
    """[windows, states]"""
    controls: Floats = field(repr=False)
    """[windows, steps, controls]"""
    targets: Floats = field(repr=False)
    """[windows, steps, states]"""
    dt: Floats = field(repr=False)
    """Lengths of the steps (s); one for all, or [windows, steps]."""
    state_names: tuple[str, ...]
    """Those of the model, in its order."""
    control_names: tuple[str, ...]
    """Those of the model, in its order."""
    features: Floats | None = field(default=None, repr=False)
    """Columns of the user, such as an embedding of the terrain, at the first state.  [windows, features]"""
    feature_names: tuple[str, ...] = ()
    """Names of the columns."""
    history: Floats | None = field(default=None, repr=False)
    """States and controls of the steps before the first state, the oldest first: entry k is a state, and the controls
    held after it.  [windows, past, states + controls]"""
    mask: NDArray[np.bool_] | None = field(default=None, repr=False)
    """Which targets count; None for all.  [windows, steps]"""
    group: NDArray[np.int64] = field(default=cast(Any, None), repr=False)
    """Number of the log of each window; all of one log if it is not given.  [windows]"""
    group_names: tuple[str, ...] = ("log",)
    """Name of each log."""

    def __post_init__(self) -> None:
        for name in ("initial_states", "controls", "targets", "dt", "features", "history"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.ascontiguousarray(value, dtype=np.float64).reshape(np.shape(value)))
        if self.mask is None:
            object.__setattr__(self, "mask", np.ones(np.shape(self.targets)[:2], dtype=bool))
        if self.group is None:
            object.__setattr__(self, "group", np.zeros(len(self.initial_states), dtype=np.int64))
        self._check_shapes()
        self._check_values()

    def __len__(self) -> int:
        return len(self.initial_states)

    @property
    def n_steps(self) -> int:
        """Steps of a window."""
        return int(self.controls.shape[1])

    @property
    def past(self) -> int:
        """Steps of the history, 0 where there is none."""
        return 0 if self.history is None else int(self.history.shape[1])

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which targets count.  [windows, steps]"""
        assert self.mask is not None
        return self.mask

    @property
    def step_lengths(self) -> Floats:
        """Length of each step (s).  [windows, steps]"""
        return np.broadcast_to(self.dt, self.targets.shape[:2])

    def take(self, which: Which) -> Self:
        """Return some of the windows."""
        changed: Mapping[str, object] = {
            name: None if (value := getattr(self, name)) is None else value[which]
            for name in ("initial_states", "controls", "targets", "features", "history", "mask", "group")
        }
        dt = self.dt if self.dt.ndim == 0 else self.dt[which]
        return replace(self, dt=dt, **changed)  # type: ignore[arg-type]  # a mapping of its own fields

    def in_blocks(self, blocks: Blocks) -> Self:
        """Return the windows with what is independent of each other as their groups: windows, or whole logs."""
        if choice("blocks", blocks, ("windows", "logs")) == "logs":
            return self
        names = tuple(f"window {k}" for k in range(len(self)))
        return replace(self, group=np.arange(len(self)), group_names=names)

    def marks(self) -> list[str]:
        """Return a mark of each window, by where it begins, its controls and what followed.  [windows]"""
        seen = (self.initial_states, self.controls, np.where(self.counted[..., None], self.targets, 0.0))
        rows = np.concatenate([one.reshape(len(self), -1) for one in seen], axis=1)
        return [hashlib.sha256(row.tobytes()).hexdigest()[:16] for row in rows]

    def mark(self) -> str:
        """Return a hash of all that it holds."""
        digest = hashlib.sha256()
        names = (self.state_names, self.control_names, self.feature_names, self.group_names)
        digest.update(repr(names).encode())
        for name in ("initial_states", "controls", "targets", "dt", "features", "history", "mask", "group"):
            value = getattr(self, name)
            digest.update(name.encode())
            if value is not None:
                digest.update(repr((value.shape, value.dtype.str)).encode())
                digest.update(np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()

    def _check_shapes(self) -> None:
        windows = len(self.initial_states)
        states, controls = len(self.state_names), len(self.control_names)
        steps = self.controls.shape[1] if self.controls.ndim == 3 else -1
        wanted: dict[str, tuple[int, ...]] = {
            "initial_states": (windows, states),
            "controls": (windows, steps, controls),
            "targets": (windows, steps, states),
            "mask": (windows, steps),
            "group": (windows,),
        }
        if self.dt.ndim:
            wanted["dt"] = (windows, steps)
        if self.features is not None:
            wanted["features"] = (windows, len(self.feature_names))
        if self.history is not None:
            wanted["history"] = (windows, self.past if self.history.ndim == 3 else -1, states + controls)
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape or -1 in shape:
                axes = ", ".join("any" if axis == -1 else str(axis) for axis in shape)
                raise DataError(f"`{name}` must have shape ({axes}), got {found}")
        if not windows or steps < 1:
            raise DataError("there are no windows: read longer logs, or ask for a shorter horizon")
        if self.group.min() < 0 or self.group.max() >= len(self.group_names):
            raise DataError(f"`group` must be numbers of the {len(self.group_names)} group_names")

    def _check_values(self) -> None:
        if not (np.isfinite(self.dt).all() and (self.dt > 0).all()):
            raise DataError("`dt` must be finite and greater than 0 (s)")
        for name in ("initial_states", "controls", "features", "history"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                window = int(np.argwhere(~np.isfinite(value))[0, 0])
                raise DataError(f"`{name}` is not finite in window {window}: leave that window out")
        wrong = ~np.isfinite(self.targets).all(-1) & self.counted
        if wrong.any():
            window, step = (int(k) for k in np.argwhere(wrong)[0])
            raise DataError(f"`targets` is not finite in window {window}, step {step}, which counts: set its `mask`")
        if not self.counted.any(1).all():
            window = int(np.flatnonzero(~self.counted.any(1))[0])
            raise DataError(f"window {window} has no target that counts: leave that window out")


def truncate_dataset_timesteps(dataset: FeatureDataset, steps: int) -> FeatureDataset:
    """Return the windows with their first steps only; as they are where they have no more.

    Raises:
        ConfigError: ``steps`` is not a positive integer.
    """
    if integer("steps", steps) < 1:
        raise ConfigError(f"steps must be at least 1, got {steps}")
    if steps >= dataset.n_steps:
        return dataset
    keep = np.asarray(dataset.counted[:, :steps].any(1))  # a window whose first steps do not count says nothing
    kept = dataset if keep.all() else dataset.take(keep)
    return replace(
        kept,
        controls=kept.controls[:, :steps],
        targets=kept.targets[:, :steps],
        mask=kept.counted[:, :steps],
        dt=kept.dt if kept.dt.ndim == 0 else kept.dt[:, :steps],
    )
