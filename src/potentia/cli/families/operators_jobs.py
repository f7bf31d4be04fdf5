"""Trainings of one operator and of a committee, their fields read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

from potentia import runs
from potentia.cli.families.committees import Members
from potentia.cli.families.files import own_file
from potentia.cli.families.operators_models import Alone, Together
from potentia.cli.families.operators_settings import OperatorSettings
from potentia.cli.lines import Lines
from potentia.errors import ConfigError
from potentia.operators.advice import advise
from potentia.operators.alignment import Alignment
from potentia.operators.committee import OperatorCommittee
from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.hdf5 import read_operator_data
from potentia.operators.results import TrainOut
from potentia.train import Forecast

__all__ = ["AloneJob", "OperatorJob", "TogetherJob", "job_of"]


@dataclass(frozen=True)
class OperatorJob(runs.Job[runs.Trained]):
    """Fields and what is to learn them."""

    settings: OperatorSettings
    data: OperatorData
    alignment: Alignment | None
    """With the tokenizer that the settings name."""

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes."""
        return {"sha256": self.data.mark(), "samples": {name: len(part) for name, part in self.data.parts().items()}}


@final
@dataclass(frozen=True)
class AloneJob(OperatorJob):
    """One operator is to learn them."""

    allow_changes: tuple[str, ...] = ()
    """Settings that may be others than those of the checkpoint that is resumed."""

    def forecast(self) -> Forecast:
        """Measure how long the training would take."""
        return self.settings.untrained().forecast(self.data, self.settings.config, alignment=self.alignment)

    def train(self, directory: runs.RunDirectory, resume_from: Path | None) -> runs.Trained:
        """Train, or go on."""
        settings, operator = self.settings, self.settings.untrained()
        config = replace(settings.config, checkpoint_dir=str(directory.checkpoints))
        first = None if settings.start is None or resume_from is not None else settings.start.init_from
        out = operator.train(
            self.data,
            config,
            resume_from,
            init_from=first,
            alignment=self.alignment,
            allow_changes=self.allow_changes,
            callbacks=[] if settings.lines is None else [Lines(config.epochs, settings.lines.every)],
        )
        advice = [str(one) for one in advise(out, config, self.alignment)]
        return runs.Trained(operator, out, None if out.resumable else Alone(operator).errors(self.data), advice=advice)


@final
@dataclass(frozen=True)
class TogetherJob(OperatorJob):
    """A committee is to learn them."""

    together: Members[Samples]
    """What is asked of the committee."""

    def mark(self) -> dict[str, Any]:
        """Return hash and sizes, also of what error bars are learned from."""
        return self.together.mark(super().mark(), "samples")

    def forecast(self) -> Forecast:
        """Measure how long the training of all members would take."""
        committee, config = self.settings.untrained_committee(), self.settings.config
        return committee.forecast(self.data, config, self.together.wanted, alignment=self.alignment)

    def train(self, directory: runs.RunDirectory, resume_from: Path | None) -> runs.Trained:
        """Train the members, or those of them that are missing, each to its end; then learn the error bars."""
        committee = self.settings.untrained_committee()
        train = partial(committee.train, self.data, alignment=self.alignment)
        found = self.together.train(committee, directory, self.settings.config, train, TrainOut)
        return found if found.out.resumable else replace(found, errors=Together(committee).errors(self.data))


def job_of(settings: OperatorSettings, family: str) -> OperatorJob:
    """Read the fields, and the tokenizer if there is one.

    Raises:
        ConfigError: the operator to begin with is not there.
        DataError: there is too little to learn error bars from.
    """
    first = None if settings.start is None else settings.start.init_from
    if first is not None and not Path(first).is_file():
        raise ConfigError(f"init_from: there is no operator {first} to begin with")
    alignment = None if settings.alignment is None else settings.alignment.build()
    data = read_operator_data(own_file(settings.files, family))
    if settings.committee is None:
        return AloneJob(settings, data, alignment)
    return TogetherJob(settings, data, alignment, Members.of(settings, OperatorCommittee, partial(_held_out, family)))


def _held_out(family: str, path: Path) -> Samples:
    return read_operator_data(own_file([path], family)).test
