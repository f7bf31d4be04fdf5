"""The report on a parameter network: errors of roll-outs beside baselines, parameters, and the worst windows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from potentia import runs
from potentia.config import from_dict
from potentia.dynamics.baselines import Baseline, ConstantParameters, ConstantTurn, Persistence, predict_all
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.evaluation import RolloutEvaluation, evaluate_rollouts, scenario_figures
from potentia.dynamics.load import load_feature_dataset_group
from potentia.dynamics.opened_run import OpenedRun
from potentia.dynamics.results import TrainOut
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.dynamics.run_inputs import read_inputs
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.dynamics.windows import WindowSettings
from potentia.errors import DataError, FileFormatError
from potentia.plots import ParityPanel, parity_panels
from potentia.report import (
    NOT_MEASURED,
    ModelReport,
    Section,
    closing_sections,
    expected_kind,
    not_measured,
    whose_data,
)
from potentia.train.history import rows_of

__all__ = ["report_on"]

NETWORK = "network"
WORST = 15
SCENARIOS = 3
PANELS = 3


def report_on(path: Path, data: Sequence[Path] = (), *, only_same: bool = False) -> ModelReport:
    """Return the report on a network in a file, or on a run in its directory.

    Args:
        path: The file or the directory.
        data: Logs, if they are to be measured on. They are cut as the run has cut its own; of a file alone only the
            length of the windows is known, and the step is that of the logs. The logs of a run need not be given.
        only_same: Whether to leave out logs that are not those of the training.

    Raises:
        FileFormatError: a file cannot be read.
        DataError: the logs cannot be used.
    """
    run, file = _opened(path)
    net = DynamicsParameterNet.load(path) if run is None else run.net
    record = net.fitted().record
    parts = _windows(net, run, data)
    marks = {(record.get(name) or {}).get("mark") for name in ("data", "validation")}
    same = bool(parts) and all(windows.mark() in marks for windows in parts.values())
    if not same and only_same:
        parts = {}
    sections, headline, times = [not_measured()], NOT_MEASURED, {}
    if parts:
        name, windows = list(parts.items())[-1]
        scored = {part: _evaluated(net, one) for part, one in parts.items()}
        sections, times = _measured(net, parts, scored, same=same), _times(net, windows)
        headline = _headline(scored[name], name)
    sections += closing_sections(
        TrainOut(rows_of(record.get("training_history", {})), saturation=record.get("saturation", {})),
        record,
        times=times,
        settings=DynamicsTrainingConfig,
        recipe=net.recipe(),
        path=file,
        data={"windows": record["data"]["windows"], "steps of a window": record["n_steps"]},
    )
    title = f"Parameters of {net.spec_.name}"
    return ModelReport(title=title, family="dynamics", headline=headline, sections=sections)


def _opened(path: Path) -> tuple[OpenedRun | None, Path]:
    """Return the run in a directory, None of a file alone, and the file of the network."""
    if not path.is_dir():
        expected_kind(path, {DynamicsParameterNet.kind})
        return None, path
    whole = runs.RunDirectory(path)
    if not (whole.is_trained and whole.settings.is_file()):
        run = OpenedRun.of(path)
        weights = (run.directory.weights(which, ".safetensors") for which in ("best", "last"))
        return run, next(file for file in weights if file.is_file())
    blocks = whole.read_settings()
    logs = {"dataset": blocks["data"]["train"], "val_dataset": blocks["data"].get("validation", ())}
    config = from_dict(RunConfig, {**blocks["training"], **logs})
    return OpenedRun(RunDirectory(path), config, DynamicsParameterNet.load(whole.model)), whole.model


def _windows(net: DynamicsParameterNet, run: OpenedRun | None, data: Sequence[Path]) -> dict[str, FeatureDataset]:
    """Return the windows of the given logs, else those of the run by part, else none."""
    if run is not None and data:
        return {"data": run.windows([str(path) for path in data])}
    if run is not None:
        try:
            return dict(read_inputs(replace(run.config, dataset_cache=None, val_dataset_cache=None)).parts)
        except (DataError, FileFormatError):  # they are gone: the report says that nothing was measured
            return {}
    if not data:
        return {}
    steps, features = net.fitted().record["n_steps"], net.features_
    settings = WindowSettings(
        horizon=steps, stride=steps, history=features.settings.history or 0, features=features.feature_names
    )
    return {"data": load_feature_dataset_group([str(path) for path in data], net.spec_, settings).dataset}


def _evaluated(net: DynamicsParameterNet, windows: FeatureDataset) -> RolloutEvaluation:
    predictions = {NETWORK: net.predict(windows), **predict_all(_baselines(net), windows)}
    return evaluate_rollouts(net.spec_, windows, predictions, baselines=list(_baselines(net)))


def _baselines(net: DynamicsParameterNet) -> dict[str, Baseline]:
    """Return what costs no training."""
    found: dict[str, Baseline] = {
        "persistence": Persistence(net.spec_),
        "default parameters": ConstantParameters(net.spec_, None, net.rollout_),
    }
    return {**found, "constant turn": ConstantTurn(net.spec_)} if ConstantTurn.suits(net.spec_) else found


def _measured(
    net: DynamicsParameterNet,
    parts: dict[str, FeatureDataset],
    scored: dict[str, RolloutEvaluation],
    *,
    same: bool,
) -> list[Section]:
    section = Section("Errors")
    part, windows = list(parts.items())[-1]
    found = scored[part]
    main = found.table()
    main = main[~main.index.str.contains(", step ")]
    section.table(f"{part.capitalize()}: {len(windows):,} windows", _numbers(found), shown=main)
    section.says(whose_data(same=same))
    for name, one in scored.items():
        section.table(
            f"All errors, {name}: {len(parts[name]):,} windows", _numbers(one), shown=one.table(), folded=True
        )
    if found.by_group["group"].nunique() > 1:
        own = found.by_group[found.by_group["prediction"] == NETWORK].drop(columns="prediction")
        section.table(f"By log, {part}", own.set_index("group"))
    predictions = {NETWORK: net.predict(windows), **predict_all(_baselines(net), windows)}
    params = net.predict_params(windows)
    drawn = dict(
        scenario_figures(net.spec_, windows, predictions, params, baselines=list(_baselines(net)), count=SCENARIOS)
    )
    section.figure(drawn["errors_over_time"], "How errors grow from step to step.")
    parity = _parity(net, windows, predictions[NETWORK]).figure(
        drawn["residuals"], "Distribution of the errors by state."
    )
    worst = _worst(windows, found)
    for name, figure in drawn.items():
        if name.startswith("scenario"):
            worst.figure(figure, name.replace("_", " "))
    parameters = Section("Parameters").table("Over the windows", net.summarize(windows).table)
    parameters.figure(drawn["parameters"], "Predicted parameters over what they may depend on.")
    return [section, parity, worst, parameters]


def _numbers(found: RolloutEvaluation) -> pd.DataFrame:
    """Return a row for each metric, a column for each prediction."""
    names = found.metrics["metric"].drop_duplicates()
    wide = found.metrics.pivot(index="metric", columns="surrogate", values="value")
    return wide.reindex(index=pd.Index(names, name="metric"), columns=found.metrics["surrogate"].unique())


def _parity(net: DynamicsParameterNet, windows: FeatureDataset, states: np.ndarray) -> Section:
    """Return the section with predicted states at the last step over measured ones."""
    last = windows.counted.shape[1] - 1 - np.argmax(windows.counted[:, ::-1], axis=1)
    rows = np.arange(len(windows))
    true, found = windows.targets[rows, last], states[rows, last]
    kept = [k for k, state in enumerate(net.spec_.states) if not state.pose] or list(range(len(net.spec_.states)))
    panels = [
        ParityPanel(
            quantity=f"state {net.spec_.states[k].name}",
            unit=net.spec_.states[k].unit or "1",
            groups={"last step": (true[:, k], found[:, k])},
        )
        for k in kept[:PANELS]
    ]
    caption = "States at the last step of each window; places and headings say nothing here."
    return Section("Predicted and measured").figure(parity_panels(panels), caption)


def _worst(windows: FeatureDataset, found: RolloutEvaluation) -> Section:
    """Return the section with the windows of the largest errors, named by log and number."""
    errors = found.by_window
    order = np.argsort(-np.nan_to_num(errors[NETWORK].to_numpy(), nan=np.inf), kind="stable")[:WORST]
    groups = windows.groups
    number = np.array([int((groups[:k] == groups[k]).sum()) for k in order.tolist()])
    names = [
        f"{windows.group_names[groups[k]]}, window {n}" for k, n in zip(order.tolist(), number.tolist(), strict=True)
    ]
    table = errors.iloc[order].set_axis(pd.Index(names, name="window"))
    section = Section("Worst windows")
    section.says("Mean distance (m) of each window, or its mean scaled error where there are no places.")
    return section.table("Worst windows", table)


def _times(net: DynamicsParameterNet, windows: FeatureDataset) -> dict[str, float]:
    begun = time.perf_counter()
    net.predict(windows)
    return {"prediction, per window": (time.perf_counter() - begun) / len(windows)}


def _headline(found: RolloutEvaluation, part: str) -> str:
    own = found.metrics[found.metrics["surrogate"] == NETWORK].set_index("metric")["value"]
    name = "ADE" if "ADE" in own.index else "scaled error"
    better = own.get("better than default parameters", np.nan)
    unit = " m" if name == "ADE" else ""
    return f"{name} {own[name]:.3g}{unit}, {100 * better:.3g} % less than default parameters ({part})"
