"""Training of a committee of parameter networks, its logs read, and errors of what is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import pandas as pd

from potentia.cli.families.committees import Members
from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.evaluation import RolloutEvaluation
from potentia.dynamics.job import DynamicsJob, network_of
from potentia.dynamics.provenance import told
from potentia.dynamics.results import TrainOut
from potentia.dynamics.run_analysis import baselines_of, evaluated
from potentia.dynamics.run_config import RunConfig
from potentia.evaluate import wide
from potentia.runs import Job, RunDirectory, Trained
from potentia.train import Forecast

__all__ = ["TogetherJob", "error_table"]


@final
@dataclass(frozen=True)
class TogetherJob(Job[Trained]):
    """Windows of logs and several networks that are to learn them."""

    config: RunConfig
    """Settings of each network."""
    alone: DynamicsJob
    """The training of one of them."""
    together: Members[FeatureDataset]
    """What is asked of the committee."""

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes of the windows, also of those that error bars are learned from."""
        return {**self.alone.mark(), **told(self._held_out())}

    def seen(self) -> Sequence[str]:
        """Return windows by part, and of each log of the training how many were left out and why."""
        more = [f"{part}: {len(one)} windows of {one.n_steps} steps" for part, one in self._held_out().items()]
        return [*self.alone.seen(), *more]

    def forecast(self) -> Forecast:
        """Measure how long the training of all members would take."""
        inputs, config = self.alone.inputs, self.config.training(None)
        return self._committee().forecast(inputs.training, config, self.together.wanted, inputs.validation)

    def train(self, directory: RunDirectory, resume_from: Path | None) -> Trained:
        """Train the members, or those of them that are missing, each to its end; then learn the error bars."""
        inputs, committee = self.alone.inputs, self._committee()
        found = self.together.train(
            committee,
            directory,
            self.config.training(None),
            lambda config, wanted: committee.train(inputs.training, config, wanted, inputs.validation),
            TrainOut,
        )
        if found.out.resumable or not self.config.analysis:
            return found
        net = committee.load_members()[0]
        measured_on = inputs.training if inputs.validation is None else inputs.validation
        baselines = baselines_of(net, inputs.training, self.config)
        errors = evaluated(net.spec_, {"committee": committee.mean()}, measured_on, baselines)
        return replace(found, errors=error_table(errors))

    def _committee(self) -> DynamicsCommittee:
        return DynamicsCommittee(network_of(self.config, self.alone.inputs))

    def _held_out(self) -> dict[str, FeatureDataset]:
        return {} if self.together.held_out is None else {"calibrate": self.together.held_out}


def error_table(found: RolloutEvaluation) -> pd.DataFrame:
    """Return a row for each prediction, a column for each metric."""
    return wide(found.metrics).reset_index().rename_axis(columns=None)
