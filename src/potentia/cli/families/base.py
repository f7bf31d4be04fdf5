"""What a command asks of a family: to look at data, to train by settings, to predict, to evaluate, to export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_type_hints

from potentia.checks import choice
from potentia.cli.outputs import require_empty
from potentia.config import plain, to_dict
from potentia.errors import ConfigError
from potentia.runs import Job, RunDirectory, Trained

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Family", "FamilySettings", "Look", "require_free"]


@dataclass(frozen=True, kw_only=True)
class FamilySettings(ABC):
    """All settings of one training, the blocks of its file; a family says which."""

    @abstractmethod
    def at(self, root: Path) -> Self:
        """Return them with relative paths of data taken from a directory."""

    @abstractmethod
    def seeded(self, seed: int | None) -> Self:
        """Return them with the seed they have, else with this one, else with a new one."""

    @property
    @abstractmethod
    def seed(self) -> int | None:
        """Seed of the training."""

    @property
    @abstractmethod
    def files(self) -> Sequence[Path]:
        """All files of data, in order."""

    def plain(self) -> dict[str, Any]:
        """Return all of them as plain values, block by block."""
        hints = get_type_hints(type(self))
        values = {one.name: self.__dict__[one.name] for one in fields(self)}
        return {  # the name of a class only where a block may be of several
            name: to_dict(value) if hints[name] is type(value) else plain(value, name) for name, value in values.items()
        }


@dataclass(frozen=True)
class Look:
    """What data look like, and settings that suit them."""

    saw: Sequence[str]
    """What was seen, in sentences."""
    settings: FamilySettings
    """What to begin with."""
    shown: Mapping[str, Sequence[str]]
    """Block → the fields of it that a first file of settings shows; others have their defaults."""
    why: Mapping[str, str] = field(default_factory=dict)
    """``block.field`` → why it has this value."""


class Family(ABC):
    """One family; it keeps nothing."""

    name: ClassVar[str]
    """As in ``family:`` of the settings."""
    settings_class: ClassVar[type[FamilySettings]]
    """The blocks of its settings."""
    kinds: ClassVar[frozenset[str]]
    """Kinds of its files."""
    exports: ClassVar[Mapping[str, str]] = {}
    """Format → what it is."""
    free: ClassVar[frozenset[str]]
    """Fields of the training that may be others when a run goes on."""
    free_besides: ClassVar[frozenset[str]] = frozenset()
    """``block.field`` of other blocks that may."""
    directory: ClassVar[type[RunDirectory]] = RunDirectory
    """What the files of its runs are called."""

    @abstractmethod
    def recognises(self, paths: Sequence[Path]) -> bool:
        """Whether these are data of this family, by their names and what they begin with."""

    @abstractmethod
    def look(self, paths: Sequence[Path], named: Sequence[str]) -> Look:
        """Look at data.

        Args:
            paths: The files.
            named: What settings call them: folders and patterns as they were given.
        """

    @abstractmethod
    def as_committee(self, look: Look, members: int) -> Look:
        """Return settings of a committee with so many members, instead of those of one model."""

    @abstractmethod
    def job(self, settings: Any) -> Job[Trained]:
        """Read the data of a training."""

    @abstractmethod
    def predict(self, model: Path, data: Sequence[Path], out: Path | None) -> pd.DataFrame:
        """Predict, write all of it to a file if one is named, and return a table of it."""

    @abstractmethod
    def evaluate(self, model: Path, data: Sequence[Path]) -> pd.DataFrame:
        """Return a table of errors, beside those of what costs no training."""

    def tables(self, model: Path, data: Sequence[Path]) -> Mapping[str, pd.DataFrame]:
        """Return ``"errors"``, and other tables of what labels tell of a model."""
        return {"errors": self.evaluate(model, data)}

    @abstractmethod
    def calibrate(self, model: Path, data: Sequence[Path], level: float) -> Mapping[str, pd.DataFrame]:
        """Learn error bars of a committee from labelled data, keep them in its file, and return how good they are.

        Raises:
            ConfigError: the model is a single one, which has no spread.
        """

    def export(self, model: Path, to: str, out: Path) -> Sequence[Path]:
        """Write a model for another program, and return the files.

        Raises:
            ConfigError: there is no such format, or the folder has something in it.
        """
        if not self.exports:
            raise ConfigError(f"{self.name} have no export: their file is read by `load` of the estimator")
        form = choice("--to", to, tuple(self.exports))
        require_empty(out, " by -o")
        return self._export(model, form, out)

    def _export(self, model: Path, to: str, out: Path) -> Sequence[Path]:
        raise NotImplementedError


def require_free(training: Any, names: Mapping[str, Any], block: str = "training") -> None:
    """Refuse settings of a training that its directory decides.

    Args:
        training: Settings.
        names: Field → the value of it that says nothing.
        block: What they are called.
    """
    for name, nothing in names.items():
        if training.__dict__[name] != nothing:
            raise ConfigError(f"{block}: {name} is decided by the directory of the run (--run-dir): leave it out")
