"""Settings of families whose data are one HDF5 file with all parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from potentia.cli.families.base import FamilySettings, require_free
from potentia.cli.families.files import anchored
from potentia.ensemble import CommitteeConfig
from potentia.errors import ConfigError
from potentia.seeding import fresh_seed

__all__ = ["OneFile", "OneFileSettings"]


@dataclass(frozen=True, kw_only=True)
class OneFile:
    """Where the data are."""

    file: str
    """HDF5 file with what is trained on, chosen by, and held out."""
    calibrate: str | None = None
    """HDF5 file, the same or another one, whose held-out part error bars of a committee are learned from, and on half
    of it measured; null for none."""


@dataclass(frozen=True, kw_only=True)
class OneFileSettings(FamilySettings):
    """Settings with one file of data."""

    data: OneFile
    """All parts of the data."""
    committee: CommitteeConfig | None = None
    """Several models that are trained side by side, their spread as error bar; null for one."""

    def __post_init__(self) -> None:
        require_free(self.config, {"checkpoint_dir": None})
        if self.committee is not None:
            require_free(self.committee, {"output_dir": None}, block="committee")
        elif self.data.calibrate is not None:
            text = "data.calibrate is for the error bars of a committee: leave it out, or add `committee`"
            raise ConfigError(text)

    @property
    @abstractmethod
    def config(self) -> Any:
        """Settings of the training."""

    @abstractmethod
    def trained_by(self, config: Any) -> Self:
        """Return them with other settings of the training."""

    def at(self, root: Path) -> Self:
        """Return them with a relative path of the data taken from a directory."""
        held_out = None if self.data.calibrate is None else anchored(self.data.calibrate, root)
        return replace(self, data=replace(self.data, file=anchored(self.data.file, root), calibrate=held_out))

    def several(self, members: int) -> Self:
        """Return them for a committee, whose error bars are learned from the held-out part of its own data."""
        committee = CommitteeConfig(num_members=members)
        return replace(self, committee=committee, data=replace(self.data, calibrate=self.data.file))

    def seeded(self, seed: int | None) -> Self:
        """Return them with a seed in any case."""
        if self.seed is not None:
            return self
        return self.trained_by(replace(self.config, seed=fresh_seed() if seed is None else seed))

    @property
    def seed(self) -> int | None:
        """Seed of the training."""
        found: int | None = self.config.seed
        return found

    @property
    def files(self) -> Sequence[Path]:
        """The one file."""
        return [Path(self.data.file)]
