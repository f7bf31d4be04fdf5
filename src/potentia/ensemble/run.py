"""Training all members of a committee: those that are there already stay, those that fail leave a record."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from potentia import progress
from potentia.config import differences, plain
from potentia.ensemble.config import CommitteeConfig
from potentia.ensemble.members import COMPLETED, FAILED, INTERRUPTED, PLANNED, Member, MemberEnd, MemberResult
from potentia.ensemble.results import CommitteeTrainResult
from potentia.errors import ConfigError, FileFormatError, TrainingError
from potentia.storage import load_json, write_text
from potentia.study import Ended, SpawnedProcesses, Task, carry_out, fan_out, threads_per_task

__all__ = ["METADATA", "Committee", "OneByOne", "Together", "read_metadata", "train_members"]

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
    show_progress: bool = False
    """Whether a bar shows how many members are trained."""

    @property
    def directory(self) -> Path:
        """Where the members' files are."""
        return self.config.directory.absolute()


class Way(ABC, Generic[Record]):
    """How members are trained."""

    mode: str
    """What the records call it."""

    @abstractmethod
    def train(self, missing: Sequence[Member], records: Records[Record], config: CommitteeConfig) -> Iterator[Record]:
        """Train the members that are ``missing``, write their records, and give them back as they end."""


@dataclass(frozen=True)
class Records(Generic[Record]):
    """Writes the records of members."""

    kind: type[Record]
    """Class of the records."""
    directory: Path
    """Directory of the committee."""

    def done(self, member: Member, end: MemberEnd) -> Record:
        """Write the record of a member whose training has ended, completed or interrupted."""
        status = INTERRUPTED if end.interrupted else COMPLETED
        return self._written(self.kind.of(member, status, metrics=dict(end.metrics), error=end.interrupted or None))

    def failed(self, member: Member, end: Ended[Any]) -> Record:
        """Write the record of a member that has failed."""
        return self._written(self.kind.of(member, FAILED, error=end.error, traceback=end.traceback))

    def _written(self, record: Record) -> Record:
        record.write(self.directory)
        return record


@dataclass(frozen=True)
class OneByOne(Way[Record]):
    """Each member is trained on its own, by an executor or one after the other in this process."""

    work: Callable[[Member], MemberEnd]
    """Trains one member and writes its files; it goes to other processes, so it is a function of a module, a
    `functools.partial` of one, or an object of such a class."""
    mode: str
    executor: Executor | None = None
    """Who trains; None for processes of this machine, ``max_parallel`` at a time, or this process."""

    @classmethod
    def of(cls, work: Callable[[Member], MemberEnd], config: CommitteeConfig, executor: Executor | None) -> Self:
        """Return the way that the settings ask for."""
        parallel = executor is not None or config.max_parallel > 1
        return cls(work, "parallel" if parallel else "sequential", executor)

    def train(self, missing: Sequence[Member], records: Records[Record], config: CommitteeConfig) -> Iterator[Record]:
        """Train the members that are missing; in one process, none is begun after one was interrupted."""
        at_once = min(config.max_parallel, len(missing))
        own = SpawnedProcesses(at_once) if self.executor is None and at_once > 1 else None
        threads = config.threads_per_member
        if threads is None and own is not None:
            threads = threads_per_task(at_once)
        members = {member.directory.name: member for member in missing}
        train = partial(_train_and_record, self.work, records)
        tasks = [Task(name, partial(train, member), threads) for name, member in members.items()]
        try:
            for end in fan_out(tasks, self.executor or own):
                if end.result is None:  # nothing came back: its process has died, or could not be reached
                    yield records.failed(members[end.name], end)
                    continue
                yield end.result
                if end.result.status == INTERRUPTED and self.executor is None and own is None:
                    return
        finally:
            if own is not None:
                own.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Together(Way[Record]):
    """All members are trained as one."""

    work: Callable[[Sequence[Member]], Sequence[MemberEnd]]
    """Trains members and writes their files."""
    mode: str = "batched"

    def train(self, missing: Sequence[Member], records: Records[Record], config: CommitteeConfig) -> Iterator[Record]:
        """Train the members that are missing in this process; all end alike."""
        if not missing:
            return
        for member in missing:
            member.directory.mkdir(parents=True, exist_ok=True)
        end = carry_out(Task("together", partial(self.work, missing), config.threads_per_member))
        for k, member in enumerate(missing):
            yield records.failed(member, end) if end.result is None else records.done(member, end.result[k])


def train_members(committee: Committee, way: Way[Record], record: type[Record]) -> CommitteeTrainResult[Record]:
    """Train the members that are missing in the directory of the committee, and write the records of all.

    Args:
        committee: What is to be trained.
        way: How: `OneByOne` or `Together`.
        record: Class of the records.

    Raises:
        ConfigError: the directory holds a committee of other data or settings.
        TrainingError: members have failed; the others are trained and all records are written.
    """
    directory = committee.directory
    directory.mkdir(parents=True, exist_ok=True)
    _require_same(directory, committee)
    known = {member.index: record.read(directory, member) or record.of(member, PLANNED) for member in committee.members}
    missing = [member for member in committee.members if known[member.index].status != COMPLETED]

    def result() -> CommitteeTrainResult[Record]:
        return CommitteeTrainResult(directory, directory / METADATA, list(known.values()), way.mode)

    _write(result(), committee)
    with progress.bar(len(missing), "members", shown=committee.show_progress, stays=True) as bar:
        for end in way.train(missing, Records(record, directory), committee.config):
            known[end.member_index] = end
            bar.update()
    _write(result(), committee)
    failed = result().failed_members
    if failed:
        listed = ", ".join(f"{member.member_index} ({member.error})" for member in failed)
        raise TrainingError(
            f"Committee training failed for member(s): {listed}. The others are in {directory}; the same call trains "
            "those that are missing. summary.json of a member has its traceback"
        )
    return result()


def _train_and_record(work: Callable[[Member], MemberEnd], records: Records[Record], member: Member) -> Record:
    """Train a member, where its process is, and write its record."""
    member.directory.mkdir(parents=True, exist_ok=True)
    end = carry_out(Task(member.directory.name, partial(work, member)))
    return records.failed(member, end) if end.result is None else records.done(member, end.result)


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
    found: dict[str, Any] = load_json(file)
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
