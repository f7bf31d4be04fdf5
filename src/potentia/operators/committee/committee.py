"""Several neural operators, trained side by side and asked together: their mean, and how far they differ anywhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.ensemble import (
    CalibratedCommittee,
    CommitteeConfig,
    CommitteeTrainResult,
    HeldOut,
    MemberResult,
    SpreadCalibration,
    Words,
    bars_of_members,
    forecast_of_all,
)
from potentia.errors import DataError, warn_user
from potentia.operators.alignment_terms import AlignmentTerms
from potentia.operators.committee.measured import held_out
from potentia.operators.committee.member import MemberTraining, require_fit
from potentia.operators.committee.prediction import CommitteePrediction
from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.estimator import NeuralOperator
from potentia.operators.predicting import Parameters, predict
from potentia.operators.training import Training
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.train import Forecast
from potentia.train.stopping import deadline_of

__all__ = ["CommitteeMean", "OperatorCommittee"]


@final
class OperatorCommittee(CalibratedCommittee[NeuralOperator, Samples]):
    """Neural operators of one recipe whose roll-outs are put together, with their spread.

    The members differ in the seed of their weights, batches and windows, and, if asked for, in the simulations they
    see.

    Args:
        operator: The operator that all members are like; what it has learned itself is not used.

    Example:
        >>> OperatorCommittee(NeuralOperator()).is_trained()
        False
    """

    kind = "committee of operators"
    words = Words(
        pieces="simulations", quantity="channel", of="field", by_step="lead_times", steps="step of the roll-out"
    )

    def __init__(self, operator: NeuralOperator) -> None:
        super().__init__()
        self.operator = operator

    def train(
        self,
        data: OperatorData,
        config: OperatorTrainingConfig,
        committee_config: CommitteeConfig | None = None,
        *,
        alignment: AlignmentTerms | None = None,
        executor: Executor | None = None,
    ) -> CommitteeTrainResult[MemberResult]:
        """Train the members, and write model, history and summary of each into a directory.

        Members that the directory has already are kept if data and settings are the same: after a failure or an
        interrupt, the same call trains what is missing, from the checkpoints where there are any (``checkpoint_dir``
        is not None). ``config.max_time`` is for all members together. A member equals a single operator trained with
        its seed, unless ``resample`` gives it a part of the training part: whole simulations, and those of one set of
        parameters together, for neither steps of a simulation nor its repetitions are independent.

        Args:
            data: Fields over time; ``data.test`` is not looked at.
            config: Settings of each training.
            committee_config: How many members, from which seeds, where; five members if None.
            alignment: As for `NeuralOperator.train`, the same for all members.
            executor: Who trains the members: any executor of `concurrent.futures` whose workers see the same files.

        Raises:
            ConfigError: settings do not fit, or the directory holds a committee of other data or settings.
            DataError: the network cannot work on the grid, or a part of the data is empty.
            TrainingError: members have failed; the others are trained.
        """
        begun = time.time()
        wanted = CommitteeConfig(num_members=5) if committee_config is None else committee_config
        require_fit(wanted, config)
        training = Training(self.operator.kind, self.operator.network, config, alignment)
        training.prepare(data, None, ())  # what is refused, is refused before there are files
        deadline = deadline_of(config.max_time, begun)
        each = bars_of_members(config, wanted, executor)
        work = MemberTraining(self.operator.network, each, wanted, data, alignment, deadline)
        recipe = self.operator.recipe()
        identity = {
            "recipe": recipe,
            "config": config.fingerprint(),
            "alignment": None if alignment is None else alignment.describe(),
            "data": data.mark(),
        }
        return self._carry_out(work, wanted, config, executor, recipe=recipe, identity=identity)

    def forecast(
        self,
        data: OperatorData,
        config: OperatorTrainingConfig,
        committee_config: CommitteeConfig | None = None,
        *,
        alignment: AlignmentTerms | None = None,
    ) -> Forecast:
        """Say how long the same call of `train` would take: the first steps of one member are measured.

        An epoch is one of all members: as many at a time as ``max_parallel`` says, with the threads that each has then;
        memory is that of as many processes.
        """
        wanted = CommitteeConfig(num_members=5) if committee_config is None else committee_config
        require_fit(wanted, config)
        alone = replace(config, seed=wanted.seeds(config.seed)[0], device=wanted.device_of(0, config.device))
        one = NeuralOperator(self.operator.network)
        return forecast_of_all(wanted, lambda: one.forecast(data, alone, alignment=alignment))

    def predict(
        self, initial: ArrayLike, parameters: Parameters | None, steps: int, *, batch_size: int | None = None
    ) -> CommitteePrediction:
        """Return the roll-outs of all members, and how far they differ; intervals where it is calibrated.

        Arguments, errors and warnings are those of `NeuralOperator.predict`; a batch goes through one member after the
        other.

        Raises:
            NotFittedError: there are no trained members.
        """
        members = [member.fitted() for member in self.load_members()]
        known = members[0].known
        return CommitteePrediction(
            member_fields=predict(members, initial, parameters, steps, batch_size),
            channels=known.channels,
            time_step=known.time_step,
            calibration=self.calibration,
        )

    def mean(self) -> CommitteeMean:
        """Return what the members say in the mean as a predictor, such as `evaluate` takes."""
        self.load_members()
        return CommitteeMean(self)

    def recipe(self) -> dict[str, Any]:
        """Return the settings of the network as plain values."""
        return self.operator.recipe()

    @classmethod
    def member_in(cls, path: Path) -> NeuralOperator:
        """Read a member from its file."""
        return NeuralOperator.load(path)

    def __repr__(self) -> str:
        return f"OperatorCommittee({self.operator!r}, members={self._n_members})"

    def _asked(self, pieces: Samples, calibration: SpreadCalibration | None) -> HeldOut:
        """Roll out, over all steps, those samples that all members can roll out."""
        samples, found = pieces, self.predict(pieces.initial, pieces.parameters, pieces.steps)
        axes = (0, *range(2, found.member_fields.ndim))
        whole = np.asarray(np.isfinite(found.member_fields).all(axes))  # [samples]
        if whole.all():
            return held_out(found, samples)
        if not whole.any():
            raise DataError(
                f"not all members can roll out any of these {len(samples)} samples to its end: train them on longer "
                "windows"
            )
        text = f"{int((~whole).sum())} of {len(samples)} samples are left out of the error bars: not all members can "
        warn_user(text + "roll them out")
        return held_out(replace(found, member_fields=found.member_fields[:, whole]), samples.take(whole))

    @classmethod
    def _restored(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> NeuralOperator:
        return NeuralOperator.from_parts(recipe, learned)

    @classmethod
    def _like(cls, member: NeuralOperator) -> Self:
        return cls(NeuralOperator(member.network))

    @staticmethod
    def _apart(one: NeuralOperator, other: NeuralOperator) -> str:
        mine, theirs = one.fitted().known, other.fitted().known
        pairs = {
            "another network": (one.network, other.network),
            "other channels": (mine.channels, theirs.channels),
            "other parameters": (mine.space, theirs.space),
            "another time step": (mine.time_step, theirs.time_step),
        }
        return next((what for what, (a, b) in pairs.items() if a != b), "")


@final
@dataclass(frozen=True, eq=False)
class CommitteeMean:
    """The mean of a committee wherever a predictor is wanted."""

    committee: OperatorCommittee
    """Who is asked."""

    def predict(
        self, initial: NDArray[np.float32], parameters: Parameters | None, steps: int, /
    ) -> NDArray[np.float32]:
        """Return the mean of the members' roll-outs.  [samples, steps + 1, channels, *grid]"""
        return self.committee.predict(initial, parameters, steps).fields
