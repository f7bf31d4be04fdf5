"""One training run from logs to figures: what the command line does, as one call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.job import DynamicsJob
from potentia.dynamics.results import TrainOut
from potentia.dynamics.run_analysis import Analysis
from potentia.dynamics.run_config import FREE, RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.errors import warn_user
from potentia.runs import carry_out, require_same_data, require_same_settings

__all__ = ["RunResult", "directory_of", "run_training"]


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run has brought, besides its files."""

    directory: RunDirectory
    """Where they are."""
    net: DynamicsParameterNet = field(repr=False)
    """The trained network: with the best weights where windows were held out to choose them by, else with the last."""
    out: TrainOut
    """Errors by epoch."""
    analysis: Mapping[str, Analysis] = field(default_factory=dict, repr=False)
    """Part → what was found on it; empty where it was left out."""

    @property
    def metrics(self) -> dict[str, pd.DataFrame]:
        """Part → table of errors, beside those of baselines."""
        return {part: found.metrics for part, found in self.analysis.items()}


def run_training(config: RunConfig, resume: str | os.PathLike[str] | None = None) -> RunResult:
    """Train, and leave all that belongs to it in a directory of its own.

    A run that was paused (``max_time``, SIGTERM) or killed goes on by ``resume`` and equals the unbroken one bit for
    bit; its logs and tables too.

    Args:
        config: Settings.
        resume: Directory of a run that is to go on, to ``config.epochs`` in all.

    Raises:
        ConfigError: a setting cannot be; other settings than those of the run that is to go on.
        DataError: logs cannot be used, or are others than those of the run that is to go on.
        TrainingError: the training cannot go on.
    """
    whole = config.rooted()
    job, settings = DynamicsJob(whole), whole.blocks()
    if resume is not None:
        directory = RunDirectory.existing(resume)
        require_same_settings(directory, settings, FREE)
        require_same_data(directory, job.mark())
    else:
        job.mark()  # data that cannot be used are told before there is a directory
        directory = directory_of(config)
    trained = carry_out(
        job,
        directory,
        settings,
        config.seed,
        resumed=resume is not None,
        resume_from=None if resume is None else directory.newest_checkpoint,
    )
    if trained.out.resumable:
        warn_user(f"paused: {trained.out.ended}; go on by resuming {directory.path}")
    return RunResult(directory, trained.estimator, trained.out, trained.analysis)


def directory_of(config: RunConfig) -> RunDirectory:
    """Make the directory that a run is to have: the one it names, or a new one that tells model, time and mode."""
    if config.run_dir is not None:
        return RunDirectory.given(Path(config.root) / config.run_dir)
    mode = None if config.feature_mode == "auto" else config.feature_mode
    return RunDirectory.of_model(config.root, config.model, mode)
