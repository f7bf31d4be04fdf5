"""A trained operator, or a committee of them, as the commands ask it: roll-outs, errors, error bars."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.cli.families.committees import spread_tables
from potentia.operators.baselines import Predictor, baselines_of
from potentia.operators.committee import OperatorCommittee
from potentia.operators.dataset import OperatorData
from potentia.operators.estimator import NeuralOperator
from potentia.operators.evaluation import evaluate
from potentia.operators.field_table import field_table
from potentia.runs.models import kind_of

__all__ = ["Alone", "Asked", "Rolled", "Together", "opened"]

COLUMNS = ["rel_l2", "nrmse", "vrmse", "one_step_vrmse", "valid_time"]
Fields: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rolled:
    """What a model says of the held-out part."""

    table: pd.DataFrame
    """A row for each sample, step and channel."""
    fields: Fields
    """Of a committee, the mean of its members.  [samples, steps + 1, channels, *grid]"""
    bars: dict[str, Fields] = field(default_factory=dict)
    """``"spread"`` of the members and ``"half_width"`` of intervals, as far as there are; of the same shape."""


class Asked(ABC):
    """A trained model of operators."""

    @abstractmethod
    def predict(self, data: OperatorData) -> Rolled:
        """Roll out the held-out part."""

    @abstractmethod
    def errors(self, data: OperatorData) -> pd.DataFrame:
        """Return errors on the held-out part, beside those of what costs no training."""

    @abstractmethod
    def tables(self, data: OperatorData) -> dict[str, pd.DataFrame]:
        """Return ``"errors"``, and whatever else the held-out part tells of the model."""


@dataclass(frozen=True, eq=False)
class Alone(Asked):
    """One operator."""

    operator: NeuralOperator

    def predict(self, data: OperatorData) -> Rolled:
        """Roll out the held-out part."""
        fields = self.operator.predict(data.test.initial, data.test.parameters, data.test.steps)
        return Rolled(field_table(fields, data.channels, data.time_step), fields)

    def errors(self, data: OperatorData) -> pd.DataFrame:
        """Return errors on the held-out part."""
        return _errors("operator", self.operator, data)

    def tables(self, data: OperatorData) -> dict[str, pd.DataFrame]:
        """Return ``"errors"``."""
        return {"errors": self.errors(data)}


@dataclass(frozen=True, eq=False)
class Together(Asked):
    """Several operators."""

    committee: OperatorCommittee

    def predict(self, data: OperatorData) -> Rolled:
        """Roll out the held-out part: the mean, with the spread of the members, and intervals."""
        found = self.committee.predict(data.test.initial, data.test.parameters, data.test.steps)
        bars = {"spread": found.fields_std} if len(found.member_fields) > 1 else {}
        bars |= {} if found.calibration is None else {"half_width": found.half_width}
        return Rolled(found.frame(), found.fields, bars)

    def errors(self, data: OperatorData) -> pd.DataFrame:
        """Return errors of the mean on the held-out part."""
        return _errors("committee", self.committee.mean(), data)

    def tables(self, data: OperatorData) -> dict[str, pd.DataFrame]:
        """Return ``"errors"``, and how good error bars are where there are several members."""
        return {"errors": self.errors(data), **spread_tables(self.committee, data.test)}


def opened(path: Path) -> Asked:
    """Read an operator or a committee from a file."""
    if kind_of(path) == OperatorCommittee.kind:
        return Together(OperatorCommittee.load(path))
    return Alone(NeuralOperator.load(path))


def _errors(name: str, predictor: Predictor, data: OperatorData) -> pd.DataFrame:
    scores = evaluate({name: predictor, **baselines_of(data)}, data).scores
    return scores[COLUMNS].reset_index()
