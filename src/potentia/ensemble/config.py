"""Settings of a committee: how many members, from which seeds, on which part of the data, and where they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potentia.checks import choice, integer, number
from potentia.errors import ConfigError
from potentia.seeding import fresh_seed

__all__ = ["CommitteeConfig"]


@dataclass(frozen=True)
class CommitteeConfig:
    """How a committee is trained.

    Raises:
        ConfigError: a value cannot be; the message names the field.

    >>> CommitteeConfig(num_members=3, base_seed=11).seeds(default=None)
    [11, 12, 13]
    """

    num_members: int
    """Number of members."""
    base_seed: int | None = None
    """Seed of the first member; each further one has the next. None takes the seed of the training's settings, else
    draws one."""
    member_seeds: Sequence[int] | None = None
    """Seed of each member, instead."""
    max_parallel: int = 1
    """Members trained at a time, each in a process of its own; 1 trains them one after the other in this process."""
    devices: Sequence[str] | None = None
    """torch devices that the members take in turn; None for that of the training's settings."""
    output_dir: Path | str | None = None
    """Directory of the members' files; None for ``committee_run``."""
    resample: str = "none"
    """What each member is trained on: ``"none"`` all of the training part, ``"bootstrap"`` as many draws from it with
    replacement, ``"subset"`` a part of it."""
    subset_fraction: float = 0.8
    """Size of that part, for ``"subset"``."""
    threads_per_member: int | None = None
    """Threads of a member; None shares those of the machine between members trained at a time."""
    batched: bool = False
    """Train all members together as one network with one more dimension, on one device."""

    def __post_init__(self) -> None:
        integer("num_members", self.num_members, low=1)
        if self.base_seed is not None:
            integer("base_seed", self.base_seed, low=0)
        if self.member_seeds is not None:
            if len(self.member_seeds) != self.num_members:
                raise ConfigError(
                    f"member_seeds must have length equal to num_members, got {len(self.member_seeds)} seeds for "
                    f"{self.num_members} members"
                )
            for k, seed in enumerate(self.member_seeds):
                integer(f"member_seeds[{k}]", seed, low=0)
            if self.resample == "none" and len(set(self.member_seeds)) < self.num_members:
                raise ConfigError(f"member_seeds must differ, or members are the same, got {list(self.member_seeds)}")
        integer("max_parallel", self.max_parallel, low=1)
        if self.devices is not None and (isinstance(self.devices, str) or not self.devices):
            raise ConfigError(f"devices must list torch devices and must not be empty when provided: {self.devices!r}")
        choice("resample", self.resample, ("none", "bootstrap", "subset"))
        if number("subset_fraction", self.subset_fraction, low=0.0, high=1.0) == 0:
            raise ConfigError("subset_fraction must be above 0: nothing would be left to train on")
        if self.threads_per_member is not None:
            integer("threads_per_member", self.threads_per_member, low=1)
        if self.batched and (self.max_parallel > 1 or (self.devices is not None and len(self.devices) > 1)):
            raise ConfigError("batched=True trains all members together on one device: leave max_parallel and devices")

    def require_separate(self, members: str) -> None:
        """Raise `ConfigError` if members, called so, are to be trained as one network, which theirs cannot be."""
        if self.batched:
            raise ConfigError(f"batched=True is not for {members}: leave it out, and set max_parallel")

    @property
    def directory(self) -> Path:
        """Where the members' files are."""
        return Path("committee_run" if self.output_dir is None else self.output_dir)

    def seeds(self, default: int | None) -> list[int]:
        """Return the seed of each member; ``default`` is that of the training's settings."""
        if self.member_seeds is not None:
            return list(self.member_seeds)
        first = self.base_seed if self.base_seed is not None else default
        first = fresh_seed() // 2 if first is None else first
        return [first + k for k in range(self.num_members)]

    def device_of(self, member: int, default: str) -> str:
        """Return the device of a member: they take turns."""
        return default if self.devices is None else self.devices[member % len(self.devices)]
