"""Several parameter networks, trained side by side and asked together: what they agree on, and how far they differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, final

import numpy as np
import pandas as pd

from potentia.dynamics.committee_calibration import CALIBRATION, CommitteeCalibration
from potentia.dynamics.committee_member import MemberTraining
from potentia.dynamics.committee_prediction import CommitteePrediction
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.ensemble import METADATA, CommitteeConfig, CommitteeTrainResult, Member, MemberResult, read_metadata
from potentia.ensemble.members import COMPLETED
from potentia.ensemble.run import Committee, OneByOne, train_members
from potentia.errors import ConfigError, NotFittedError

__all__ = ["DynamicsCommittee"]


@final
class DynamicsCommittee:
    """Parameter networks of one recipe whose predictions are put together, with their spread.

    The members differ in the seed of their weights and batches, and, if asked for, in the windows they see.

    Args:
        net: The network that all members are like; what it has learned itself is not used.

    Example:
        >>> DynamicsCommittee(DynamicsParameterNet("unicycle")).is_trained()
        False
    """

    def __init__(self, net: DynamicsParameterNet) -> None:
        self.net = net
        self.member_model_paths: list[Path] = []
        """Files of the trained members."""
        self.directory: Path | None = None
        """Where the committee has its files; None for members that come from anywhere."""
        self.calibration: CommitteeCalibration | None = None
        """What makes intervals of the spread, once `calibrate` has learned it."""
        self._members: list[DynamicsParameterNet] | None = None

    def train(
        self,
        data: FeatureDataset,
        config: DynamicsTrainingConfig | None = None,
        committee_config: CommitteeConfig | None = None,
        validation: FeatureDataset | None = None,
        *,
        executor: Executor | None = None,
    ) -> CommitteeTrainResult[MemberResult]:
        """Train the members, and write model, history and summary of each into a directory.

        Members that the directory has already are kept if data and settings are the same: after a failure or an
        interrupt, the same call trains what is missing, from the checkpoints where there are any. A member equals a
        single network trained with its seed, unless ``resample`` gives it a part of the windows.

        Args:
            data: Windows to fit.
            config: Settings of each training; ``DynamicsTrainingConfig()`` if None.
            committee_config: How many members, from which seeds, where; five members if None.
            validation: Windows of other logs, the same for all members.
            executor: Who trains the members: any executor of `concurrent.futures` whose workers see the same files.

        Raises:
            DataError: the windows are of another model, or lack what the networks are to see.
            ConfigError: settings do not fit, or the directory holds a committee of other data or settings.
            TrainingError: members have failed; the others are trained.
        """
        config = DynamicsTrainingConfig() if config is None else config
        wanted = CommitteeConfig(num_members=5) if committee_config is None else committee_config
        if wanted.batched:
            raise ConfigError("batched=True is not for networks of dynamics: leave it out, and set max_parallel")
        directory = wanted.directory.absolute()
        recipe = type(self.net)(**self.net.get_params())
        shown = config.show_progress and executor is None and wanted.max_parallel == 1
        alone = replace(config, show_progress=shown, show_batch_progress=shown and config.show_batch_progress)
        work = MemberTraining(recipe, alone, wanted, data, validation)
        members = [
            Member(k, seed, 0, wanted.device_of(k, config.device), directory / f"member_{k:03d}",
                   checkpoints=config.checkpoint_dir is not None)
            for k, seed in enumerate(_seeds(directory, wanted, config))
        ]  # fmt: skip
        metadata = {"training_config": config.plain(), "recipe": recipe.recipe()}
        committee = Committee(wanted, members, _identity(work), metadata, config.show_progress)
        done = train_members(committee, OneByOne.of(work, wanted, executor), MemberResult)
        self.member_model_paths = [member.model_path for member in done.completed_members]
        self.directory, self._members = directory, None
        self._take_calibration()
        return done

    def predict(self, data: FeatureDataset) -> CommitteePrediction:
        """Return states and parameters of all members, and how far they differ; intervals where it is calibrated.

        Args:
            data: Windows; their targets are not looked at.

        Raises:
            NotFittedError: there are no trained members.
            DataError: the windows are of another model, or lack what the networks see.
        """
        members = self.load_members()
        states = np.stack([member.predict(data) for member in members])
        params = [member.predict_params(data) for member in members]
        names = params[0].keys()
        return CommitteePrediction(
            spec=members[0].spec_,
            member_states=states,
            member_params={name: np.stack([one[name] for one in params]) for name in names},
            calibration=self.calibration,
        )

    def calibrate(
        self,
        data: FeatureDataset,
        *,
        level: float = 0.9,
        blocks: Literal["windows", "logs"] = "windows",
    ) -> CommitteeCalibration:
        """Learn from held-out windows how wide intervals must be, and keep that beside the members.

        Args:
            data: Windows of logs that were used neither to train nor to choose the weights.
            level: Share of the true states that intervals are to hold.
            blocks: What is independent of each other: windows that share no rows, or whole logs.

        Warns:
            PotentiaWarning: there are too few windows or logs for this level.
        """
        self.calibration = CommitteeCalibration.learned(self.load_members(), data, level=level, blocks=blocks)
        if self.directory is not None:
            self.calibration.to_json(self.directory / CALIBRATION)
        return self.calibration

    def coverage(self, data: FeatureDataset) -> pd.DataFrame:
        """Return a row for each state: the share of true states within the intervals, and the mean half-width.

        Raises:
            NotFittedError: it is not calibrated yet.
        """
        if self.calibration is None:
            text = "this committee has no intervals yet; call `calibrate` with held-out windows first"
            raise NotFittedError(text, page="dynamics.md#committees-and-intervals")
        return self.predict(data).coverage(data)

    @classmethod
    def from_files(cls, paths: Sequence[str | os.PathLike[str]]) -> Self:
        """Read the members from files of `DynamicsParameterNet.save` or checkpoints.

        Raises:
            NotFittedError: there are none.
            ConfigError: they are of different models.
        """
        if not paths:
            raise NotFittedError("no members of a committee were named: paths is empty")
        first = DynamicsParameterNet.load(paths[0])
        committee = cls(type(first)(**first.get_params()))
        committee.member_model_paths = [Path(path).absolute() for path in paths]
        committee.load_members()
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

    def load_members(self) -> list[DynamicsParameterNet]:
        """Return the members, read from their files the first time.

        Raises:
            NotFittedError: there are none.
            ConfigError: they are of different models.
        """
        if self._members is None:
            if not self.member_model_paths:
                raise NotFittedError("this committee has no members yet; call `train`, or read some from files")
            members = [DynamicsParameterNet.load(path) for path in self.member_model_paths]
            _require_alike(members, self.member_model_paths)
            self._members = members
        return list(self._members)

    def is_trained(self) -> bool:
        """Whether there are members to predict with."""
        return bool(self.member_model_paths)

    def __repr__(self) -> str:
        return f"DynamicsCommittee({self.net!r}, members={len(self.member_model_paths)})"

    def _take_calibration(self) -> None:
        """Take the calibration that lies beside the members, if it was learned with them."""
        self.calibration = None
        file = None if self.directory is None else self.directory / CALIBRATION
        if file is not None and file.is_file():
            found = CommitteeCalibration.from_json(file)
            self.calibration = found if found.is_of(self.load_members()) else None


def _require_alike(members: Sequence[DynamicsParameterNet], paths: Sequence[Path]) -> None:
    wanted = members[0].spec_.describe()
    for member, path in zip(members, paths, strict=True):
        if member.spec_.describe() != wanted:
            raise ConfigError(f"{path} has another model, or other bounds, than {paths[0]}: they make no committee")


def _seeds(directory: Path, wanted: CommitteeConfig, config: DynamicsTrainingConfig) -> list[int]:
    """Return the seeds of the members: those given, else those of the directory, else new ones."""
    first = config.seed
    if first is None and (directory / METADATA).is_file():
        first = int(read_metadata(directory)["members"][0]["seed"])
    return wanted.seeds(first)


def _identity(work: MemberTraining) -> Mapping[str, Any]:
    """Return what decides the result, as plain values."""
    wanted, validation = work.committee, work.validation
    identity = {
        "recipe": work.net.recipe(),
        "model": work.net.spec_.describe(),
        "config": work.config.fingerprint(),
        "data": work.data.mark(),
        "validation": None if validation is None else validation.mark(),
        "resample": wanted.resample,
    }
    return identity | ({"subset_fraction": wanted.subset_fraction} if wanted.resample == "subset" else {})
