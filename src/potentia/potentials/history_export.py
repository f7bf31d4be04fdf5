"""Export of the history of a training for other programs, from whatever holds one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from potentia.errors import ConfigError
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.histories import rows_of
from potentia.potentials.results import TrainOut
from potentia.train import export

__all__ = ["export_history"]

History: TypeAlias = TorchANNPotential | TrainOut | Mapping[str, Iterable[float | None]] | Sequence[Mapping[str, float]]
"""A trained potential, what `train` returned, columns by name, or rows by epoch."""


def export_history(
    trainer_or_history: History,
    json_path: str | os.PathLike[str] | None = None,
    csv_path: str | os.PathLike[str] | None = None,
) -> None:
    """Write a history to the paths that are given: one value a column and epoch, epochs counted from 1.

    The JSON is strict: what is not finite is null. The CSV has 17 digits and an empty field where there is no value.

    Raises:
        ConfigError: no path is given.
        NotFittedError: the potential is not trained.
    """
    if json_path is None and csv_path is None:
        raise ConfigError("export_history has nothing to write: give json_path, csv_path or both")
    export(_rows(trainer_or_history), json_path, csv_path)


def _rows(history: History) -> Sequence[Mapping[str, float]]:
    match history:
        case TorchANNPotential():
            history.require_trained()
            return rows_of((history.metadata or {}).get("training_history", {}))
        case TrainOut():
            return history.history
        case Mapping():
            return rows_of(history)
    return history
