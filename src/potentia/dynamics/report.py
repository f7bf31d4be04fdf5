"""The report on a parameter network: errors of roll-outs beside baselines, parameters, and the worst windows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from potentia.dynamics.baselines import Baseline, ConstantParameters, ConstantTurn, Persistence, predict_all
from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.evaluation import RolloutEvaluation, evaluate_rollouts, scenario_figures
from potentia.dynamics.reported import Reported
from potentia.dynamics.results import TrainOut
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.ensemble.reported_bars import error_bars_of
from potentia.plots import ParityPanel, parity_panels
from potentia.report import (
    NOT_MEASURED,
    ModelReport,
    Section,
    closing_sections,
    not_measured,
    whose_data,
)
from potentia.train.history import rows_of
from potentia.words import PARAMETERS

__all__ = ["report_on"]

WORST = 15
SCENARIOS = 3
EXPLAINED = (
    "Errors are of roll-outs from measured states. ADE is the mean distance from the measured places over all steps of "
    "a window, FDE that at its last step; the scaled error is in parts of how far states move within a window."
)
PANELS = 3


def report_on(path: Path, data: Sequence[Path] = (), *, only_same: bool = False) -> ModelReport:
    """Return the report on a network in a file, or on a run or a committee in its directory.

    Args:
        path: The file or the directory.
        data: Logs, if they are to be measured on. They are cut as the run has cut its own; of a file alone and of a
            committee only the length of the windows is known, and the step is that of the logs. The logs of a run need
            not be given.
        only_same: Whether to leave out logs that are not those of the training.

    Raises:
        FileFormatError: a file cannot be read.
        DataError: the logs cannot be used.
    """
    subject = Reported.of(path)
    net = subject.net
    record = net.fitted().record
    parts = subject.windows(data)
    marks = {(record.get(name) or {}).get("mark") for name in ("data", "validation")}
    same = bool(parts) and all(windows.mark() in marks for windows in parts.values())
    if not same and only_same:
        parts = {}
    sections, headline, times = [not_measured()], NOT_MEASURED, {}
    if parts:
        name, windows = list(parts.items())[-1]
        scored = {part: _evaluated(subject, one) for part, one in parts.items()}
        sections, times = _measured(subject, parts, scored, same=same), _times(subject, windows)
        headline = _headline(scored[name], subject.word, name)
    bars = None if subject.committee is None else subject.windows_of_bars(data)
    sections += closing_sections(
        TrainOut(rows_of(record.get("training_history", {})), saturation=record.get("saturation", {})),
        record,
        bars=error_bars_of(DynamicsCommittee, subject.committee, bars),
        times=times,
        settings=DynamicsTrainingConfig,
        recipe=net.recipe(),
        path=subject.file,
        data={"steps of a window": record["n_steps"]},
    )
    return ModelReport(title=subject.title, family="dynamics", headline=headline, sections=sections)


def _evaluated(subject: Reported, windows: FeatureDataset) -> RolloutEvaluation:
    baselines = _baselines(subject.net)
    predictions = {subject.word: subject.states(windows), **predict_all(baselines, windows)}
    return evaluate_rollouts(subject.net.spec_, windows, predictions, baselines=list(baselines))


def _baselines(net: DynamicsParameterNet) -> dict[str, Baseline]:
    """Return what costs no training."""
    found: dict[str, Baseline] = {
        "persistence": Persistence(net.spec_),
        "default parameters": ConstantParameters(net.spec_, None, net.rollout_),
    }
    return {**found, "constant turn": ConstantTurn(net.spec_)} if ConstantTurn.suits(net.spec_) else found


def _measured(
    subject: Reported,
    parts: dict[str, FeatureDataset],
    scored: dict[str, RolloutEvaluation],
    *,
    same: bool,
) -> list[Section]:
    section, spec = Section("Errors"), subject.net.spec_
    part, windows = list(parts.items())[-1]
    found = scored[part]
    main = found.table()
    main = main[~main.index.str.contains(", step ")]
    section.table(f"{part.capitalize()}: {len(windows):,} windows", _numbers(found), shown=main)
    section.says(whose_data(same=same)).says(EXPLAINED)
    for name, one in scored.items():
        section.table(
            f"All errors, {name}: {len(parts[name]):,} windows", _numbers(one), shown=one.table(), folded=True
        )
    if found.by_group["group"].nunique() > 1:
        own = found.by_group[found.by_group["prediction"] == subject.word].drop(columns="prediction")
        section.table(f"By log, {part}", own.set_index("group").rename_axis("log"))
    baselines = _baselines(subject.net)
    predictions = {subject.word: subject.states(windows), **predict_all(baselines, windows)}
    params = subject.params(windows)
    drawn = dict(scenario_figures(spec, windows, predictions, params, baselines=list(baselines), count=SCENARIOS))
    section.figure(
        drawn["errors_over_time"],
        "How errors grow from step to step: mean distance from the measured places, and RMSE of the other states.",
    )
    parity = _parity(spec, windows, predictions[subject.word]).figure(
        drawn["residuals"], "Distribution of the errors by state."
    )
    worst = _worst(windows, found, subject.word)
    for name, figure in drawn.items():
        if name.startswith("scenario"):
            _, _, kind = name.split("_", 2)
            worst.figure(
                figure,
                f"Window “{kind.replace('_', ' ')}”: its way from where it begins, and the other states in time.",
            )
    parameters = Section("Parameters")
    table = subject.parameter_table(windows)
    parameters.table("Over the windows", table, shown=_with_units(table, spec), meant=PARAMETERS)
    parameters.figure(
        drawn["parameters"],
        "Predicted parameters over what they follow most: dashed their defaults, solid lines their bounds.",
    )
    return [section, parity, worst, parameters]


def _with_units(table: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    """Return a table of entries of parameters with their units behind their names."""
    units = {one.name: one.unit for one in spec.parameters}
    named = ((str(name), units[str(name).partition("[")[0]]) for name in table.index)
    return table.set_axis(pd.Index([f"{name} ({unit})" if unit else name for name, unit in named], name="parameter"))


def _numbers(found: RolloutEvaluation) -> pd.DataFrame:
    """Return a row for each metric, a column for each prediction."""
    names = found.metrics["metric"].drop_duplicates()
    wide = found.metrics.pivot(index="metric", columns="surrogate", values="value")
    return wide.reindex(index=pd.Index(names, name="metric"), columns=found.metrics["surrogate"].unique())


def _parity(spec: ModelSpec, windows: FeatureDataset, states: np.ndarray) -> Section:
    """Return the section with predicted states at the last step over measured ones."""
    last = windows.counted.shape[1] - 1 - np.argmax(windows.counted[:, ::-1], axis=1)
    rows = np.arange(len(windows))
    true, found = windows.targets[rows, last], states[rows, last]
    kept = [k for k, state in enumerate(spec.states) if not state.pose] or list(range(len(spec.states)))
    panels = [
        ParityPanel(
            quantity=f"state {spec.states[k].name}",
            unit=spec.states[k].unit or "1",
            groups={"last step": (true[:, k], found[:, k])},
        )
        for k in kept[:PANELS]
    ]
    caption = "States at the last step of each window; places and headings say nothing here."
    return Section("Predicted and measured").figure(parity_panels(panels), caption)


def _worst(windows: FeatureDataset, found: RolloutEvaluation, word: str) -> Section:
    """Return the section with the windows of the largest errors, named by log and number."""
    errors = found.by_window
    order = np.argsort(-np.nan_to_num(errors[word].to_numpy(), nan=np.inf), kind="stable")[:WORST]
    groups = windows.group
    number = np.array([int((groups[:k] == groups[k]).sum()) for k in order.tolist()])
    names = [
        f"{windows.group_names[groups[k]]}, window {n}" for k, n in zip(order.tolist(), number.tolist(), strict=True)
    ]
    table = errors.iloc[order].set_axis(pd.Index(names, name="window"))
    section = Section("Worst windows")
    section.says("Mean distance (m) of each window, or its mean scaled error where there are no places.")
    return section.table("Worst windows", table)


def _times(subject: Reported, windows: FeatureDataset) -> dict[str, float]:
    begun = time.perf_counter()
    subject.states(windows)
    return {"prediction, per window": (time.perf_counter() - begun) / len(windows)}


def _headline(found: RolloutEvaluation, word: str, part: str) -> str:
    own = found.metrics[found.metrics["surrogate"] == word].set_index("metric")["value"]
    name = "ADE" if "ADE" in own.index else "scaled error"
    better = own.get("better than default parameters", np.nan)
    unit = " m" if name == "ADE" else ""
    words = "mean distance (ADE)" if name == "ADE" else name
    return f"{words} {own[name]:.3g}{unit}, {100 * better:.3g} % less than default parameters ({part})"
