"""The report on a neural operator: errors beside baselines, by step, channel and wavenumber, and the worst samples."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from potentia.checks import one_file
from potentia.ensemble.reported import Reported
from potentia.ensemble.reported_bars import error_bars_of
from potentia.errors import DataError
from potentia.operators.baselines import Predictor, baselines_of
from potentia.operators.committee import OperatorCommittee
from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.estimator import NeuralOperator
from potentia.operators.evaluation import Evaluation, evaluate
from potentia.operators.figures import Film, error_growth, field_rows, space_time, spectra
from potentia.operators.hdf5 import read_operator_data
from potentia.operators.results import TrainOut
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.plots import ParityPanel, parity_panels
from potentia.report import (
    NOT_MEASURED,
    ModelReport,
    Section,
    closing_sections,
    not_measured,
    whose_data,
)
from potentia.seeding import stream
from potentia.train.history import rows_of

__all__ = ["report_on"]

Fields = NDArray[np.float32]
TRAIN_SAMPLES = 32
"""So many samples of the training part are looked at."""
POINTS = 20_000
"""Of so many values of each channel, drawn at random, predicted are drawn over true ones."""
WORST = 15
SCORES = ("vrmse", "rel_l2", "nmse", "one_step_vrmse", "valid_time")


def report_on(path: Path, data: Sequence[Path] = (), *, only_same: bool = False) -> ModelReport:
    """Return the report on an operator or a committee.

    Args:
        path: The file of either, or the directory of a committee.
        data: The file of the data set, if it is to be measured on.
        only_same: Whether to leave the data out if they are not those of the training.

    Raises:
        FileFormatError: a file cannot be read.
        DataError: the data are of other fields.
    """
    subject = Reported[NeuralOperator, OperatorCommittee].of(path, OperatorCommittee, {NeuralOperator.kind})
    record, word = subject.record, "operator" if subject.committee is None else "committee"
    found = read_operator_data(one_file(data)) if data else None
    same = found is not None and found.mark() == record.get("data", {}).get("mark")
    if not same and only_same:
        found = None
    if found is not None and found.channels != subject.one.fitted().known.channels:
        known = ", ".join(subject.one.fitted().known.channels)
        raise DataError(
            f"{one_file(data)} has the fields {', '.join(found.channels)}, but {path} was trained on {known}"
        )
    sections, headline, times = [not_measured()], NOT_MEASURED, {}
    if found is not None:
        begun = time.perf_counter()
        predicted = subject.predictor.predict(found.test.initial, found.test.parameters, found.test.steps)
        times = {"prediction, per sample and step": (time.perf_counter() - begun) / len(predicted) / found.test.steps}
        scored = evaluate({word: subject.predictor, **baselines_of(found)}, found)
        sections = _measured({word: subject.predictor}, found, predicted, scored, same=same)
        score = {name: float(scored.scores[name][word, "all"]) for name in ("vrmse", "rel_l2")}
        errors = f"VRMSE {score['vrmse']:.3g}, relative L2 {score['rel_l2']:.3g}"
        headline = f"{errors} over {found.test.steps} steps (held-out part)"
    sections += closing_sections(
        TrainOut(rows_of(record.get("training_history", {}))),
        record,
        bars=error_bars_of(OperatorCommittee, subject.committee, None if found is None else found.test),
        unit="normalised fields",
        times=times,
        settings=OperatorTrainingConfig,
        recipe=subject.one.recipe(),
        path=subject.file,
        data={"grid": " × ".join(map(str, record.get("grid", ()))), "steps": record.get("n_steps", "")},
    )
    title = subject.title("Neural operator", "neural operators", "fields")
    return ModelReport(title=title, family="operators", headline=headline, sections=sections)


def _measured(
    asked: Mapping[str, Predictor], data: OperatorData, predicted: Fields, scored: Evaluation, *, same: bool
) -> list[Section]:
    section = Section("Errors").table(
        "Held-out part, beside what costs no training", _joined(scored.scores[list(SCORES)])
    )
    section.says(
        "VRMSE is in parts of the spread of a field: its mean scores 1. Relative L2 is in parts of its size: zero "
        "everywhere scores 1. NMSE is the square error in parts of the variance over all data. The valid time, in the "
        "unit of time of the data, ends where VRMSE is above 0.5."
    )
    section.says(
        "“zero” predicts zero, “mean” the mean of the training part, “persistence” that nothing changes; “linear” "
        "takes the linear step that fits the training part best, “linear in parameters” one that also depends on the "
        "parameters."
    )
    few, word = data.train.take(slice(TRAIN_SAMPLES)), next(iter(asked))
    train = evaluate(asked, _with_test(data, few))
    section.table(f"{len(few)} samples of the training part", _joined(train.scores[list(SCORES)]))
    section.says(whose_data(same=same))
    section.figure(
        _growth(scored, data, word), "VRMSE over the time of a roll-out, held-out part; what costs no training in grey."
    )
    channels = scored.by_channel[scored.by_channel.index.get_level_values("group") == "all"]
    bands = [name for name in scored.scores.columns if str(name).startswith(("error_", "energy_"))]
    section.table(
        "By wavenumber: lowest, middle and highest third, in parts of the truth",
        _joined(scored.scores[bands]),
        folded=True,
    )
    section.table("By channel", _joined(channels[["vrmse", "rel_l2", "mse"]]))
    spectrum = spectra(data.test.fields, {word: predicted}, channels=data.channels, time_step=data.time_step)
    section.figure(spectrum, f"Power of the fields by wavenumber: what the {word} smooths away, or makes of nothing.")
    return [section, _parity(data, predicted), _worst(data, predicted)]


def _joined(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with their names joined, “all” left out."""
    names = [", ".join(str(part) for part in row if part != "all") for row in frame.index]
    return frame.set_axis(pd.Index(names, name="predictor"))


