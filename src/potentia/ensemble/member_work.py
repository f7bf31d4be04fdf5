"""What the training of a member has in common in all families: its settings, its part of the data, its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from potentia.ensemble.config import CommitteeConfig
from potentia.ensemble.members import Member, MemberEnd
from potentia.ensemble.resampling import drawn
from potentia.ensemble.run import METADATA, read_metadata
from potentia.estimator import Estimator
from potentia.outcome import Outcome
from potentia.train import Naming, newest_checkpoint
from potentia.train.history import export

__all__ = ["MemberOut", "carried_out", "ended", "members_in", "resampling", "seen_by", "settings_of"]


Data = TypeVar("Data", bound=Any)


class MemberOut(Outcome, Protocol):
    """What the training of a member returns."""

    @property
    def stats(self) -> Mapping[str, float]:
        """Final errors and the like by name."""


def members_in(directory: Path, wanted: CommitteeConfig, config: Any) -> list[Member]:
    """Return the members that a directory is to hold.

    Seeds are those given, else those that the directory has, else new ones.

    Args:
        directory: Of the committee, absolute.
        wanted: How many members, from which seeds, where.
        config: Settings of each training: ``seed``, ``device`` and ``checkpoint_dir`` are looked at.
    """
    first = config.seed
    if first is None and (directory / METADATA).is_file():
        first = int(read_metadata(directory)["members"][0]["seed"])
    keeps = config.checkpoint_dir is not None
    return [
        Member(k, seed, 0, wanted.device_of(k, config.device), directory / f"member_{k:03d}", checkpoints=keeps)
        for k, seed in enumerate(wanted.seeds(first))
    ]


def settings_of(config: Any, member: Member) -> Any:
    """Return the settings of all members with the seed, the device and the directory of one."""
    folder = member.checkpoint_dir
    where = None if folder is None else str(folder)
    return replace(config, seed=member.seed, device=member.device, checkpoint_dir=where)


def seen_by(member: Member, data: Data, wanted: CommitteeConfig) -> Data:
    """Return data with what a member sees of their training part; what is drawn several times is there as often.

    Args:
        member: Which.
        data: Parts of which ``train`` has a ``group``, whose pieces are drawn together, and ``take``.
        wanted: How to draw.
    """
    if wanted.resample == "none":
        return data
    seen: Data = replace(data, train=data.train.take(drawn(wanted, data.train.group, member.seed)))
    return seen


def resampling(wanted: CommitteeConfig) -> dict[str, Any]:
    """Return what decides which part of the data members see, as plain values."""
    part = {"subset_fraction": wanted.subset_fraction} if wanted.resample == "subset" else {}
    return {"resample": wanted.resample, **part}


def ended(member: Member, estimator: Estimator, out: MemberOut) -> MemberEnd:
    """Write the model, unless its training has only paused, and its history; return how it has ended."""
    if not out.resumable:
        estimator.save(member.model_path)
    export(out.history, member.history_json_path, member.history_csv_path)
    return MemberEnd(out.stats, interrupted=out.ended if out.resumable else "")


def carried_out(
    member: Member,
    config: Any,
    deadline: float | None,
    train: Callable[[Any, Path | None], tuple[Estimator, MemberOut]],
    naming: Naming,
) -> MemberEnd:
    """Train a member, from its newest checkpoint if there is one, and write its files.

    Args:
        member: Which.
        config: Settings that all members share.
        deadline: When the time of the whole committee is up (s since the epoch of the clock); None for never.
        train: Trains by settings, from a checkpoint or None.
        naming: What checkpoints are called.
    """
    own, folder = settings_of(config, member), member.checkpoint_dir
    if deadline is not None:
        left = deadline - time.time()
        if left <= 0:
            return MemberEnd({}, interrupted="the time of the committee was up before it was begun")
        own = replace(own, max_time=left)
    return ended(member, *train(own, None if folder is None else newest_checkpoint(folder, naming)))
