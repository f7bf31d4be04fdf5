"""What one task of a study does: cut the data, train a surrogate where it was left, write it, tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from potentia.config import from_dict
from potentia.errors import DataError, TrainingError
from potentia.study import Place, PlannedTask
from potentia.train import Forecast, newest_checkpoint
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.hdf5 import read_trajectories
from potentia.trajectories.modalities import part_of
from potentia.trajectories.scaling import Preprocessing
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["TrainVariant"]


@dataclass(frozen=True)
class TrainVariant:
    """Trains the model that a task describes, and goes on from checkpoints that a run before has left."""

    path: str
    """File of the data."""

    def __call__(self, task: PlannedTask, place: Place) -> Mapping[str, Any]:
        """Train and write the model; return what it was trained on and how long.

        Raises:
            DataError: the data have changed since the task was planned.
            TrainingError: the training was interrupted; the next run goes on with it.
        """
        data = _read(self.path, Path(self.path).stat().st_mtime_ns)
        if data.mark() != task.settings["data"]:
            raise DataError(f"{self.path} has changed since the study began: run the study again to see what to do")
        part = part_of(data, task.settings["subset_factor"], task.settings["mode"], task.settings["value"])
        surrogate, config = _surrogate(task), _config(task, place.device)
        config = replace(config, checkpoint_dir=str(place.scratch))
        out = surrogate.train(part, config, newest_checkpoint(place.scratch), allow_changes=("device",))
        if out.resumable:
            raise TrainingError(f"{task.name} was interrupted: {out.ended}; the next run goes on with it")
        surrogate.save(place.directory / task.files[0])
        record = surrogate.metadata or {}
        return {key: value for key, value in record.items() if key != "training_history"}

    def forecast(self, task: PlannedTask, part: TrajectoryData, device: str) -> Forecast:
        """Return what the task is likely to need on data that are cut already."""
        return _surrogate(task).forecast(part, _config(task, device))


def _surrogate(task: PlannedTask) -> TrajectorySurrogate:
    """Return the surrogate that the task is to train."""
    kind = SURROGATES[task.settings["surrogate"]]
    of_network = {field.name for field in fields(kind.config_class)}
    values = {key: value for key, value in task.settings["settings"].items() if key in of_network}
    preprocessing = from_dict(Preprocessing, task.settings["preprocessing"])
    return kind(from_dict(kind.config_class, values), preprocessing=preprocessing)


def _config(task: PlannedTask, device: str) -> TrajectoryTrainingConfig:
    """Return the settings of its training."""
    of_training = {field.name for field in fields(TrajectoryTrainingConfig)}
    values = {key: value for key, value in task.settings["settings"].items() if key in of_training}
    values |= {"epochs": task.settings["epochs"], "batch_size": task.settings["batch_size"]}
    values |= {"save_best": task.settings["checkpoint"], "seed": task.seed, "device": device, "stop_on_signal": False}
    return from_dict(TrajectoryTrainingConfig, values)


@lru_cache(maxsize=1)
def _read(path: str, changed: int) -> TrajectoryData:
    """Read data once for all tasks of a process; ``changed`` tells a file from the one that stood there before."""
    return read_trajectories(path)