def _with_test(data: OperatorData, samples: Samples) -> OperatorData:
    """Return the data with other held-out samples; those of one group may be in one part only."""
    above = 1 + max(int(part.group.max()) for part in data.parts().values())
    moved = Samples(samples.fields, samples.parameters, samples.group + above)
    return OperatorData(
        data.train, data.val, moved, data.space, data.channels, data.time_step, data.name, data.system
    )  # fmt: skip


def _growth(scored: Evaluation, data: OperatorData, word: str) -> Figure:
    steps = scored.by_step.xs("all", level="group")["vrmse"]
    curves: Mapping[str, NDArray[np.float64]] = {
        str(name): part.to_numpy() for name, part in steps.groupby(level="predictor", sort=False)
    }
    own = {word: curves[word]}
    rest = {name: curve for name, curve in curves.items() if name != word}
    return error_growth(own, rest, measure="VRMSE", time_step=data.time_step)


def _parity(data: OperatorData, predicted: Fields) -> Section:
    """Return the section with predicted fields over true ones."""
    panels = []
    for k, channel in enumerate(data.channels[:3]):
        true, found = data.test.fields[:, 1:, k].ravel(), predicted[:, 1:, k].ravel()
        if len(true) > POINTS:
            chosen = stream(0, "report", channel).choice(len(true), POINTS, replace=False)
            true, found = true[chosen], found[chosen]
        panels.append(
            ParityPanel(quantity=f"field {channel}", unit="unit of the data", groups={"held out": (true, found)})
        )
    caption = "All steps of the roll-outs of the held-out part; of very many values some, drawn at random."
    return Section("Predicted and true").figure(parity_panels(panels), caption)


def _worst(data: OperatorData, predicted: Fields) -> Section:
    """Return the section with the samples of the largest errors, the worst and the middle one drawn."""
    test = data.test
    error = (predicted - test.fields)[:, 1:].reshape(len(test), -1).astype(np.float64)
    size = test.fields[:, 1:].reshape(len(test), -1).astype(np.float64)
    relative = np.linalg.norm(error, axis=1) / np.maximum(np.linalg.norm(size, axis=1), 1e-300)
    order = np.argsort(-np.nan_to_num(relative, nan=np.inf), kind="stable")
    rows = [
        {
            "sample": f"test {n}",
            "relative L2": float(relative[n]),
            "largest error": float(np.abs(error[n]).max()),
            **dict(zip(data.space.names, test.parameters[n].tolist(), strict=True)),
        }
        for n in order[:WORST].tolist()
    ]
    section = Section("Worst samples").says(f"Held-out samples are counted from 0, {len(test)} in all.")
    section.table("Worst samples", pd.DataFrame(rows).set_index("sample"))
    for n, name in ((int(order[0]), "worst"), (int(order[len(order) // 2]), "middle")):
        film = Film.of(data, test, n, predicted[n].astype(np.float64))
        figure = space_time(film) if len(test.grid) == 1 else field_rows(film)
        section.figure(
            figure, f"The {name} sample, test {n}: truth, prediction and error; relative L2 {relative[n]:.3g}."
        )
    return section
