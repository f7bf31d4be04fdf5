"""Evaluate surrogates on the held-out part of a data set: everything that is switched on, and all that is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pandas as pd

from potentia import progress
from potentia.checks import did_you_mean
from potentia.errors import ConfigError
from potentia.evaluate import Metric, metric_frame
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation.accuracy import accuracy
from potentia.trajectories.evaluation.compute import Forward, compute_metrics
from potentia.trajectories.evaluation.evaluation import Evaluation
from potentia.trajectories.evaluation.examples import example
from potentia.trajectories.evaluation.gradients import gradients
from potentia.trajectories.evaluation.histories import Histories, curves_table, training_metrics
from potentia.trajectories.evaluation.modality_errors import MODALITIES, modality_errors
from potentia.trajectories.evaluation.roll_out import roll_outs
from potentia.trajectories.evaluation.timing import Solve, speed_ups, time_predictions, time_solver, timing_metrics
from potentia.trajectories.evaluation.uncertainty import uncertainty
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.predictor import Floats, Predictor, predicted

__all__ = ["evaluate"]

UNCERTAINTY = "uncertainty"


@dataclass(frozen=True, eq=False)
class _Work:
    """What all parts of an evaluation are made from, and the metrics and pieces of tables that they have added."""

    data: TrajectoryData
    scale: ErrorScale
    settings: EvaluationSettings
    surrogates: Mapping[str, Predictor]
    baselines: Mapping[str, Predictor]
    predictions: Mapping[str, Floats]  # of the held-out part, [trajectories, times, quantities] each
    metrics: list[Metric] = field(default_factory=list)
    pieces: dict[str, list[pd.DataFrame]] = field(default_factory=dict)

    def add(self, **tables: pd.DataFrame) -> None:
        for name, table in tables.items():
            self.pieces.setdefault(name, []).append(table)

    def frames(self) -> dict[str, pd.DataFrame]:
        joined = {name: pd.concat(tables, ignore_index=True) for name, tables in self.pieces.items()}
        return {"metrics": metric_frame(self.metrics), **joined}


def evaluate(
    surrogates: Mapping[str, Predictor],
    data: TrajectoryData,
    settings: EvaluationSettings | None = None,
    *,
    baselines: Mapping[str, Predictor] | None = None,
    modalities: Mapping[str, Mapping[str, Mapping[int, Predictor] | Sequence[Predictor]]] | None = None,
    histories: Histories | None = None,
    forwards: Mapping[str, Forward] | None = None,
    solvers: Mapping[str, Solve] | None = None,
    trajectory_batches: Collection[str] = (),
) -> Evaluation:
    """Compare what surrogates predict with the held-out part of ``data``.

    >>> import numpy as np
    >>> from potentia.trajectories.dataset import Trajectories
    >>> class Decay:
    ...     def predict(self, initial_states, times, parameters=None):
    ...         return initial_states[:, None] * np.exp(-times)[:, None]
    >>> times = np.linspace(0.0, 1.0, 5)
    >>> part = Trajectories(2.0 * np.exp(-times).reshape(1, 5, 1), times, None, ("x",))
    >>> found = evaluate({"Decay": Decay()}, TrajectoryData.of(part, part, part, "decay"))
    >>> found.metric("Decay", "accuracy", "mean_absolute_error_log")
    0.0

    Args:
        surrogates: Name → the surrogate that was trained on everything.
        data: ``val`` is compared with; ``train`` says how much there was to train on and until when; error bars are
            calibrated on ``test``.
        settings: What to look at; None for the defaults.
        baselines: Name → what costs no training, fitted to ``train``; they stand beside the surrogates everywhere.
        modalities: ``"interpolation"``, ``"extrapolation"``, ``"sparse"`` or ``"batch_scaling"`` → surrogate → value →
            what was trained so; ``"uncertainty"`` → surrogate → its members, the first one trained as the surrogate.
        histories: Surrogate → mode (``"main"``, ``"interpolation"``, …, ``"uq"``) → a word for each training → its
            curve; the one of ``"main"`` has the word ``""``.
        forwards: Surrogate → network and arguments, for ``compute``.
        solvers: Name with its tolerance → what solves one trajectory, for ``timing``.
        trajectory_batches: Surrogates whose ``batch_scaling`` is in trajectories and not in points.

    Raises:
        ConfigError: there are no surrogates, a name is twice there, or unknown.
        DataError: shapes do not fit, or log10 was asked for of states that have none; the message says whose.
    """
    settings = settings or EvaluationSettings()
    baselines, modalities, histories = baselines or {}, modalities or {}, histories or {}
    _check_names(surrogates, baselines, modalities, forwards or {}, histories)
    scale = ErrorScale.of(data.val, settings.log10, settings.tolerance)
    predictions = {name: predicted(name, one, data.val) for name, one in {**surrogates, **baselines}.items()}
    work = _Work(data, scale, settings, surrogates, baselines, predictions)
    _score(work)
    if settings.iterative:
        _roll_out(work)
    if settings.timing:
        _time(work, solvers or {})
    if settings.compute:
        for name, forward in (forwards or {}).items():
            work.metrics.extend(compute_metrics(name, forward))
    work.metrics.extend(training_metrics(histories))
    if settings.losses and histories:
        work.add(losses=curves_table(histories))
    for kind, given in modalities.items():
        if kind == UNCERTAINTY:
            _judge_ensembles(work, cast("Mapping[str, Sequence[Predictor]]", given))
        else:
            series = cast("Mapping[str, Mapping[int, Predictor]]", given)
            _score_modality(work, kind, series, frozenset(trajectory_batches))
    return Evaluation(data.name, settings, scale, tuple(surrogates), tuple(baselines), work.frames())


def _check_names(
    surrogates: Mapping[str, Predictor],
    baselines: Mapping[str, Predictor],
    modalities: Mapping[str, Mapping[str, object]],
    *others: Mapping[str, object],
) -> None:
    if not surrogates:
        raise ConfigError("there are no surrogates to evaluate")
    names = [*surrogates, *baselines]
    if len({name.lower() for name in names}) < len(names) or any("/" in name for name in names):
        raise ConfigError(f"names of surrogates and baselines must differ, also written small, without slash: {names}")
    for kind in modalities:
        if kind not in {*MODALITIES, UNCERTAINTY}:
            raise ConfigError(f"there is no modality {kind!r}{did_you_mean(kind, [*MODALITIES, UNCERTAINTY])}")
    for name in [name for given in (*modalities.values(), *others) for name in given]:
        if name not in surrogates:
            raise ConfigError(f"there is no surrogate {name!r}{did_you_mean(name, surrogates)}")


def _score(work: _Work) -> None:
    window = float(work.data.train.times[-1])
    for name, prediction in progress.track(work.predictions.items(), "scores"):
        scored = accuracy(name, prediction, work.data.val, work.settings, window=window)
        work.metrics.extend(scored.metrics)
        work.add(
            accuracy_over_time=scored.over_time,
            accuracy_by_quantity=scored.by_quantity,
            accuracy_distribution=scored.distribution,
        )
        if work.settings.gradients:
            steep = gradients(name, prediction, work.data.val, work.scale)
            work.metrics.extend(steep.metrics)
            work.add(gradients_by_quantity=steep.by_quantity, gradients_density=steep.density)


def _roll_out(work: _Work) -> None:
    for name, predictor in {**work.surrogates, **work.baselines}.items():
        rolled = roll_outs(name, predictor, work.data.val, work.scale, work.settings)
        work.metrics.extend(rolled.metrics)
        both = {"in one go": work.predictions[name], "rolled out": rolled.states}
        work.add(
            iterative_over_time=rolled.over_time,
            iterative_by_offset=rolled.by_offset,
            iterative_distribution=rolled.distribution,
            iterative_example=example(both, work.data.val, work.scale).assign(surrogate=name),
        )


def _time(work: _Work, solvers: Mapping[str, Solve]) -> None:
    part, scale, settings = work.data.val, work.scale, work.settings
    everything = {**work.surrogates, **work.baselines}
    timed = progress.track(everything.items(), "timings")
    table = pd.concat([time_predictions(name, one, part, settings) for name, one in timed])
    work.add(timing=table)
    work.metrics.extend(timing_metrics(table, part))
    if solvers:
        solved = pd.concat([time_solver(name, solve, part, scale, settings) for name, solve in solvers.items()])
        work.add(solvers=solved)
        errors = {name: float(scale.errors(one, part.states).mean()) for name, one in work.predictions.items()}
        work.metrics.extend(speed_ups(table, solved, errors))


def _judge_ensembles(work: _Work, ensembles: Mapping[str, Sequence[Predictor]]) -> None:
    for name, members in progress.track(ensembles.items(), "ensembles"):
        bars = uncertainty(name, members, work.data, work.scale, work.settings)
        work.metrics.extend(bars.metrics)
        work.add(
            uncertainty_over_time=bars.over_time,
            uncertainty_coverage=bars.coverage,
            uncertainty_by_size=bars.by_size,
            uncertainty_pit=bars.pit,
            uncertainty_catastrophic=bars.catastrophic,
            uncertainty_density=bars.density,
            uncertainty_example=bars.example,
        )


def _score_modality(
    work: _Work, kind: str, series: Mapping[str, Mapping[int, Predictor]], trajectory_batches: frozenset[str]
) -> None:
    """Score what was trained on less; of interpolation and extrapolation, show what was trained on the least."""
    main = {name: one for name, one in work.predictions.items() if name in series or name in work.baselines}
    found = modality_errors(
        kind, series, main, work.data, work.scale, work.settings, trajectory_batches=trajectory_batches
    )
    work.metrics.extend(found.metrics)
    work.add(modality=found.table, modality_over_time=found.over_time)
    least = {"interpolation": max, "extrapolation": min}.get(kind)
    for name, values in series.items():
        if least is not None and values:
            value = least(values)
            label = f"{MODALITIES[kind].noun} {value}"
            said = predicted(f"{name} ({label})", values[value], work.data.val)
            both = {"all times": work.predictions[name], label: said}
            work.add(**{f"{kind}_example": example(both, work.data.val, work.scale).assign(surrogate=name)})
