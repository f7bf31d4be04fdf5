"""Estimators of one recipe as a committee: trained in a directory, read from it or from files, and its calibration."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from potentia.ensemble.calibration import CALIBRATION, SpreadCalibration
from potentia.ensemble.config import CommitteeConfig
from potentia.ensemble.marks import mark_of_weights
from potentia.ensemble.member_work import members_in, resampling
from potentia.ensemble.members import COMPLETED, Member, MemberEnd, MemberResult
from potentia.ensemble.results import CommitteeTrainResult
from potentia.ensemble.run import Committee, OneByOne, read_metadata, train_members
from potentia.errors import ConfigError, NotFittedError
from potentia.estimator import NetworkEstimator

__all__ = ["EstimatorCommittee", "bars_of_members"]

Model = TypeVar("Model", bound=NetworkEstimator[Any])


class EstimatorCommittee(ABC, Generic[Model]):
    """Members with one network each; a family says how they are trained and what they say together."""

    def __init__(self) -> None:
        self.member_model_paths: list[Path] = []
        """Files of the trained members; empty for those that were not read from files of their own."""
        self.directory: Path | None = None
        """Where the committee has its files; None for members that come from anywhere."""
        self.calibration: SpreadCalibration | None = None
        """What makes intervals of the spread, once `calibrate` has learned it."""
        self._members: list[Model] | None = None

    @classmethod
    @abstractmethod
    def member_in(cls, path: Path) -> Model:
        """Read a member from its file."""

    @classmethod
    @abstractmethod
    def _like(cls, member: Model) -> Self:
        """Return a committee without members, of the recipe of this one."""

    @staticmethod
    @abstractmethod
    def _apart(one: Model, other: Model) -> str:
        """Return what of ``one`` is not as in ``other``, in words, so that they make no committee; empty if nothing."""

    @classmethod
    def from_files(cls, paths: Sequence[str | os.PathLike[str]]) -> Self:
        """Read the members from files of `save` of their class, or checkpoints.

        Raises:
            NotFittedError: there are none.
            ConfigError: they do not go together.
        """
        if not paths:
            raise NotFittedError("no members of a committee were named: paths is empty")
        members = cls._read_all([Path(path) for path in paths])
        committee = cls._like(members[0])
        committee.member_model_paths = [Path(path).absolute() for path in paths]
        committee._members = members
        return committee

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Self:
        """Read the completed members of a directory of `train`, wherever it has been moved, and their calibration.

        Raises:
            FileFormatError: there is no committee.
            NotFittedError: none of its members is completed.
        """
        directory = Path(path).absolute()
        records = [MemberResult.from_metadata(entry, directory) for entry in read_metadata(directory)["members"]]
        completed = [record.model_path for record in records if record.status == COMPLETED]
        if not completed:
            raise NotFittedError(f"no completed members of a committee were found in {directory}: train it first")
        committee = cls.from_files(completed)
        committee.directory = directory
        committee._take_calibration()
        return committee

    def load_members(self) -> list[Model]:
        """Return the members, read from their files the first time.

        Raises:
            NotFittedError: there are none.
            ConfigError: they do not go together.
        """
        if self._members is None:
            if not self.member_model_paths:
                raise NotFittedError("this committee has no members yet; call `train`, or read some from files")
            self._members = self._read_all(self.member_model_paths)
        return list(self._members)

    def is_trained(self) -> bool:
        """Whether there are members to predict with."""
        return bool(self.member_model_paths or self._members)

    @property
    def _n_members(self) -> int:
        return len(self.member_model_paths if self._members is None else self._members)

    def _carry_out(
        self,
        work: Callable[[Member], MemberEnd],
        wanted: CommitteeConfig,
        config: Any,
        executor: Executor | None,
        *,
        recipe: Mapping[str, Any],
        identity: Mapping[str, Any],
    ) -> CommitteeTrainResult[MemberResult]:
        """Train the members that are missing, and take all of them.

        Args:
            work: Trains one member and writes its files.
            wanted: How many members, from which seeds, where.
            config: Settings of each training.
            executor: Who trains.
            recipe: Of a member, as plain values.
            identity: What decides the result besides the part of the data that members see, as plain values.
        """
        directory = wanted.directory.absolute()
        metadata = {"training_config": config.plain(), "recipe": recipe}
        identity = {**identity, **resampling(wanted)}
        members = members_in(directory, wanted, config)
        committee = Committee(wanted, members, identity, metadata, config.show_progress)
        done = train_members(committee, OneByOne.of(work, wanted, executor), MemberResult)
        self.member_model_paths = [member.model_path for member in done.completed_members]
        self.directory, self._members = directory, None
        self._take_calibration()
        return done

    def _marks(self) -> tuple[str, ...]:
        """Return the marks of the members' weights, sorted."""
        return tuple(sorted(mark_of_weights(member.fitted().network) for member in self.load_members()))

    def _keep(self, calibration: SpreadCalibration) -> None:
        """Take a calibration that was learned with these members, and write it beside them."""
        self.calibration = calibration
        if self.directory is not None:
            calibration.to_json(self.directory / CALIBRATION)

    def _take_calibration(self) -> None:
        """Take the calibration that lies beside the members, if it was learned with them."""
        self.calibration = None
        file = None if self.directory is None else self.directory / CALIBRATION
        if file is not None and file.is_file():
            found = SpreadCalibration.from_json(file)
            self.calibration = found if found.is_of(self._marks()) else None

    @classmethod
    def _read_all(cls, paths: Sequence[Path]) -> list[Model]:
        members = [cls.member_in(path) for path in paths]
        for member, path in zip(members, paths, strict=True):
            apart = cls._apart(member, members[0])
            if apart:
                raise ConfigError(f"{path} has {apart} than {paths[0]}: they make no committee")
        return members


def bars_of_members(config: Any, wanted: CommitteeConfig, executor: Executor | None) -> Any:
    """Return the settings of each training with its progress bars only where members are trained here, in turn."""
    shown = config.show_progress and executor is None and wanted.max_parallel == 1
    return replace(config, show_progress=shown, show_batch_progress=shown and config.show_batch_progress)
