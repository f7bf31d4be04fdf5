"""Training all members of a committee: those that are there already stay, those that fail leave a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from potentia.config import differences, plain
from potentia.ensemble.config import CommitteeConfig
from potentia.ensemble.members import COMPLETED, FAILED, INTERRUPTED, PLANNED, Member, MemberEnd, MemberResult
from potentia.ensemble.results import CommitteeTrainResult
from potentia.errors import ConfigError, FileFormatError, TrainingError
from potentia.storage import write_text
from potentia.study import Ended, SpawnedProcesses, Task, carry_out, fan_out, threads_per_task

__all__ = ["METADATA", "Committee", "read_metadata", "train_members"]

METADATA = "committee_metadata.json"
"""Name of the file that tells of all members."""
SCHEMA_VERSION = "1.0"
Record = TypeVar("Record", bound=MemberResult)


@dataclass(frozen=True)
class Committee:
    """What is to be trained, and what has been."""

    config: CommitteeConfig
    members: Sequence[Member]
    identity: Mapping[str, Any]
    """What decides the result: plain settings and marks of the data. A directory holds members of one identity."""
    metadata: Mapping[str, Any]
    """What the record tells besides: plain values."""

    @property
    def directory(self) -> Path:
        """Where the members' files are."""
        return self.config.directory.absolute()


def train_members(
    committee: Committee,
    work: Callable[[Member], MemberEnd],
    record: type[Record],
    executor: Executor | None = None,
) -> CommitteeTrainResult[Record]:
    """Train the members that are missing in the directory of the committee, and write the records of all.

    Args:
        committee: What is to be trained.
        work: Trains one member and writes its files; it goes to other processes, so it is a function of a module, a
            `functools.partial` of one, or an object of such a class.
        record: Class of the records.
        executor: Who trains; None for processes of this machine, ``max_parallel`` at a time, or this process.

    Raises:
        ConfigError: the directory holds a committee of other data or settings.
        TrainingError: members have failed; the others are trained and all records are written.
    """
    directory = committee.directory
    directory.mkdir(parents=True, exist_ok=True)
    _require_same(directory, committee)
    known = {member.index: record.read(directory, member) or record.of(member, PLANNED) for member in committee.members}
    missing = [member for member in committee.members if known[member.index].status != COMPLETED]
    mode = "parallel" if executor is not None or committee.config.max_parallel > 1 else "sequential"

    def result() -> CommitteeTrainResult[Record]:
        return CommitteeTrainResult(directory, directory / METADATA, list(known.values()), mode)

    _write(result(), committee)
    for end in _trained(missing, _MemberTask(work, record, directory), committee.config, executor):
        known[end.member_index] = end
    _write(result(), committee)
    failed = result().failed_members
    if failed:
        listed = ", ".join(f"{member.member_index} ({member.error})" for member in failed)
        raise TrainingError(
            f"Committee training failed for member(s): {listed}. The others are in {directory}; the same call trains "
            "those that are missing. summary.json of a member has its traceback"
        )
    return result()


@dataclass(frozen=True)
class _MemberTask(Generic[Record]):
    """The training of a member with its record, where its process is."""

    work: Callable[[Member], MemberEnd]
    record: type[Record]
    directory: Path

    def __call__(self, member: Member) -> Record:
        """Train a member, and write its record."""
        member.directory.mkdir(parents=True, exist_ok=True)
        end = carry_out(Task(member.directory.name, partial(self.work, member)))
        if end.result is None:
            return self.failed(member, end)
        status = INTERRUPTED if end.result.interrupted else COMPLETED
        metrics, reason = dict(end.result.metrics), end.result.interrupted or None
        return self._written(self.record.of(member, status, metrics=metrics, error=reason))

    def failed(self, member: Member, end: Ended[Any]) -> Record:
        """Write the record of a member that has failed."""
        return self._written(self.record.of(member, FAILED, error=end.error, traceback=end.traceback))

    def _written(self, record: Record) -> Record:
        record.write(self.directory)
        return record


def _trained(
    missing: Sequence[Member], work: _MemberTask[Record], config: CommitteeConfig, executor: Executor | None
) -> Iterator[Record]:
    """Give the records of members as they end; one after the other, none is begun after an interrupt."""
    at_once = min(config.max_parallel, len(missing))
    own = SpawnedProcesses(at_once) if executor is None and at_once > 1 else None
    threads = config.threads_per_member
    if threads is None and own is not None:
        threads = threads_per_task(at_once)
    members = {member.directory.name: member for member in missing}
    tasks = [Task(name, partial(work, member), threads) for name, member in members.items()]
    try:
        for end in fan_out(tasks, executor or own):
            if end.result is None:  # nothing came back: its process has died, or could not be reached
                yield work.failed(members[end.name], end)
                continue
            yield end.result
            if end.result.status == INTERRUPTED and executor is None and own is None:
                return
    finally:
        if own is not None:
            own.shutdown(cancel_futures=True)


def _require_same(directory: Path, committee: Committee) -> None:
    """Raise `ConfigError` if the directory holds members of another committee."""
    if not (directory / METADATA).is_file():
        return
    before = read_metadata(directory)
    changed = differences(before["identity"], committee.identity)
    seeds = {entry["member_index"]: entry["seed"] for entry in before["members"]}
    for member in committee.members:
        if seeds.get(member.index, member.seed) != member.seed:
            changed.append(f"seed of member {member.index}: {seeds[member.index]} → {member.seed}")
    if changed:
        listed = "\n  ".join(changed)
        raise ConfigError(
            f"{directory} holds a committee of other data or settings; since then changed:\n  {listed}\n"
            "Choose another output_dir, or put that back to train the members that are missing"
        )


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the record of a committee, from its directory or the file itself.

    Raises:
        FileFormatError: there is none, or it cannot be read.
    """
    file = path / METADATA if path.is_dir() else path
    if not file.is_file():
        raise FileFormatError(f"{path} holds no committee: there is no {METADATA}")
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileFormatError(f"{file} is not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION or "members" not in found:
        raise FileFormatError(f"{file} is no record of a committee that this release reads (schema {SCHEMA_VERSION})")
    return found


def _write(result: CommitteeTrainResult[Record], committee: Committee) -> None:
    records = [member.to_metadata(result.output_dir) for member in result.members]
    content = {
        "schema_version": SCHEMA_VERSION,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "execution_mode": result.execution_mode,
        "output_dir": ".",
        "committee_config": {**plain(vars(committee.config)), "output_dir": "."},
        **plain(committee.metadata),
        "identity": plain(committee.identity),
        "members": records,
        "failures": [entry for entry in records if entry["status"] == FAILED],
    }
    write_text(result.metadata_path, json.dumps(content, indent=2, allow_nan=False) + "\n")
