"""How errors went in trainings, as one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.errors import DataError
from potentia.evaluate import Metric

__all__ = ["Histories", "TrainingCurve", "curves_table", "training_metrics"]

MAIN = "main"
"""Mode of the training on everything."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingCurve:
    """How the errors went in one training."""

    epoch: Sequence[float] | NDArray[np.float64] = field(repr=False)
    """Epochs at which they were measured.  [points]"""
    train: Sequence[float] | NDArray[np.float64] = field(repr=False)
    """Errors of the training part.  [points]"""
    test: Sequence[float] | NDArray[np.float64] = field(repr=False)
    """Errors of the test part.  [points]"""
    duration: float
    """Of the whole training (s)."""
    unit: str
    """Unit of the errors."""


Histories: TypeAlias = Mapping[str, Mapping[str, Mapping[str, TrainingCurve]]]
"""Surrogate → mode → a word for the training → its curve."""


def curves_table(histories: Histories) -> pd.DataFrame:
    """Return a row for each point: ``surrogate``, ``mode``, ``label``, ``epoch``, ``train``, ``test``, ``duration``.

    Raises:
        DataError: a curve has not as many errors as epochs.
    """
    tables = []
    for name, mode, label, curve in _each(histories):
        lengths = [len(curve.epoch), len(curve.train), len(curve.test)]
        if len(set(lengths)) > 1:
            where = f"{name}, {mode} {label}".strip()
            raise DataError(f"the history of {where} must have as many errors as epochs, got {lengths}")
        points = pd.DataFrame({"epoch": curve.epoch, "train": curve.train, "test": curve.test}, dtype=float)
        place = {"surrogate": name, "mode": mode, "label": label}
        tables.append(points.assign(**place, duration=curve.duration, unit=curve.unit))
    return pd.concat(tables, ignore_index=True)


def training_metrics(histories: Histories) -> list[Metric]:
    """Return epochs and time of the trainings on everything, in the block ``"accuracy"``."""
    metrics = []
    for name, mode, _, curve in _each(histories):
        if mode == MAIN:
            metrics.append(Metric(name, "accuracy", "main_model_training_time", curve.duration, "s"))
            metrics.append(Metric(name, "accuracy", "main_model_epochs", float(max(curve.epoch, default=0))))
    return metrics


def _each(histories: Histories) -> Iterator[tuple[str, str, str, TrainingCurve]]:
    for name, modes in histories.items():
        for mode, curves in modes.items():
            for label, curve in curves.items():
                yield name, mode, label, curve
