"""Settings of families whose data are one HDF5 file with all parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from potentia.cli.families.base import FamilySettings, require_free
from potentia.cli.families.files import anchored
from potentia.seeding import fresh_seed

__all__ = ["OneFile", "OneFileSettings"]


@dataclass(frozen=True, kw_only=True)
class OneFile:
    """Where the data are."""

    file: str
    """HDF5 file with what is trained on, chosen by, and held out."""


@dataclass(frozen=True, kw_only=True)
class OneFileSettings(FamilySettings):
    """Settings with one file of data."""

    data: OneFile
    """All parts of the data."""

    def __post_init__(self) -> None:
        require_free(self.config, {"checkpoint_dir": None})

    @property
    @abstractmethod
    def config(self) -> Any:
        """Settings of the training."""

    @abstractmethod
    def trained_by(self, config: Any) -> Self:
        """Return them with other settings of the training."""

    def at(self, root: Path) -> Self:
        """Return them with a relative path of the data taken from a directory."""
        return replace(self, data=replace(self.data, file=anchored(self.data.file, root)))

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
