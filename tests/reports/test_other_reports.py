"""The pages on surrogates of trajectories, parameter networks and operators have the numbers of their evaluations."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace

import pytest
import torch

import potentia.dynamics.report
import potentia.operators.report
import potentia.trajectories.report
from dynamics import small_runs
from operators import fields_data
from potentia.cli import main
from potentia.cli.report_command import FAMILIES
from potentia.dynamics import DynamicsParameterNet, DynamicsTrainingConfig
from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.evaluation import evaluate_rollouts
from potentia.dynamics.opened_run import OpenedRun
from potentia.dynamics.reported import Reported
from potentia.dynamics.run_inputs import read_inputs
from potentia.dynamics.training_run import run_training
from potentia.ensemble import CommitteeConfig
from potentia.errors import ConfigError, DataError
from potentia.operators import NeuralOperator, OperatorCommittee, OperatorData
from potentia.operators.baselines import baselines_of
from potentia.operators.evaluation import evaluate as evaluate_fields
from potentia.operators.hdf5 import write_operator_data
from potentia.potentials import TorchANNPotential, TorchCommitteePotential
from potentia.trajectories.committee import TrajectoryCommittee
from potentia.trajectories.evaluation import evaluate as evaluate_trajectories
from potentia.trajectories.hdf5 import read_trajectories, write_trajectories
from potentia.trajectories.networks.fully_connected import FullyConnectedConfig
from potentia.trajectories.surrogates import SURROGATES, FullyConnected
from potentia.trajectories.training_config import TrajectoryTrainingConfig
from potentia.yaml_files import write_yaml
from reports.pages import seen, table
from trajectories import decays

ALWAYS = ["Error bars", "Learning", "Time", "Settings", "Where it comes from"]


@pytest.fixture(scope="module")
def surrogate(tmp_path_factory):
    root = tmp_path_factory.mktemp("trajectories")
    data = decays.data(parameters=1)
    write_trajectories(root / "decays.hdf5", data)
    found = FullyConnected(FullyConnectedConfig(hidden_size=8, num_hidden_layers=1))
    found.train(data, TrajectoryTrainingConfig(epochs=3, seed=1, show_progress=False))
    found.save(root / "model.safetensors")
    return root


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    root = tmp_path_factory.mktemp("operators")
    write_operator_data(root / "waves.h5", fields_data.data())
    fields_data.trained()[0].save(root / "operator.safetensors")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("dynamics")
    small_runs.logs_in(root / "logs")
    return run_training(small_runs.config(root, val_dataset=["logs/log-002.npz"], history=0)).directory.path


def test_every_family_is_known_to_the_command():
    kinds = {cls.kind for cls in SURROGATES.values()}
    single = {TorchANNPotential.kind, DynamicsParameterNet.kind, NeuralOperator.kind}
    committees = (TorchCommitteePotential, OperatorCommittee, TrajectoryCommittee, DynamicsCommittee)
    assert {*kinds, *single, *(cls.kind for cls in committees)} == set(FAMILIES)


def test_trajectories(surrogate):
    report = potentia.trajectories.report.report_on(surrogate / "model.safetensors", [surrogate / "decays.hdf5"])
    report.to_html(surrogate / "page.html")
    page = seen(surrogate / "page.html")
    assert page.sections == ["Errors", "Predicted and true", "Worst trajectories", *ALWAYS]
    assert len(page.images) == 6
    data = read_trajectories(surrogate / "decays.hdf5")
    found = evaluate_trajectories({"it": FullyConnected.load(surrogate / "model.safetensors")}, data)
    rows = {row["of"]: row for row in table(report.plain(), "Errors", "All parts")}
    assert rows["FullyConnected, val"]["RMSE"] == found.metric("it", "accuracy", "root_mean_squared_error_real")
    assert rows["FullyConnected, val"]["MAE (dex)"] == found.metric("it", "accuracy", "mean_absolute_error_log")
    assert rows["HoldInitialState, val"]["RMSE"] > 0
    assert f"MAE {rows['FullyConnected, val']['MAE (dex)']:.3g} dex (held-out part)" in report.headline
    relative = found.metric("it", "accuracy", "mean_relative_error")
    assert rows["FullyConnected, val"]["mean relative error (%)"] == pytest.approx(100 * relative)
    worst = [row["mean error (dex)"] for row in table(report.plain(), "Worst trajectories", "Worst trajectories")]
    assert worst == sorted(worst, reverse=True)
    assert sum(worst) / len(worst) == pytest.approx(rows["FullyConnected, val"]["MAE (dex)"])


def test_operators(operator):
    report = potentia.operators.report.report_on(operator / "operator.safetensors", [operator / "waves.h5"])
    report.to_html(operator / "page.html")
    page = seen(operator / "page.html")
    assert page.sections == ["Errors", "Predicted and true", "Worst samples", *ALWAYS]
    assert len(page.images) == 6
    data = fields_data.data()
    one = NeuralOperator.load(operator / "operator.safetensors")
    scores = evaluate_fields({"it": one, **baselines_of(data)}, data).scores["vrmse"]
    rows = {
        row["predictor"]: row["vrmse"]
        for row in table(report.plain(), "Errors", "Held-out part, beside what costs no training")
    }
    assert rows["operator"] == pytest.approx(scores["it", "all"], rel=1e-6)
    assert rows["linear"] == pytest.approx(scores["linear", "all"], rel=1e-6)


@pytest.mark.slow
def test_a_run_of_dynamics_needs_no_data_to_be_named(run, tmp_path):
    report = potentia.dynamics.report.report_on(run)
    report.to_html(tmp_path / "page.html")
    page = seen(tmp_path / "page.html")
    assert page.sections == ["Errors", "Predicted and measured", "Worst windows", "Parameters", *ALWAYS]
    opened = OpenedRun.of(run)
    metrics = opened.net.evaluate(opened.windows()).metrics.set_index(["surrogate", "metric"])["value"]
    (name,) = [name for name in report.plain()["sections"][0]["tables"] if name.startswith("Validation: ")]
    rows = {row["metric"]: row for row in table(report.plain(), "Errors", name)}
    for other in ("network", "default parameters", "persistence"):
        assert rows["ADE"][other] == pytest.approx(metrics[other, "ADE"])
    assert "The data are those of the training, by their hash." in report.plain()["sections"][0]["words"]
    told = {row["what"]: row["value"] for row in table(report.plain(), "Where it comes from", "Origin")}
    assert f"torch {torch.__version__}" in told["trained with"]
    assert told["trained on"] == ", ".join(json.loads((run / "provenance.json").read_text())["host"].values())


def test_a_network_of_dynamics_alone_is_measured_on_logs(run):
    model, logs = run / "model.safetensors", run.parents[2] / "logs"
    report = potentia.dynamics.report.report_on(model, [logs])
    assert report.headline.endswith("(data)")
    assert "nothing is known" in report.plain()["sections"][0]["words"][0]


@pytest.mark.parametrize("family", ["trajectories", "operators"])
def test_the_command_takes_any_family(family, surrogate, operator, capsys, tmp_path):
    model, data = {
        "trajectories": (surrogate / "model.safetensors", surrogate / "decays.hdf5"),
        "operators": (operator / "operator.safetensors", operator / "waves.h5"),
    }[family]
    assert main(["report", str(model), "--data", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["family"] == family
    assert main(["report", str(model), "-o", str(tmp_path / "page.html")]) == 0
    assert "Nothing was measured" in capsys.readouterr().out
    assert seen(tmp_path / "page.html").sections == ["Errors", *ALWAYS]


def test_a_single_model_says_how_to_get_error_bars(surrogate, operator, run):
    for family, model, way in (
        ("trajectories", surrogate / "model.safetensors", "TrajectoryCommittee"),
        ("operators", operator / "operator.safetensors", "potentia init DATA --members 4"),
        ("dynamics", run / "model.safetensors", "DynamicsCommittee"),
    ):
        report = importlib.import_module(f"potentia.{family}.report").report_on(model).plain()
        (section,) = [one for one in report["sections"] if one["title"] == "Error bars"]
        assert section["tables"] == {}
        assert way in section["words"][0]


@pytest.fixture(scope="module")
def committee(run, tmp_path_factory):
    """Three networks like that of the run, on the same logs, with windows held out."""
    opened = OpenedRun.of(run)
    training = read_inputs(replace(opened.config, val_dataset=())).training
    found = DynamicsCommittee(DynamicsParameterNet.from_recipe(opened.net.recipe()))
    config = DynamicsTrainingConfig(epochs=2, learning_rate=0.02, seed=1)
    found.train(training, config, CommitteeConfig(3, output_dir=tmp_path_factory.mktemp("three")))
    return found


@pytest.mark.slow
def test_a_committee_of_dynamics_tells_of_its_error_bars(committee, run, tmp_path, capsys):
    logs = run.parents[2] / "logs"
    assert main(["report", str(committee.directory), "--data", str(logs), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["title"].endswith("by 3 networks")
    (section,) = [one for one in told["sections"] if one["title"] == "Error bars"]
    assert "They are not calibrated, so the spread is no interval: see `calibrate`." in section["words"]
    windows = Reported.of(committee.directory).windows([logs])["data"]
    committee.calibrate(windows, level=0.8)
    committee.save(tmp_path / "one.safetensors")
    expected = committee.error_bars(windows)
    report = potentia.dynamics.report.report_on(tmp_path / "one.safetensors", [logs])
    report.to_html(tmp_path / "page.html")
    assert len(seen(tmp_path / "page.html").images) > 5
    rows = table(report.plain(), "Error bars", "What error bars hold")
    assert [row["coverage"] for row in rows] == pytest.approx(expected.coverage["coverage"].tolist())
    at_level = table(report.plain(), "Error bars", "Coverage of state v errors (m/s)")
    last = f"step {windows.n_steps}"
    assert {row["group"] for row in at_level} >= {"all", "step 1", last}
    mean = table(report.plain(), "Errors", f"Data: {len(windows)} windows")
    states = committee.predict(windows).states
    metrics = evaluate_rollouts(committee.load_members()[0].spec_, windows, {"it": states}).metrics
    (ade,) = metrics[metrics["metric"] == "ADE"]["value"]
    assert {row["metric"]: row["committee"] for row in mean}["ADE"] == pytest.approx(ade)


@pytest.fixture(scope="module")
def operators(tmp_path_factory):
    """Three operators on waves, calibrated, with their directory."""
    found = OperatorCommittee(NeuralOperator(fields_data.NETWORK))
    folder = tmp_path_factory.mktemp("operators")
    found.train(fields_data.data(), fields_data.settings(epochs=2), CommitteeConfig(3, output_dir=folder / "three"))
    write_operator_data(folder / "held.h5", fields_data.data(n_other=40))
    return found


@pytest.mark.slow
def test_a_committee_of_operators_tells_of_its_error_bars(operators, tmp_path, capsys):
    held_out = operators.directory.parent / "held.h5"
    assert main(["report", str(operators.directory), "--data", str(held_out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["title"] == "Committee of 3 neural operators of waves"
    (section,) = [one for one in told["sections"] if one["title"] == "Error bars"]
    assert "They are not calibrated, so the spread is no interval: see `calibrate`." in section["words"]
    test = fields_data.data(n_other=40).test
    operators.calibrate(test, level=0.8)
    operators.save(tmp_path / "one.safetensors")
    expected = operators.error_bars(test)
    report = potentia.operators.report.report_on(tmp_path / "one.safetensors", [held_out])
    report.to_html(tmp_path / "page.html")
    page = seen(tmp_path / "page.html")
    assert page.sections == ["Errors", "Predicted and true", "Worst samples", *ALWAYS]
    assert len(page.images) == 8
    (section,) = [one for one in report.plain()["sections"] if one["title"] == "Error bars"]
    assert "in 20 held-out samples. 20 more are left out" in section["words"][0]
    rows = table(report.plain(), "Error bars", "What error bars hold")
    assert [row["coverage"] for row in rows] == pytest.approx(expected.coverage["coverage"].tolist())
    steps = table(report.plain(), "Error bars", "By step of the roll-out")
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    at_level = table(report.plain(), "Error bars", "Coverage of field u errors (unit of the data)")
    assert {row["group"] for row in at_level} == {"all", "step 1", "step 4", "step 6"}
    errors = table(report.plain(), "Errors", "Held-out part, beside what costs no training")
    assert errors[0]["predictor"] == "committee"
    bare = potentia.operators.report.report_on(operators.directory).plain()
    assert any("for want of data" in word for one in bare["sections"] for word in one["words"])


def test_a_study_is_pointed_to_its_own_page(capsys, tmp_path):
    (tmp_path / "config.yaml").write_text("training_id: a\n")
    assert main(["report", str(tmp_path)]) == 2
    assert "`potentia study evaluate` compares" in capsys.readouterr().err


def test_data_that_have_changed_are_left_out(operator, capsys, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((operator / "operator.safetensors").read_bytes())
    write_yaml(tmp_path / "settings.yaml", {"data": {"file": str(tmp_path / "waves.h5")}})
    for data, words in ((fields_data.data(), "VRMSE"), (fields_data.data(n_other=3), "Nothing was measured")):
        write_operator_data(tmp_path / "waves.h5", data)
        assert main(["report", str(tmp_path), "--json"]) == 0
        assert words in json.loads(capsys.readouterr().out)["headline"]


def test_wrong_data_are_one_clear_error(surrogate, operator):
    model = surrogate / "model.safetensors"
    with pytest.raises(ConfigError, match="is one file, got 2"):
        potentia.trajectories.report.report_on(model, [model, model])
    two = fields_data.data()
    parts = [replace(part, fields=part.fields.repeat(2, axis=2)) for part in (two.train, two.val, two.test)]
    write_operator_data(operator / "two.h5", OperatorData(*parts, two.space, ("u", "v"), two.time_step, "two"))
    with pytest.raises(DataError, match=r"two.h5 has the fields u, v, but .*operator.safetensors was trained on u"):
        potentia.operators.report.report_on(operator / "operator.safetensors", [operator / "two.h5"])
    write_trajectories(surrogate / "other.hdf5", decays.data())
    with pytest.raises(DataError, match="was trained with the parameters"):
        potentia.trajectories.report.report_on(model, [surrogate / "other.hdf5"])
