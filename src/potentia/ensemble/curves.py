"""Histories of all members of a committee as one, as the run of a single estimator has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, final

import numpy as np

from potentia.ensemble.members import MemberResult
from potentia.ensemble.results import CommitteeTrainResult
from potentia.train.history import read_exported

__all__ = ["CommitteeCurves"]


class _Drawn(Protocol):
    def plot_training_summary(self, outfile: Path) -> Any:
        """Draw errors over the epochs."""


@final
@dataclass(frozen=True)
class CommitteeCurves:
    """The mean of each column over the members; a member that has ended earlier is left out of what comes later."""

    result: CommitteeTrainResult[Any]
    history: Sequence[Mapping[str, float]]
    """One row for each epoch."""
    family: Callable[[Sequence[Mapping[str, float]]], _Drawn]
    """What makes figures of such rows: what a single training of the family returns."""

    @classmethod
    def of(cls, result: CommitteeTrainResult[Any], family: Callable[[Sequence[Mapping[str, float]]], _Drawn]) -> Self:
        """Read the histories of the members that have begun."""
        members: Sequence[MemberResult] = result.members
        paths = [member.history_json_path for member in members]
        histories = [read_exported(path) for path in paths if path.is_file()]
        rows = []
        for epoch in range(max(map(len, histories), default=0)):
            there = [history[epoch] for history in histories if len(history) > epoch]
            names = dict.fromkeys(name for row in there for name in row)
            rows.append({name: float(np.mean([row.get(name, np.nan) for row in there])) for name in names})
        return cls(result, rows, family)

    @property
    def ended(self) -> str:
        """Why a member has ended before its last epoch; empty if none has paused."""
        told = [member.error for member in self.result.members if member.error]
        return told[0] if told else ""

    @property
    def resumable(self) -> bool:
        """Whether a member waits to be trained, or trained further."""
        return self.result.resumable

    @property
    def seed(self) -> int | None:
        """Seed of the first member."""
        return self.result.first_seed

    def plot_training_summary(self, outfile: Path) -> Any:
        """Draw the means of the members' errors over the epochs."""
        return self.family(self.history).plot_training_summary(outfile)

    def __str__(self) -> str:
        return str(self.result)
