"""Settings of families whose data are one HDF5 file with all parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd

from potentia.cli.families.base import FamilySettings, require_free
from potentia.cli.families.files import anchored
from potentia.runs import Job, RunDirectory, Trained
from potentia.seeding import fresh_seed
from potentia.train import Forecast

__all__ = ["OneFile", "OneFileJob", "OneFileSettings"]


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

    @abstractmethod
    def untrained(self) -> Any:
        """Return the estimator."""

    def at(self, root: Path) -> Self:
        """Return them with a relative path of the data taken from a directory."""
        return replace(self, data=OneFile(file=anchored(self.data.file, root)))

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


@dataclass(frozen=True)
class OneFileJob(Job[Trained]):
    """Data of one file, and an estimator that is to learn them."""

    settings: OneFileSettings
    data: Any
    """All parts."""

    @abstractmethod
    def errors(self, estimator: Any) -> pd.DataFrame:
        """Return errors on the held-out part, beside those of what costs no training."""

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        found: Forecast = self.settings.untrained().forecast(self.data, self.settings.config)
        return found

    def train(self, directory: RunDirectory, resume_from: Path | None) -> Trained:
        """Train, or go on."""
        estimator = self.settings.untrained()
        config = replace(self.settings.config, checkpoint_dir=str(directory.checkpoints))
        out = estimator.train(self.data, config, resume_from)
        return Trained(estimator, out, None if out.resumable else self.errors(estimator))
