"""Errors of surrogates that were trained on less, or in other batches, by how much: one curve for each modality."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.checks import did_you_mean, integer
from potentia.errors import ConfigError
from potentia.evaluate import Metric
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation.summaries import ErrorSummary, per_time
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.predictor import Floats, Predictor, predicted

__all__ = ["MODALITIES", "Modality", "ModalityErrors", "modality_errors"]


@dataclass(frozen=True)
class Modality:
    """What a series of trainings has in common."""

    noun: str
    """What its values are called in names of metrics."""
    axis: str
    """What they are called on an axis."""
    main: Callable[[TrajectoryData], int] | None
    """Value of the training on everything; None where that is up to the settings of the training."""
    trained: Callable[[int, int], NDArray[np.bool_]]
    """Value, number of times → which of them were trained on.  [times]"""
    regions: tuple[str, str] | None
    """What the steps are called that were trained on and those that were not."""


def _every_step(value: int, times: int) -> NDArray[np.bool_]:
    return np.ones(times, dtype=bool)


MODALITIES: Mapping[str, Modality] = {
    "interpolation": Modality(
        noun="interval",
        axis="every k-th time was trained on, k",
        main=lambda data: 1,
        trained=lambda interval, times: np.arange(times) % interval == 0,
        regions=("kept", "between"),
    ),
    "extrapolation": Modality(
        noun="cutoff",
        axis="times trained on, from the first",
        main=lambda data: len(data.train.times),
        trained=lambda cutoff, times: np.arange(times) < cutoff,
        regions=("inside", "outside"),
    ),
    "sparse": Modality(
        noun="factor",
        axis="trajectories trained on",
        main=lambda data: 1,
        trained=_every_step,
        regions=None,
    ),
    "batch_scaling": Modality(
        noun="batch_size", axis="elements of a batch (points)", main=None, trained=_every_step, regions=None
    ),
}
"""Modalities by their names."""


@dataclass(frozen=True, eq=False)
class ModalityErrors:
    """Metrics and tables of one modality."""

    metrics: list[Metric]
    """Block of the modality's name."""
    table: pd.DataFrame
    """A row for each surrogate, value and region (``"all"``, and those of the modality): ``modality``, ``surrogate``,
    ``value``, ``region``, ``RMSE``, ``mean``, ``median``, ``percentile``, ``n``, ``n_train_samples``, and ``x``, the
    value as it is drawn: trajectories of ``"sparse"``, points of a batch."""
    over_time: pd.DataFrame
    """A row for each surrogate, value and time."""


def modality_errors(
    modality: str,
    predictors: Mapping[str, Mapping[int, Predictor]],
    main: Mapping[str, Floats],
    data: TrajectoryData,
    scale: ErrorScale,
    settings: EvaluationSettings,
    *,
    trajectory_batches: frozenset[str] = frozenset(),
) -> ModalityErrors:
    """Compare surrogates of one modality with the held-out states, at all of their times.

    Args:
        modality: One of `MODALITIES`.
        predictors: Surrogate → value → what was trained so.
        main: What others predict of the held-out part, with nothing left out: trained on everything, or baselines;
            not for ``"batch_scaling"``, where the caller names the batch size of all.
        data: ``train`` is everything there is to train on.
        scale: Scale of the errors.
        settings: Thresholds.
        trajectory_batches: Surrogates whose batches are counted in whole trajectories.

    Raises:
        ConfigError: there is no such modality.
    """
    if modality not in MODALITIES:
        raise ConfigError(f"there is no modality {modality!r}{did_you_mean(modality, MODALITIES)}")
    kind = MODALITIES[modality]
    metrics, rows, curves = [], [], []
    for name, value, prediction in _all_predictions(kind, predictors, main, data):
        errors = scale.errors(prediction, data.val.states)
        n_samples = -(-len(data.train) // value) if modality == "sparse" else len(data.train)
        batch = value * (len(data.train.times) if name in trajectory_batches else 1)
        shown = {"sparse": n_samples, "batch_scaling": batch}.get(modality, value)
        for region, steps in _regions(kind, value, len(data.val.times)):
            summary = ErrorSummary.of(errors[:, steps], settings.error_percentile)
            rows.append(
                {
                    "modality": modality,
                    "surrogate": name,
                    "value": value,
                    "region": region,
                    "x": shown,
                    "RMSE": summary.rmse,
                    "mean": summary.mean,
                    "median": summary.median,
                    "percentile": summary.percentile,
                    "n": summary.n,
                    "n_train_samples": n_samples,
                }
            )
            label = f"{kind.noun} {value} - MAE{scale.suffix}" + ("" if region == "all" else f"_{region}")
            metrics.append(Metric(name, modality, label, summary.mean, scale.unit))
        extra = {"sparse": ("n_train_samples", n_samples), "batch_scaling": ("batch_elements", batch)}.get(modality)
        if extra is not None:
            metrics.append(Metric(name, modality, f"{kind.noun} {value} - {extra[0]}", float(extra[1])))
        curve = per_time(errors, data.val.times, settings.error_percentile)
        curves.append(curve.assign(modality=modality, surrogate=name, value=value))
    return ModalityErrors(metrics, pd.DataFrame(rows), pd.concat(curves, ignore_index=True))


def _all_predictions(
    kind: Modality,
    predictors: Mapping[str, Mapping[int, Predictor]],
    main: Mapping[str, Floats],
    data: TrajectoryData,
) -> Iterator[tuple[str, int, Floats]]:
    """Go through surrogates and values in order, the training on everything among them."""
    whole = None if kind.main is None else kind.main(data)
    for name, values in predictors.items():
        own = {} if whole is None or name not in main else {whole: main[name]}
        for value in sorted({*values, *own}):
            integer(f"{kind.noun} of {name}", value, low=1)
            if value in values:
                yield name, value, predicted(f"{name} ({kind.noun} {value})", values[value], data.val)
            else:
                yield name, value, own[value]
    known = {value for values in predictors.values() for value in values} | ({whole} if whole is not None else set())
    if whole is not None:
        for name in [name for name in main if name not in predictors]:  # baselines, the same for every value
            for value in sorted(known):
                yield name, value, main[name]


def _regions(kind: Modality, value: int, times: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "all", np.ones(times, dtype=bool)
    if kind.regions is not None:
        trained = kind.trained(value, times)
        if not trained.all():
            yield kind.regions[0], trained
            yield kind.regions[1], ~trained
