"""A whole evaluation: its tables, figures and files, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from potentia.errors import ConfigError, DataError
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.evaluation import EvaluationSettings, Forward, TrainingCurve, evaluate
from reports.pages import seen
from trajectories.known_flows import Flow, Hold, Noisy, data, of_states

KNOWN = data(np.linspace(0, 3, 21), val=6, test=12)
EVERYTHING = EvaluationSettings(
    losses=True,
    iterative=True,
    gradients=True,
    timing=True,
    compute=True,
    timing_batch_sizes=(1,),
    timing_runs=2,
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, initial, times, parameters):
        return self.layer(initial)[:, None] * times[:, None]


def curve(**changed):
    settings = {"epoch": [10, 20], "train": [0.2, 0.1], "test": [0.3, 0.2], "duration": 61.0, "unit": "dex"}
    return TrainingCurve(**(settings | changed))


def whole():
    names = ("Exact", "Slow")
    series = {"Exact": {2: Flow(0.99), 5: Flow(0.9)}, "Slow": {2: Flow(0.8), 5: Flow(0.7)}}
    return evaluate(
        {"Exact": Flow(), "Slow": Flow(0.9)},
        KNOWN,
        EVERYTHING,
        baselines={"Hold": Hold()},
        modalities={
            "interpolation": series,
            "extrapolation": {name: {5: Flow(0.9), 12: Flow(0.95)} for name in names},
            "sparse": series,
            "batch_scaling": series,
            "uncertainty": {"Slow": [Noisy(k) for k in range(3)]},
        },
        histories={name: {"main": {"": curve()}, "uq": {"member 1": curve()}} for name in names},
        forwards={name: Forward(Net(), (torch.ones(4, 3), torch.linspace(0, 1, 5), None)) for name in names},
        solvers={"exact": lambda x, t, p: Flow().predict(x[None], t)[0]},
        trajectory_batches=["Slow"],
    )


@pytest.fixture(scope="module")
def found():
    return whole()


def test_every_table_names_what_it_is_of(found):
    assert list(found.metrics.columns) == ["surrogate", "block", "metric", "value", "unit"]
    blocks = {"accuracy", "gradients", "iterative", "timing", "compute", "interpolation", "extrapolation", "sparse"}
    assert set(found.metrics["block"]) == blocks | {"batch_scaling", "UQ"}
    assert not found.metrics.duplicated(["surrogate", "block", "metric"]).any()
    for frame in found.frames.values():
        assert set(frame["surrogate"]) <= {"Exact", "Slow", "Hold", "exact"}
        assert len(frame)


def test_the_exact_flow_has_no_error_and_is_the_best_of_the_table(found):
    assert found.metric("Exact", "accuracy", "mean_absolute_error_log") < 1e-12
    assert found.metric("Exact", "iterative", "mean_absolute_error_log") < 1e-12
    table = found.table()
    assert table.loc["MAE (log, dex)", "Exact"].startswith("* ")
    assert not table["Hold"].str.startswith("*").any()
    assert table.loc["DE MAE", "Exact"] == ""
    assert table.loc["Train Time (hh:mm:ss)", "Slow"] == "* 00:01:01 *"
    with pytest.raises(ConfigError, match="no metric 'mean_absolute_error' here; did you mean 'mean_absolute_err"):
        found.metric("Exact", "accuracy", "mean_absolute_error")


NAMES_OF_ONE = {
    "accuracy_rel_errors_time",
    "accuracy_delta_dex_time",
    "accuracy_rel_error_per_quantity",
    "accuracy_delta_dex_per_quantity",
    "losses_main",
    "losses_uq",
    "gradient_error_heatmap",
    "example_preds_iterative",
    "example_preds_interpolation",
    "example_preds_extrapolation",
    "errors_over_time_interpolation",
    "errors_over_time_extrapolation",
    "errors_over_time_sparse",
    "errors_over_time_batchsize",
    "uq_example_deepensemble_preds",
    "uq_uncertainty_over_time",
    "uq_uncertainty_errors_correlation",
}
NAMES_OF_ALL = {
    "accuracy_rel_errors_time_models",
    "accuracy_delta_dex_time",
    "accuracy_error_dist_relative",
    "accuracy_error_dist_deltadex",
    "losses_main_model",
    "losses_main_model_equal",
    "losses_main_model_duration",
    "iterative_delta_dex_time",
    "iterative_error_dist_deltadex",
    "gradients_heatmaps",
    "timing_inference",
    "errors_interpolation",
    "errors_extrapolation",
    "errors_sparse",
    "errors_batch_size",
    "errors_all_modalities",
    "uq_deltadex_main_vs_ensemble",
    "uq_deltadex_vs_uncertainty",
    "uq_heatmaps",
    "uq_catastrophic_detection",
}


def test_figures_have_their_names(found):
    names = set(found.figures())
    assert {f"Slow/{name}" for name in NAMES_OF_ONE} <= names
    assert names >= NAMES_OF_ALL
    assert "Exact/uq_uncertainty_over_time" not in names
    assert not [name for name in names if name.startswith("Hold")]


def test_captions_are_sentences(found):
    captions = {name: figure.caption for name, figure in found.figures().items()}
    assert all(text[0].isupper() and text.endswith(".") and "_" not in text for text in captions.values())
    assert all(name.split("/")[0] in text for name, text in captions.items() if "/" in name and "exampl" not in name)


@pytest.mark.slow
def test_everything_is_written(found, tmp_path):
    found.write(tmp_path)
    assert {path.stem for path in (tmp_path / "plots").glob("*.png")} >= NAMES_OF_ALL
    assert {path.stem for path in (tmp_path / "plots" / "Slow").glob("*.png")} >= NAMES_OF_ONE
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == len(found.figures())


def test_error_bars_of_ensembles_have_a_section(found, tmp_path):
    replace(found, settings=replace(found.settings, figures=False)).write(tmp_path)
    page = seen(tmp_path / "report.html")
    assert page.sections == ["Summary", "Error bars", "Exact", "Slow"]
    assert page.images == []
    (coverage,) = [row for row in page.rows if row[:2] == ["conformal", "0.9"]]
    assert float(coverage[2]) == pytest.approx(found.metric("Slow", "UQ", "coverage at 90 % (conformal)"), abs=1e-4)
    (known,) = [row for row in page.rows if row[0] == "Slow" and len(row) == 3]
    assert float(known[1]) == pytest.approx(found.metric("Slow", "UQ", "rank_correlation"), abs=1e-4)


def test_one_surrogate_is_written_without_a_comparison(tmp_path):
    settings = EvaluationSettings(figures=False)
    evaluate({"MyFlow": Flow(0.9)}, KNOWN, settings).write(tmp_path / "results")
    written = {path.name for path in (tmp_path / "results").iterdir()}
    assert written == {"myflow_metrics.json", "tables", "report.html"}
    metrics = json.loads((tmp_path / "results" / "myflow_metrics.json").read_text())
    assert metrics["accuracy"]["error_percentile"] == 99
    assert "ensemble_size: 5" in seen(tmp_path / "results" / "report.html").words


def test_tables_are_written_where_surrogates_are_compared(tmp_path):
    found = evaluate({"A": Flow(), "B": Flow(0.9)}, KNOWN, EvaluationSettings(figures=False))
    found.write(tmp_path)
    assert (tmp_path / "all_metrics.csv").read_text().startswith("Category,A,B\n")
    assert "*" not in (tmp_path / "metrics_table.csv").read_text()
    assert "* " in (tmp_path / "metrics_table.txt").read_text()
    back = pd.read_csv(tmp_path / "tables" / "accuracy_over_time.csv")
    pd.testing.assert_frame_equal(back, found.frames["accuracy_over_time"])


def test_linear_states_are_nowhere_called_dex(tmp_path):
    grid = np.linspace(-1, 1, 5).reshape(1, 5, 1)
    parts = [of_states(grid + k) for k in (0.0, 0.1, 0.2)]
    settings = EvaluationSettings(gradients=True, iterative=True, iterative_interval=2)
    found = evaluate({"Hold": Hold()}, TrajectoryData.of(*parts, name="ramp"), settings, baselines={"Still": Hold()})
    assert "dex" not in set(found.metrics["unit"])
    assert not [name for name in found.figures() if "dex" in name]
    assert not [label for label in found.table().index if "dex" in label]
    axes = found.figure("accuracy_delta_linear_time").axes[0]
    assert "linear" in axes.get_ylabel()


def test_steps_beyond_the_training_part_are_reported_apart():
    shorter = KNOWN.with_splits(KNOWN.train.at_steps(slice(8)), KNOWN.test.at_steps(slice(8)))
    found = evaluate({"Slow": Flow(0.9)}, shorter, baselines={"Hold": Hold()})
    inside = found.metric("Slow", "accuracy", "mean_absolute_error_log_inside")
    assert inside < found.metric("Slow", "accuracy", "mean_absolute_error_log_outside")
    assert "MAE beyond the training window (log, dex)" in found.table().index


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"surrogates": {}}, "there are no surrogates"),
        ({"baselines": {"flow": Hold()}}, "names of surrogates and baselines must differ, also written small"),
        ({"modalities": {"interpolate": {}}}, "no modality 'interpolate'; did you mean 'interpolation'"),
        ({"modalities": {"sparse": {"Flo": {}}}}, "no surrogate 'Flo'; did you mean 'Flow'"),
        ({"histories": {"Flwo": {}}}, "no surrogate 'Flwo'; did you mean 'Flow'"),
        ({"modalities": {"sparse": {"Flow": {0: Flow()}}}}, "factor of Flow must be an integer of at least 1, got 0"),
    ],
)
def test_names_and_values_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(**({"surrogates": {"Flow": Flow()}, "data": KNOWN} | arguments))


def test_shapes_that_do_not_fit_are_named():
    class OneTime(Hold):
        def predict(self, initial_states, times, parameters=None):
            return super().predict(initial_states, times[:1])

    with pytest.raises(DataError, match=r"Flow.predict must return .* = \(6, 21, 3\), got \(6, 1, 3\)"):
        evaluate({"Flow": OneTime()}, KNOWN)
    with pytest.raises(DataError, match=r"Flow, main must have as many errors as epochs, got \[2, 1, 2\]"):
        evaluate(
            {"Flow": Flow()},
            KNOWN,
            EvaluationSettings(losses=True),
            histories={"Flow": {"main": {"": curve(train=[1.0])}}},
        )
