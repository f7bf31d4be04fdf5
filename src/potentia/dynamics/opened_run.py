"""A run that is over: its settings and its network, to be asked again, on other logs too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.evaluation import RolloutEvaluation
from potentia.dynamics.run_analysis import baselines_of, evaluated
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.run_inputs import read_inputs, read_windows, spec_of
from potentia.errors import ConfigError, FileFormatError

__all__ = ["OpenedRun"]


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """Directory, settings and network of a run."""

    directory: RunDirectory
    """Where it is."""
    config: RunConfig = field(repr=False)
    """Its settings."""
    net: DynamicsParameterNet = field(repr=False)
    """The best weights where some were chosen by validation, else the last ones."""

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Self:
        """Open a run by its directory.

        Raises:
            FileFormatError: it is no run, or its training has not ended.
        """
        directory = RunDirectory.existing(path)
        if not directory.is_trained:
            raise FileFormatError(f"{path} has no model yet: its training has not ended, let it go on by --resume")
        return cls(directory, directory.read_config(), DynamicsParameterNet.load(directory.model))

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

    def evaluate(self, windows: FeatureDataset) -> RolloutEvaluation:
        """Return errors on windows, beside baselines; constants are fitted to the windows of the training."""
        training = read_inputs(replace(self.config, val_dataset=())).training
        return evaluated(self.net, windows, baselines_of(self.net, training, self.config))
