"""A run that is over: its settings and its network or committee, to be asked again, on other logs too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.evaluation import RolloutEvaluation
from potentia.dynamics.run_analysis import NETWORK, Predictor, baselines_of, evaluated
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.run_inputs import read_apart, read_inputs, read_windows, spec_of
from potentia.errors import ConfigError, FileFormatError
from potentia.runs.models import kind_of

__all__ = ["OpenedRun"]


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """Directory, settings and network or committee of a run."""

    directory: RunDirectory
    """Where it is."""
    config: RunConfig = field(repr=False)
    """Its settings."""
    net: DynamicsParameterNet = field(repr=False)
    """The best weights where some were chosen by validation, else the last ones; of a committee, the first member."""
    committee: DynamicsCommittee | None = field(default=None, repr=False)
    """The committee, if it is one."""

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Self:
        """Open a run by its directory.

        Raises:
            FileFormatError: it is no run, or its training has not ended.
        """
        directory = RunDirectory.existing(path)
        if not directory.is_trained:
            raise FileFormatError(f"{path} has no model yet: its training has not ended, let it go on by --resume")
        config = directory.read_config()
        if kind_of(directory.model) != DynamicsCommittee.kind:
            return cls(directory, config, DynamicsParameterNet.load(directory.model))
        committee = DynamicsCommittee.load(directory.model)
        return cls(directory, config, committee.load_members()[0], committee)

    @property
    def word(self) -> str:
        """What its predictions are called in tables."""
        return NETWORK if self.committee is None else "committee"

    @property
    def predictor(self) -> Predictor:
        """What is asked for states: the network, or the mean of the committee."""
        return self.net if self.committee is None else self.committee.mean()

    def windows(self, paths: Sequence[str] = ()) -> FeatureDataset:
        """Return windows of logs, cut as those of the training.

        Args:
            paths: Folders or files, relative to the working directory; if there are none, those that the run has
                chosen its weights by, or else trained on.

        Raises:
            FileFormatError: some are not there.
            DataError: logs cannot be used.
        """
        spec = spec_of(self.config)
        whole = replace(self.config, dataset_cache=None, val_dataset_cache=None, samples=None, val_samples=None)
        if paths:
            return read_windows(replace(whole, root=str(Path.cwd())), spec, paths, validation=True).dataset
        given = self.config.val_dataset or self.config.dataset
        if not given:
            raise ConfigError(f"{self.directory.path} names no logs: give --dataset")
        return read_windows(whole, spec, given, validation=True).dataset

    @property
    def calibrated_by(self) -> Sequence[str]:
        """Logs that the error bars of a committee were learned from, where the run itself has done that."""
        logs: Sequence[str] = self.directory.read_settings()["data"].get("calibrate", ())
        return logs

    def windows_apart(self, paths: Sequence[str]) -> FeatureDataset:
        """Return windows of logs that share no row, as error bars are learned from and measured on.

        Args:
            paths: Folders or files, relative to the working directory.
        """
        return read_apart(replace(self.config, root=str(Path.cwd())), paths)

    def evaluate(self, windows: FeatureDataset) -> RolloutEvaluation:
        """Return errors on windows, beside baselines; constants are fitted to the windows of the training."""
        training = read_inputs(replace(self.config, val_dataset=())).training
        baselines = baselines_of(self.net, training, self.config)
        return evaluated(self.net.spec_, {self.word: self.predictor}, windows, baselines)
