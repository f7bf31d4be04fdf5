"""What a report is about: one estimator, or a committee, read from its file or directory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from potentia.ensemble.calibrated import CalibratedCommittee
from potentia.ensemble.estimators import Model
from potentia.report import expected_kind

__all__ = ["Reported"]

Several = TypeVar("Several", bound=CalibratedCommittee[Any, Any])


@dataclass(frozen=True, eq=False)
class Reported(Generic[Model, Several]):
    """One estimator or several that are asked together."""

    one: Model
    """The estimator, or the first member."""
    file: Path
    """Where it is."""
    committee: Several | None = None
    """The committee, if it is one."""

    @classmethod
    def of(cls, path: Path, committee: type[Several], kinds: Collection[str]) -> Self:
        """Read the file of an estimator or a committee, or the directory of a committee.

        Args:
            path: Of either.
            committee: Class of committees of the family.
            kinds: Kinds of the files of single ones.

        Raises:
            FileFormatError: it is none of them.
            NotFittedError: no member of the committee is trained.
        """
        if path.is_dir():
            found = committee.from_directory(path)
            return cls(found.load_members()[0], found.member_model_paths[0], found)
        if expected_kind(path, {*kinds, committee.kind}) != committee.kind:
            return cls(committee.member_in(path), path)
        found = committee.load(path)
        return cls(found.load_members()[0], path, found)

    @property
    def record(self) -> Mapping[str, Any]:
        """How it was trained; of a committee, how the first member was."""
        record: Mapping[str, Any] = self.one.fitted().record
        return record

    @property
    def predictor(self) -> Any:
        """What is asked; of a committee, the mean."""
        return self.one if self.committee is None else self.committee.mean()

    def title(self, name: str, names: str, data: str) -> str:
        """Return what it is, in words.

        Args:
            name: What one is called.
            names: What several are called.
            data: What data are called that have no name.
        """
        on = self.record.get("data", {}).get("name", data)
        if self.committee is None:
            return f"{name} of {on}"
        return f"Committee of {len(self.committee.load_members())} {names} of {on}"
