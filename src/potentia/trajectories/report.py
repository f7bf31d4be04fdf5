"""The report on a surrogate of trajectories: errors beside baselines, by quantity and time, the worst trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from potentia.checks import one_file
from potentia.ensemble.reported import Reported
from potentia.ensemble.reported_bars import error_bars_of
from potentia.plots import ParityPanel, error_distribution, parity_panels
from potentia.report import (
    NOT_MEASURED,
    ModelReport,
    Section,
    closing_sections,
    not_measured,
    whose_data,
)
from potentia.train.history import rows_of
from potentia.trajectories.baselines import fit_baselines
from potentia.trajectories.committee import TrajectoryCommittee
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.evaluation import Evaluation, evaluate
from potentia.trajectories.evaluation.accuracy_figures import (
    errors_by_quantity,
    errors_by_size,
    errors_of_one_in_time,
)
from potentia.trajectories.evaluation.looks import Looks
from potentia.trajectories.evaluation.table_rows import explained
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.hdf5 import read_trajectories
from potentia.trajectories.predictor import Floats, Predictor, predicted
from potentia.trajectories.results import TrainOut
from potentia.trajectories.scaling import Preprocessing
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.training_config import TrajectoryTrainingConfig
from potentia.words import TRAJECTORIES

__all__ = ["report_on"]

PANELS = 3
"""Quantities of which predicted states are drawn over true ones: those with the largest errors."""
WORST = 15


def report_on(path: Path, data: Sequence[Path] = (), *, only_same: bool = False) -> ModelReport:
    """Return the report on a surrogate or a committee.

    Args:
        path: The file of either, or the directory of a committee.
        data: The file of the data set, if it is to be measured on.
        only_same: Whether to leave the data out if they are not those of the training.

    Raises:
        FileFormatError: a file cannot be read.
        DataError: the data are not of the same quantities.
    """
    kinds = {cls.kind for cls in SURROGATES.values()}
    subject = Reported[TrajectorySurrogate, TrajectoryCommittee].of(path, TrajectoryCommittee, kinds)
    surrogate, record = subject.one, subject.record
    name = type(surrogate).__name__ if subject.committee is None else "committee"
    found = read_trajectories(one_file(data)) if data else None
    same = found is not None and found.mark() == record.get("data", {}).get("mark")
    if not same and only_same:
        found = None
    sections, headline, times = [not_measured()], NOT_MEASURED, {}
    if found is not None:
        scored = _evaluated({name: subject.predictor}, surrogate.preprocessing, found)
        states = predicted(name, subject.predictor, found.val)
        sections, times = _measured(name, states, found, scored, same=same), _times(scored["val"], name)
        rmse = scored["val"].metric(name, "accuracy", "root_mean_squared_error_real")
        headline = f"RMSE {rmse:.3g} (unit of the states), {_relative(name, scored['val'])} (held-out part)"
    history = rows_of(record.get("training_history", {}))
    out = TrainOut(history, dex=surrogate.preprocessing.log10_transform)
    sections += closing_sections(
        out,
        record,
        bars=error_bars_of(TrajectoryCommittee, subject.committee, None if found is None else found.val),
        unit="dex; of the states in their unit" if out.dex else "unit of the states",
        meant=TRAJECTORIES,
        times=times,
        settings=TrajectoryTrainingConfig,
        recipe=surrogate.recipe(),
        path=subject.file,
        data={"quantities": ", ".join(surrogate.scaling_.labels)},
    )
    title = subject.title(type(surrogate).__name__, f"surrogates ({type(surrogate).__name__})", "trajectories")
    return ModelReport(title=title, family="trajectories", headline=headline, sections=sections)


def _relative(name: str, held_out: Evaluation) -> str:
    """Return the error by which states of any size are compared: of logarithms where those are learned."""
    if held_out.scale.log10:
        return f"MAE {held_out.metric(name, 'accuracy', 'mean_absolute_error_log'):.3g} dex"
    return f"mean relative error {100 * held_out.metric(name, 'accuracy', 'mean_relative_error'):.3g} %"


def _evaluated(
    asked: Mapping[str, Predictor], preprocessing: Preprocessing, data: TrajectoryData
) -> dict[str, Evaluation]:
    """Return the evaluations of all parts, the held-out one last."""
    settings = EvaluationSettings(timing=True, timing_batch_sizes=(1,), timing_runs=3, timing_seconds=3.0)
    fast = replace(settings, timing=False)
    baselines = fit_baselines(data, preprocessing)
    found = {
        part: evaluate(asked, replace(data, val=samples), fast, baselines=baselines)
        for part, samples in (("train", data.train), ("test", data.test))
    }
    return {**found, "val": evaluate(asked, data, settings, baselines=baselines)}


def _measured(
    name: str, states: Floats, data: TrajectoryData, scored: Mapping[str, Evaluation], *, same: bool
) -> list[Section]:
    held_out = scored["val"]
    section = Section("Errors").table("All parts", _by_part(scored))
    section.says("Held out is “val”; “test” is what the training has chosen its weights by.").says(
        whose_data(same=same)
    )
    table = held_out.table()
    section.table("Held-out part, beside what costs no training", table)
    meanings = explained(map(str, table.index))
    section.table("What the rows mean", meanings, folded=True, texts=["meaning"])
    settings, frames = held_out.settings, held_out.frames
    looks = Looks((name,), held_out.baselines, held_out.scale, settings.log_timesteps, settings.error_percentile)
    figure = errors_of_one_in_time(frames["accuracy_over_time"], name, looks.kind, looks)
    section.figure(figure, "Errors of the held-out part in time, baselines in grey.")
    figure = errors_by_quantity(frames["accuracy_by_quantity"], name, looks.kind, looks)
    section.figure(figure, "Errors of each quantity.")
    sizes = frames["accuracy_distribution"]
    figure = errors_by_size(sizes[sizes["kind"] == looks.kind], looks, held_out.scale.axis, "All errors")
    section.figure(figure, "Which share of all errors is smaller than which size.")
    return [section, _parity(data, states, held_out), _worst(data, states, held_out)]


def _by_part(scored: Mapping[str, Evaluation]) -> pd.DataFrame:
    """Return a row for each part and predictor; baselines on what they were not fitted to."""
    rows = []
    for part, found in scored.items():
        metrics = found.metrics[found.metrics["block"] == "accuracy"].pivot(
            index="surrogate", columns="metric", values="value"
        )
        others = () if part == "train" else found.baselines  # some of them know it by heart
        for name in (*found.surrogates, *others):
            row = metrics.loc[name]
            log = {} if "mean_absolute_error_log" not in row else {"MAE (dex)": row["mean_absolute_error_log"]}
            rows.append({
                "of": f"{name}, {part}",
                "RMSE": row["root_mean_squared_error_real"],
                "MAE": row["mean_absolute_error_real"],
                **log,
                "mean relative error (%)": 100 * row["mean_relative_error"],
            })  # fmt: skip
    return pd.DataFrame(rows).set_index("of")


def _parity(data: TrajectoryData, states: np.ndarray, found: Evaluation) -> Section:
    """Return the section with predicted states over true ones."""
    scale, part = found.scale, data.val
    errors = scale(states) - scale(part.states)
    order = np.argsort(-np.abs(errors).mean((0, 1)), kind="stable")[:PANELS].tolist()
    unit = "log10" if scale.log10 else "unit of the state"
    panels = [
        ParityPanel(
            quantity=f"state {part.labels[k]}",
            unit=unit,
            groups={"held out": (scale(part.states[..., k]), scale(states[..., k]))},
            error_unit=scale.unit,
        )
        for k in order
    ]
    section = Section("Predicted and true")
    which = "All quantities" if len(order) == part.n_quantities else f"The {len(order)} quantities of largest error"
    section.figure(parity_panels(panels), f"{which}, held-out part.")
    groups = {part.labels[k]: errors[..., k] for k in order}
    figure = error_distribution(groups, quantity="state", unit=scale.unit)
    return section.figure(figure, "Distribution of the errors by quantity.")


def _worst(data: TrajectoryData, states: np.ndarray, found: Evaluation) -> Section:
    """Return the section with the trajectories of the largest errors."""
    part, scale = data.val, found.scale
    errors = scale.errors(states, part.states)  # [trajectories, times, quantities]
    mean = errors.mean((1, 2))
    rows = []
    for n in np.argsort(-mean, kind="stable")[:WORST].tolist():
        step, quantity = np.unravel_index(int(errors[n].argmax()), errors[n].shape)
        rows.append({
            "trajectory": f"val {n}",
            f"mean error ({scale.unit})": float(mean[n]),
            f"largest error ({scale.unit})": float(errors[n].max()),
            "of": part.labels[quantity],
            "at time": float(part.times[step]),
            **{f"initial {label}": float(part.states[n, 0, k]) for k, label in enumerate(part.labels[:4])},
        })  # fmt: skip
    section = Section("Worst trajectories").says(f"Held-out trajectories are counted from 0, {len(part)} in all.")
    return section.table("Worst trajectories", pd.DataFrame(rows).set_index("trajectory"), texts=["of"])


def _times(found: Evaluation, name: str) -> dict[str, float]:
    table = found.frames["timing"]
    own = table[table["surrogate"] == name]
    return {
        f"prediction, per trajectory, {int(size)} at a time": float(seconds)
        for size, seconds in zip(own["batch_size"], own["per_trajectory"], strict=True)
    }
