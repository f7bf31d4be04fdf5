"""Whether all models of a study can be trained on its data, asked before the first one is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from potentia.errors import ConfigError, DataError
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.modalities import MAIN, part_of
from potentia.trajectories.networks.base import Shape
from potentia.trajectories.study_config import StudyConfig
from potentia.trajectories.time_map import TimeMap

__all__ = ["require_trainable"]


def require_trainable(config: StudyConfig, path: Path, data: TrajectoryData) -> None:
    """Raise where a training would only find out later.

    Args:
        config: All settings.
        path: File of the data, for messages.
        data: Its content.

    Raises:
        ConfigError: too little is left of the data or of a batch, or a network cannot be built for them.
        DataError: states, parameters or times have no logarithm, but networks are to see it.
    """
    factor = config.dataset.subset_factor
    if factor > len(data.train):
        raise ConfigError(f"dataset.subset_factor: {factor} is more than the {len(data.train)} trajectories of {path}")
    part = part_of(data, factor, MAIN, None)
    for modality in config.modalities:
        if modality.enabled:
            modality.check(part)
    _require_logarithms(config, path, data)
    shape = Shape(data.train.n_quantities, data.train.n_parameters)
    for plan in config.surrogates:
        config.variants(plan)
        try:
            with torch.device("meta"):  # its weights take no memory and draw no numbers
                plan.network.build(shape)
        except ConfigError as error:
            raise ConfigError(f"{plan.name}: {error}") from None


def _require_logarithms(config: StudyConfig, path: Path, data: TrajectoryData) -> None:
    """Raise `DataError` if a value of any part, or a time, has no logarithm but networks are to see it."""
    transforms = config.dataset.preprocessing
    TimeMap(*data.horizon, log=transforms.log_timesteps)
    for name, part in (("train", data.train), ("test", data.test), ("val", data.val)):
        if transforms.log10_transform and transforms.tolerance is None:
            columns = zip(part.labels, part.states.reshape(-1, part.n_quantities).T, strict=True)
            _require_positive(f"{path}: {name}", columns, "log10_transform", "set dataset.tolerance, or ")
        if transforms.log10_transform_params and part.parameters is not None:
            names = part.parameter_labels or tuple(f"parameter {k}" for k in range(part.n_parameters))
            columns = zip(names, part.parameters.T, strict=True)
            _require_positive(f"{path}: {name} parameters", columns, "log10_transform_params", "")


def _require_positive(where: str, columns: Iterable[tuple[Any, Any]], switch: str, also: str) -> None:
    bad = [(label, int((values <= 0).sum()), float(values.min())) for label, values in columns if (values <= 0).any()]
    if bad:
        listed = ", ".join(f"{label} has {count} (the least is {least:g})" for label, count, least in bad)
        raise DataError(
            f"{where} has values that are zero or negative, which have no logarithm: {listed}; {also}set "
            f"dataset.{switch}: false"
        )
