"""Committees of families whose data are one file, as the commands train, ask and calibrate them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, final

import pandas as pd

from potentia.cli.families.base import FamilySettings, Look
from potentia.cli.families.one_file import OneFileSettings
from potentia.ensemble import (
    CalibratedCommittee,
    CommitteeConfig,
    CommitteeCurves,
    CommitteeTrainResult,
    Pieces,
    require_enough,
)
from potentia.errors import ConfigError
from potentia.runs import RunDirectory, Trained
from potentia.runs.models import kind_of

__all__ = ["FREE_OF_MEMBERS", "Members", "as_committee", "calibrated", "committee_in", "several", "spread_tables"]

FREE_OF_MEMBERS = frozenset({"committee.max_parallel", "committee.devices", "committee.threads_per_member"})
"""Fields that may be others when a run goes on."""
Held = TypeVar("Held", bound=Pieces)
Several = TypeVar("Several", bound=CalibratedCommittee[Any, Any])


def as_committee(look: Look, members: int) -> Look:
    """Return settings of a committee, whose error bars are learned from the held-out part."""
    assert isinstance(look.settings, OneFileSettings)
    told = "Error bars are learned from half of the held-out part of this file, and measured on half; null for none"
    return several(look, look.settings.several(members), ("file", "calibrate"), told)


def several(look: Look, settings: FamilySettings, data: Sequence[str], calibrate: str) -> Look:
    """Return settings of a committee instead of those of one model.

    Args:
        look: What was seen, and settings of one.
        settings: Those of several.
        data: Fields of the block of the data that are shown.
        calibrate: Why ``data.calibrate`` is as it is.
    """
    members = ("num_members", "max_parallel", "threads_per_member", "resample", "subset_fraction")
    why = {
        "committee.num_members": "Members, each from the next seed; their spread is the error bar",
        "data.calibrate": calibrate,
    }
    shown = {**look.shown, "data": data, "committee": members}
    return replace(look, settings=settings, shown=shown, why={**look.why, **why})


@final
@dataclass(frozen=True, eq=False)
class Members(Generic[Held]):
    """What a run asks of a committee: which members, and where error bars are learned."""

    wanted: CommitteeConfig
    """How many members, from which seeds, where."""
    held_out: Held | None
    """What error bars are learned from and measured on."""

    @classmethod
    def of(
        cls, settings: OneFileSettings, committee: type[CalibratedCommittee[Any, Held]], read: Callable[[Path], Held]
    ) -> Self:
        """Read what error bars are learned from.

        Raises:
            DataError: there is too little of it.
        """
        assert settings.committee is not None
        path, held_out = settings.data.calibrate, None
        if path is not None:
            held_out = read(Path(path))
            require_enough(held_out.group, committee.words)
        return cls(settings.committee, held_out)

    def mark(self, data: Mapping[str, Any], sizes: str) -> dict[str, Any]:
        """Return the mark of the data with that of what error bars are learned from, and its size."""
        if self.held_out is None:
            return dict(data)
        marks = hashlib.sha256("".join(self.held_out.marks()).encode()).hexdigest()
        return {**data, sizes: {**data[sizes], "calibrate": len(self.held_out)}, "calibrate": marks}

    def train(
        self,
        committee: CalibratedCommittee[Any, Held],
        directory: RunDirectory,
        config: Any,
        train: Callable[[Any, CommitteeConfig], CommitteeTrainResult[Any]],
        curves: Any,
    ) -> Trained:
        """Train the members, or those of them that are missing, each to its end; then learn the error bars.

        Args:
            committee: What is trained.
            directory: Of the run.
            config: Settings of each training.
            train: Trains the committee by such settings, and by how many members, where.
            curves: What a single training of the family returns.
        """
        wanted = replace(self.wanted, output_dir=directory.members)
        result = train(replace(config, checkpoint_dir=str(directory.members)), wanted)
        out = CommitteeCurves.of(result, curves)
        if out.resumable:
            return Trained(committee, out, None)
        tables = {"members": result.comparison()}
        if self.held_out is not None:
            tables |= committee.calibrate(self.held_out, seed=result.first_seed).measured.tables()
        return Trained(committee, out, None, tables)


def committee_in(path: Path, kind: type[Several], one: str) -> Several:
    """Read a committee from a file.

    Args:
        path: The file.
        kind: Class of committees of the family.
        one: What a single model is called.

    Raises:
        ConfigError: it holds a single one.
    """
    if kind_of(path) != kind.kind:
        raise ConfigError(f"{path} holds one {one}, which has no spread: train a committee (settings: `committee`)")
    return kind.load(path)


def calibrated(
    committee: CalibratedCommittee[Any, Held], path: Path, held_out: Held, level: float
) -> dict[str, pd.DataFrame]:
    """Learn error bars from half of what was held out, write them into the file, and return how good they are."""
    found = committee.calibrate(held_out, level=level)
    committee.save(path)
    return found.measured.tables()


def spread_tables(committee: CalibratedCommittee[Any, Held], held_out: Held) -> dict[str, pd.DataFrame]:
    """Return how good error bars are where there are several members."""
    return committee.error_bars(held_out).tables() if len(committee.load_members()) > 1 else {}
