"""Committees of operators from a file of settings: trained, paused, asked, calibrated, reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cli.committee_runs import committee_of_three, told
from operators import fields_data
from potentia.cli import main
from potentia.cli.run_settings import read_run_settings
from potentia.ensemble import CommitteeConfig
from potentia.operators import NeuralOperator, OperatorCommittee, write_operator_data
from potentia.yaml_files import read_yaml

DATA = fields_data.data(n_other=24)
SHORT = ["training.epochs=2", "training.show_progress=false", "network.width=4", "network.layers=1", "network.modes=3"]
SET = [part for one in SHORT for part in ("--set", one)]
MEMBER = "members/member_000/model.pt"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("committee")
    write_operator_data(folder / "waves.hdf5", DATA)
    return committee_of_three(folder, folder / "waves.hdf5", SET)


@pytest.fixture(scope="module")
def committee(run):
    return OperatorCommittee.load(run.path / "model.safetensors")


def test_init_writes_members_with_what_they_mean(run):
    content = read_yaml(run.settings)
    assert content["committee"]["num_members"] == 3
    assert content["data"] == {"file": "waves.hdf5", "calibrate": "waves.hdf5"}
    text = run.settings.read_text()
    assert "# Members, each from the next seed; their spread is the error bar\n  num_members: 3\n" in text
    found = read_run_settings(run.settings, [])[1]
    assert found.committee == CommitteeConfig(num_members=3)
    assert found.data.calibrate == str(run.data)


def test_the_run_is_the_committee_that_python_trains(run, committee):
    settings = read_run_settings(run.path / "settings.yaml", [])[1]
    own = settings.untrained_committee()
    own.train(DATA, settings.training, CommitteeConfig(3, output_dir=run.folder / "python"))
    for one, other in zip(own.load_members(), committee.load_members(), strict=True):
        assert fields_data.same(fields_data.weights(one), fields_data.weights(other))


def test_a_run_holds_all_that_belongs_to_its_members(run, committee):
    assert {path.name for path in run.path.iterdir()} == {
        "settings.yaml", "provenance.json", "history.csv", "losses.png", "model.safetensors", "errors.csv",
        "members.csv", "calibration.csv", "coverage.csv", "lead_times.csv", "members",
    }  # fmt: skip
    members = pd.read_csv(run.path / "members.csv")
    assert members["seed"].tolist() == [1, 2, 3]
    assert members["status"].tolist() == ["completed"] * 3
    own = [pd.read_csv(run.path / f"members/member_{k:03d}/history.csv")["val_loss"] for k in range(3)]
    np.testing.assert_allclose(pd.read_csv(run.path / "history.csv")["val_loss"], np.mean(own, axis=0))
    assert pd.read_csv(run.path / "errors.csv")["predictor"].tolist()[0] == "committee"
    assert pd.read_csv(run.path / "lead_times.csv")["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert committee.calibration.blocks == 12
    assert OperatorCommittee.from_directory(run.path / "members").calibration.level == 0.9


def test_predictions_have_error_bars(run, committee, capsys):
    found = told(capsys, "predict", run.path, run.data)["predictions"]
    expected = committee.predict(DATA.test.initial, DATA.test.parameters, DATA.test.steps)
    table = expected.frame()
    for name in ("mean", "spread", "half_width", "level"):
        np.testing.assert_allclose([row[name] for row in found], table[name])
    out = run.folder / "fields.npz"
    assert main(["predict", str(run.path), str(run.data), "-o", str(out)]) == 0
    with np.load(out) as arrays:
        assert np.array_equal(arrays["fields"], expected.fields)
        assert np.array_equal(arrays["spread"], expected.fields_std)
        assert np.array_equal(arrays["half_width"], expected.half_width)


def test_evaluate_tells_errors_and_what_error_bars_hold_on_the_other_half(run, committee, capsys):
    found = told(capsys, "evaluate", run.path, run.data)
    bars = committee.error_bars(DATA.test)
    assert bars.samples == 12
    assert [row["coverage"] for row in found["coverage"]] == pytest.approx(bars.coverage["coverage"].tolist())
    assert found["calibration"][0]["level"] == 0.9
    written = pd.read_csv(run.path / "coverage.csv")  # when it was learned: the same half
    np.testing.assert_allclose(written["coverage"], bars.coverage["coverage"])
    assert main(["evaluate", str(run.path), str(run.data)]) == 0
    assert "lead_times:\n" in capsys.readouterr().out


def test_a_report_is_of_all_members(run, capsys):
    report = told(capsys, "report", run.path)
    assert report["title"] == "Committee of 3 neural operators of waves"
    (bars,) = [one for one in report["sections"] if one["title"] == "Error bars"]
    assert {"What error bars hold", "By step of the roll-out"} <= set(bars["tables"])


def test_a_paused_committee_goes_on_to_the_bit_and_is_calibrated_later(run, committee, capsys):
    where = str(run.folder / "paused")
    given = ["train", str(run.settings), *SET, "--run-dir", where, "--set", "data.calibrate=null"]
    assert told(capsys, *given, "--set", "training.max_time=0.0001s")["resumable"] is True
    assert main(["predict", where, str(run.data)]) == 2
    assert "has no model yet" in capsys.readouterr().err
    assert main([*given, "--resume", "--set", "committee.num_members=4"]) == 2
    assert "committee.num_members: 3 → 4" in capsys.readouterr().err
    assert told(capsys, *given, "--resume", "--set", "committee.threads_per_member=1")["resumable"] is False
    other = OperatorCommittee.load(run.folder / "paused/model.safetensors")
    for a, b in zip(committee.load_members(), other.load_members(), strict=True):
        assert fields_data.same(fields_data.weights(a), fields_data.weights(b))
    assert other.calibration is None
    assert "calibration" not in told(capsys, "evaluate", where, run.data)
    bars = told(capsys, "calibrate", where, run.data, "--level", "0.8")
    assert bars["calibration"][0]["level"] == 0.8
    assert told(capsys, "evaluate", where, run.data)["calibration"][0]["level"] == 0.8


def test_a_forecast_is_of_all_members(run, capsys):
    before = set(run.folder.iterdir())
    found = told(capsys, "train", run.settings, *SET, "--dry-run")
    assert (found["epochs"], found["seconds"]) == (2, pytest.approx(2 * found["seconds_per_epoch"]))
    assert found["data"]["samples"] == {"train": 10, "val": 24, "test": 24, "calibrate": 24}
    assert set(run.folder.iterdir()) == before


def test_what_cannot_be_is_one_line(run, capsys, tmp_path):
    few = replace(DATA, test=DATA.test.take([0]))
    write_operator_data(run.folder / "few.hdf5", few)
    for command, message in [
        (["train", run.settings, "--set", "committee.output_dir=x"], "committee: output_dir is decided by"),
        (["train", run.settings, "--set", "committee.num_member=2"], "did you mean 'num_members'?"),
        (["train", run.settings, "--set", "committee.batched=true"], "batched=True is not for operators"),
        (["train", run.settings, "--set", "start={init_from: x}"], "start is of one operator, and a committee has"),
        (["train", run.settings, "--set", "committee=null"], "data.calibrate is for the error bars of a committee"),
        (["train", run.settings, *SET, "--set", "data.calibrate=few.hdf5"], "calibrating needs simulations"),
        (["train", run.settings, *SET, "--set", "data.calibrate=no.hdf5"], "no.hdf5"),
        (["train", run.settings, *SET, "--set", "network.modes=20"], "choose modes of at most 8"),
        (["calibrate", run.path / MEMBER, run.data], "holds one operator, which has no spread"),
    ]:
        where = tmp_path / f"run {len(list(tmp_path.iterdir()))}"
        assert main([*map(str, command), *(["--run-dir", str(where)] if command[0] == "train" else [])]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
        assert not where.exists()


def test_a_member_is_an_operator(run, committee):
    one = NeuralOperator.load(run.path / MEMBER)
    assert fields_data.same(fields_data.weights(one), fields_data.weights(committee.load_members()[0]))
