"""All that is known of samples: parameters, seeds, initial fields, what came of them, and which part each belongs to.

Data to train on hold sound samples only; a record keeps the others too, with a flag.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from potentia import progress
from potentia.config import from_dict
from potentia.errors import ConfigError, DataError, warn_user
from potentia.operators.dataset import PARTS, OperatorData, Samples
from potentia.operators.space import ParameterSpace
from potentia.operators.systems import FieldSystem, system

__all__ = ["CHECK_STEPS", "Record", "Run", "sound"]

CHECK_STEPS = 8
"""Steps behind the initial field after which the state is kept to compare with."""
AT_ONCE = 64
"""Samples that are solved at a time."""

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a system was run."""

    system: str
    """Its name."""
    settings: Mapping[str, Any]
    """Its settings, plain."""
    steps: int
    """Fields kept behind the initial one."""
    every: int = 1
    """Steps of the system between two of them."""
    seed: int | None = None
    """Seed that parameters, initial fields and noise were drawn from; None if they were given."""

    def build(self) -> FieldSystem:
        """Return the system with these settings.

        Raises:
            ConfigError: there is none of this name, or it has other settings.
        """
        known = system(self.system)
        if known.settings() == dict(self.settings):
            return known
        if not is_dataclass(known):
            raise ConfigError(f"{self.system!r} was run with settings {dict(self.settings)}: register that system")
        return from_dict(type(known), self.settings)

    def trajectories(
        self, initial: NDArray[np.float32], values: Floats, seeds: NDArray[np.uint64], steps: int | None = None
    ) -> NDArray[np.float32]:
        """Solve from these initial fields.  [samples, steps + 1, channels, *grid]"""
        one, last = self.build(), self.steps if steps is None else steps
        some = [
            one.trajectories(
                torch.from_numpy(np.array(initial[first : first + AT_ONCE], dtype=np.float32)),
                values[first : first + AT_ONCE],
                last,
                seeds[first : first + AT_ONCE],
                self.every,
            )
            for first in progress.track(range(0, len(initial), AT_ONCE), f"{AT_ONCE} samples each")
        ]
        return np.asarray(torch.cat(some).numpy(), dtype=np.float32)

    def digests(self, seeds: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return a check sum of what makes the steps of each sample: settings, and weights drawn.  [samples, 16]"""
        one = self.build()
        head = json.dumps([self.system, self.settings, self.every], sort_keys=True).encode()
        sums = [hashlib.blake2b(head + one.drawn(int(seed)), digest_size=16).digest() for seed in seeds]
        return np.frombuffer(b"".join(sums), dtype=np.uint8).reshape(len(seeds), 16)


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """Samples in the order in which they were drawn."""

    values: Floats
    """Values of the parameters; of a choice its place in the list.  [samples, parameters]"""
    group: NDArray[np.int64]
    """Number of the set of parameters.  [samples]"""
    part: NDArray[np.uint8]
    """Place in `PARTS` of the part that each belongs to.  [samples]"""
    initial: NDArray[np.float32] = field(repr=False)
    """[samples, channels, *grid]"""
    trajectories: NDArray[np.float32] | None = field(repr=False)
    """[samples, steps + 1, channels, *grid]; None where they are to be solved again."""
    sound: NDArray[np.bool_]
    """Whether all of a trajectory is finite and inside the bound of the system.  [samples]"""
    largest: NDArray[np.float32]
    """Largest absolute value of each trajectory.  [samples]"""
    check: NDArray[np.float32] = field(repr=False)
    """State after `CHECK_STEPS` steps, or at the end if that is earlier.  [samples, channels, *grid]"""
    seeds: NDArray[np.uint64] | None
    """Seed of the noise of each sample, and of its weights where it has its own; None if unknown.  [samples]"""
    digests: NDArray[np.uint8] | None
    """Check sum of what made its steps; None if unknown.  [samples, 16]"""
    kinds: tuple[str, ...] | None
    """Kind of each initial field; None if unknown."""
    space: ParameterSpace
    """The parameters."""
    channels: tuple[str, ...]
    """Names of the fields."""
    axes: tuple[str, ...]
    """Names of the axes of space."""
    time_step: float
    """Time between two fields."""
    name: str
    """What the data are called."""
    run: Run | None
    """How they were made; None if they come from elsewhere."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def steps(self) -> int:
        """Fields behind the initial one."""
        if self.run is not None:
            return self.run.steps
        return 0 if self.trajectories is None else self.trajectories.shape[1] - 1

    @classmethod
    def of(cls, data: OperatorData) -> Self:
        """Return a record of data whose making is not known."""
        parts = data.parts()
        fields = np.concatenate([part.fields for part in parts.values()])
        return cls(
            values=np.concatenate([part.parameters for part in parts.values()]),
            group=np.concatenate([part.group for part in parts.values()]),
            part=np.concatenate([np.full(len(part), PARTS.index(key), np.uint8) for key, part in parts.items()]),
            initial=fields[:, 0],
            trajectories=fields,
            sound=np.ones(len(fields), dtype=bool),
            largest=largest_of(fields),
            check=fields[:, min(CHECK_STEPS, fields.shape[1] - 1)],
            seeds=None,
            digests=None,
            kinds=None,
            space=data.space,
            channels=data.channels,
            axes=("x", "y")[: fields.ndim - 3],
            time_step=data.time_step,
            name=data.name,
            run=None,
        )

    def solved(self) -> Self:
        """Return the record with its trajectories, solved again where they were left out.

        Raises:
            DataError: it has none, and it is not known what made them.
        """
        if self.trajectories is not None:
            return self
        if self.run is None or self.seeds is None:
            raise DataError(f"{self.name} has no trajectories, and it does not say which system makes them")
        return replace(self, trajectories=self.run.trajectories(self.initial, self.values, self.seeds))

    def data(self) -> OperatorData:
        """Return the sound samples in their parts.

        Raises:
            DataError: a part has no sound sample.

        Warns:
            PotentiaWarning: samples were left out.
        """
        whole = self.solved()
        assert whole.trajectories is not None
        lost = int((~self.sound).sum())
        if lost:
            which = ", ".join(map(str, np.flatnonzero(~self.sound)[:5]))
            warn_user(
                f"{self.name}: {lost} of {len(self)} samples left their bounds or are not finite, and are left out: "
                f"{which}{', …' if lost > 5 else ''}"
            )
        parts = {}
        for number, name in enumerate(PARTS):
            chosen = np.flatnonzero((self.part == number) & self.sound)
            if len(chosen):
                parts[name] = Samples(whole.trajectories[chosen], self.values[chosen], self.group[chosen])
            elif name != "extrapolation" or (self.part == number).any():
                raise DataError(f"{self.name}: `{name}` has no sound sample")
        known = None if self.run is None else self.run.system
        return OperatorData(
            **parts, space=self.space, channels=self.channels, time_step=self.time_step, name=self.name, system=known
        )


def largest_of(trajectories: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest absolute value of each sample, not a number where one is not.  [samples]"""
    return np.asarray(np.abs(trajectories.reshape(len(trajectories), -1)).max(1))


def sound(largest: NDArray[np.float32], bound: float) -> NDArray[np.bool_]:
    """Return which samples are finite and inside of a bound.  [samples]"""
    return np.asarray(largest <= bound)  # nothing holds of not-a-number
