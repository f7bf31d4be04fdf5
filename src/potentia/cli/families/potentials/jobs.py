"""Trainings of one potential and of a committee, their data read or opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import pandas as pd

from potentia.cli.families.files import expanded
from potentia.cli.families.potentials.data import Labelled, structures_in
from potentia.cli.families.potentials.errors import error_rows
from potentia.cli.families.potentials.models import Alone, Together
from potentia.cli.families.potentials.settings import PotentialSettings
from potentia.ensemble import CommitteeCurves
from potentia.potentials.committee import TorchCommitteeConfig
from potentia.potentials.results import TrainOut
from potentia.potentials.structure import Structure
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.runs import Job, RunDirectory, Trained, mark_of_files
from potentia.train import Forecast
from potentia.train.checkpoint import load_checkpoint

__all__ = ["job_of"]


@dataclass(frozen=True)
class PotentialJob(Job[Trained]):
    """Structures, and what is to learn them."""

    settings: PotentialSettings
    data: Labelled
    """What is trained on, and chosen by."""
    held_out: Sequence[Structure]
    """What is looked at once, at the end."""
    calibration: Sequence[Structure]
    """What error bars are learned from and measured on."""

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes of the files, and how many structures there are."""
        counts = {"train": len(self.data), "test": len(self.held_out)}
        if self.calibration:
            counts["calibrate"] = len(self.calibration)
        found = {**mark_of_files(self.settings.files), "structures": counts}
        weights = self.settings.first_weights
        return found if weights is None else {**found, "init_from": mark_of_files([weights])}

    @property
    def _quiet(self) -> TorchTrainingConfig:
        """Settings of a training that writes and shows nothing."""
        return replace(self.settings.training, checkpoint_dir=None, show_progress=False)


@final
@dataclass(frozen=True)
class AloneJob(PotentialJob):
    """One potential is to learn them."""

    begins: Path | None
    """File of the weights that it begins with; None for new ones."""

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        return self.settings.untrained().forecast(self.data.structures, self._quiet, dataset=self.data.dataset)

    def train(self, directory: RunDirectory, resume_from: Path | None) -> Trained:
        """Train, or go on to as many epochs in all."""
        potential, training = self.settings.untrained(), self.settings.training
        before = 0 if resume_from is None else load_checkpoint(resume_from).run["epoch"]
        config = replace(
            training,
            iterations=max(training.iterations - before, 0),
            checkpoint_dir=str(directory.checkpoints),
            output_dir=str(directory.path),
        )
        begins, data = self.begins if resume_from is None else None, self.data
        out = potential.train(data.structures, config, resume_from, init_from=begins, dataset=data.dataset)
        if out.resumable:
            return Trained(potential, out, None)
        rows = [] if out.test_parity is None else error_rows("validation", out.test_parity)
        rows += Alone(potential).errors("test", self.held_out) if self.held_out else []
        return Trained(potential, out, pd.DataFrame(rows) if rows else None)


@final
@dataclass(frozen=True)
class TogetherJob(PotentialJob):
    """A committee is to learn them."""

    wanted: TorchCommitteeConfig
    """How many members, from which seeds, where."""

    def forecast(self) -> Forecast:
        """Measure how long the training of all members would take."""
        committee, data = self.settings.untrained_committee(), self.data
        return committee.forecast(data.structures, self._quiet, self.wanted, dataset=data.dataset)

    def train(self, directory: RunDirectory, resume_from: Path | None) -> Trained:
        """Train the members, or those of them that are missing, each to its end; then learn the error bars."""
        committee, data = self.settings.untrained_committee(), self.data
        config = replace(self.settings.training, checkpoint_dir=str(directory.checkpoints))
        wanted = replace(self.wanted, output_dir=directory.checkpoints)
        result = committee.train(data.structures, config, wanted, dataset=data.dataset)
        out = CommitteeCurves.of(result, TrainOut)
        if out.resumable:
            return Trained(committee, out, None)
        tables = {"members": result.comparison()}
        if self.calibration:
            found = committee.calibrate(self.calibration, seed=result.first_seed)
            tables |= found.tables()
        asked = Together(committee)
        parts = {"validation": data.at(result.test_indices), "test": self.held_out}
        rows = [row for name, part in parts.items() if part for row in asked.errors(name, part)]
        return Trained(committee, out, pd.DataFrame(rows) if rows else None, tables)


def job_of(settings: PotentialSettings) -> PotentialJob:
    """Read or open the data of a training."""
    data = Labelled.of(expanded(settings.data.train), settings.descriptor.build())
    test, calibration = (
        structures_in(expanded(part)) if part else [] for part in (settings.data.test, settings.data.calibrate)
    )
    if settings.committee is None:
        return AloneJob(settings, data, test, calibration, settings.first_weights)
    return TogetherJob(settings, data, test, calibration, settings.committee)
