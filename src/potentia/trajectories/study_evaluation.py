"""Models of a study to the evaluation: in which order, with which curves, against which solver and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from potentia.trajectories.baselines import fit_baselines
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.evaluation import Evaluation, Forward, Predictor, Solve, TrainingCurve, evaluate
from potentia.trajectories.modalities import MAIN, BatchScaling, Uncertainty, Variant, part_of
from potentia.trajectories.study_config import StudyConfig
from potentia.trajectories.systems import SYSTEMS

__all__ = ["Model", "evaluate_models"]

SOLVER_TOLERANCES = (1e-3, 1e-6)
"""Relative tolerances at which the solver of the system is timed beside the surrogates."""
Series: TypeAlias = dict[str, dict[str, dict[Any, TrajectorySurrogate]]]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model of a study."""

    surrogate: str
    """Name of its class."""
    variant: Variant
    """Which of its models."""
    fitted: TrajectorySurrogate
    """The model, on the device where it is looked at."""


def evaluate_models(models: Sequence[Model], data: TrajectoryData, config: StudyConfig) -> Evaluation:
    """Compare all models of a study with the held-out part of ``data``."""
    trained_on = part_of(data, config.dataset.subset_factor, MAIN, None)
    main = {model.surrogate: model for model in models if model.variant.mode == MAIN}
    fitted = {name: model.fitted for name, model in main.items()}
    return evaluate(
        fitted,
        trained_on,
        config.evaluation,
        baselines=fit_baselines(trained_on, config.dataset.preprocessing),
        modalities=_modalities(models, main, config),
        histories=_histories(models, "dex" if config.dataset.preprocessing.log10_transform else "unit of the data"),
        forwards={name: _forward(one, data) for name, one in fitted.items()},
        solvers=_solvers(data),
        trajectory_batches=[name for name, one in fitted.items() if not one.network_.points],
    )


def _modalities(
    models: Sequence[Model], main: Mapping[str, Model], config: StudyConfig
) -> dict[str, Mapping[str, Mapping[int, Predictor] | Sequence[Predictor]]]:
    found: Series = {}
    keys = {modality.mode: modality.key for modality in config.modalities}
    for model in models:
        if model.variant.mode != MAIN:
            series = found.setdefault(keys[model.variant.mode], {})
            series.setdefault(model.surrogate, {})[model.variant.value] = model.fitted
    for name, sizes in found.get(BatchScaling.key, {}).items():
        sizes.setdefault(main[name].variant.batch_size, main[name].fitted)
    members = found.pop(Uncertainty.key, {})
    ensembles = {name: [main[name].fitted, *others.values()] for name, others in members.items()}
    return {**found, **({Uncertainty.key: ensembles} if ensembles else {})}


def _histories(models: Sequence[Model], unit: str) -> dict[str, dict[str, dict[str, TrainingCurve]]]:
    found: dict[str, dict[str, dict[str, TrainingCurve]]] = {}
    for model in models:
        record = model.fitted.metadata or {}
        history = record["training_history"]
        curve = TrainingCurve(
            epoch=range(1, len(history["train_loss"]) + 1),
            train=history["train_loss"].tolist(),
            test=history["test_loss"].tolist(),
            duration=record["duration"],
            unit=unit,
        )
        modes = found.setdefault(model.surrogate, {})
        modes.setdefault(model.variant.mode.lower(), {})[model.variant.metric] = curve
    return found


def _forward(model: TrajectorySurrogate, data: TrajectoryData) -> Forward:
    """Return the network with the whole held-out part, as it sees that."""
    like, scaling, part = next(model.network_.parameters()), model.scaling_, data.val

    def seen(values: Tensor) -> Tensor:
        return values.to(like.device, like.dtype)

    initial = seen(scaling.states(torch.from_numpy(part.initial_states)))
    times = seen(scaling.times(torch.from_numpy(part.times)))
    parameters = None if part.parameters is None else seen(scaling.parameters(torch.from_numpy(part.parameters)))
    return Forward(model.network_, (initial, times, parameters))


def _solvers(data: TrajectoryData) -> dict[str, Solve]:
    """Return the solver of the system that has made the data, at several tolerances; none where it is not known."""
    if data.system is None or data.system not in SYSTEMS:
        return {}
    system = SYSTEMS[data.system]
    return {f"solver at {rtol:.0e}": partial(system.solve, rtol=rtol, atol=None) for rtol in SOLVER_TOLERANCES}
