"""Committees of surrogates from a file of settings: trained, paused, asked, calibrated, reported."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cli.committee_runs import committee_of_three, told
from potentia.cli import main
from potentia.cli.run_settings import read_run_settings
from potentia.ensemble import CommitteeConfig
from potentia.trajectories import FullyConnected, TrajectoryData, write_trajectories
from potentia.trajectories.committee import TrajectoryCommittee
from potentia.yaml_files import read_yaml
from trajectories.decays import decays

PARTS = [decays(n, name, parameters=1) for n, name in ((24, "train"), (6, "test"), (24, "val"))]
DATA = TrajectoryData.of(*PARTS, name="decays")
SHORT = ["training.epochs=2", "training.show_progress=false", "network.hidden_size=8", "network.num_hidden_layers=1"]
SET = [part for one in SHORT for part in ("--set", one)]
MEMBER = "checkpoints/member_000/model.pt"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("committee")
    write_trajectories(folder / "decays.hdf5", DATA)
    return committee_of_three(folder, folder / "decays.hdf5", SET)


@pytest.fixture(scope="module")
def committee(run):
    return TrajectoryCommittee.load(run.path / "model.safetensors")


def same(one, other):
    asked = (DATA.val.initial_states, DATA.val.times, DATA.val.parameters)
    return np.array_equal(one.predict(*asked).member_states, other.predict(*asked).member_states)


def test_init_writes_members_with_what_they_mean(run):
    content = read_yaml(run.settings)
    assert content["committee"]["num_members"] == 3
    assert content["data"] == {"file": "decays.hdf5", "calibrate": "decays.hdf5"}
    found = read_run_settings(run.settings, [])[1]
    assert found.committee == CommitteeConfig(num_members=3)
    assert found.data.calibrate == str(run.data)


def test_the_run_is_the_committee_that_python_trains(run, committee):
    settings = read_run_settings(run.path / "settings.yaml", [])[1]
    own = settings.untrained_committee()
    own.train(DATA, settings.training, CommitteeConfig(3, output_dir=run.folder / "python"))
    assert same(own, committee)


def test_a_run_holds_all_that_belongs_to_its_members(run, committee):
    assert {path.name for path in run.path.iterdir()} == {
        "settings.yaml", "provenance.json", "history.csv", "losses.png", "model.safetensors", "errors.csv",
        "members.csv", "calibration.csv", "coverage.csv", "time_windows.csv", "checkpoints",
    }  # fmt: skip
    members = pd.read_csv(run.path / "members.csv")
    assert members["seed"].tolist() == [1, 2, 3]
    own = [pd.read_csv(run.path / f"checkpoints/member_{k:03d}/history.csv")["test_loss"] for k in range(3)]
    np.testing.assert_allclose(pd.read_csv(run.path / "history.csv")["test_loss"], np.mean(own, axis=0))
    assert pd.read_csv(run.path / "errors.csv")["predictor"].tolist()[0] == "committee"
    assert committee.calibration.blocks == 12
    assert TrajectoryCommittee.from_directory(run.path / "checkpoints").calibration.level == 0.9


def test_predictions_have_error_bars(run, committee, capsys):
    found = told(capsys, "predict", run.path, run.data)["predictions"]
    expected = committee.predict(DATA.val.initial_states, DATA.val.times, DATA.val.parameters).frame()
    for name in ("time", "A", "A_spread", "C_half_width", "B_low", "B_high", "level"):
        np.testing.assert_allclose([row[name] for row in found], expected[name])
    out = run.folder / "states.csv"
    assert main(["predict", str(run.path), str(run.data), "-o", str(out)]) == 0
    np.testing.assert_allclose(pd.read_csv(out)["B_high"], expected["B_high"])


def test_evaluate_tells_errors_and_what_error_bars_hold_on_the_other_half(run, committee, capsys):
    found = told(capsys, "evaluate", run.path, run.data)
    bars = committee.error_bars(DATA.val)
    assert bars.samples == 12
    assert [row["coverage"] for row in found["coverage"]] == pytest.approx(bars.coverage["coverage"].tolist())
    written = pd.read_csv(run.path / "coverage.csv")  # when it was learned: the same half
    np.testing.assert_allclose(written["coverage"], bars.coverage["coverage"])
    assert len(found["time_windows"]) == 30


def test_a_report_is_of_all_members(run, committee, capsys):
    report = told(capsys, "report", run.path)
    assert report["title"] == "Committee of 3 surrogates (FullyConnected) of decays"
    (bars,) = [one for one in report["sections"] if one["title"] == "Error bars"]
    assert "in 12 held-out samples. 12 more are left out" in bars["words"][0]
    held = committee.error_bars(DATA.val)
    rows = bars["tables"]["What error bars hold"]
    assert [row["coverage"] for row in rows] == pytest.approx(held.coverage["coverage"].tolist())
    assert [row["window"] for row in bars["tables"]["By window of time"]][:2] == ["window 1", "window 2"]
    assert "Coverage of state B errors (dex)" in bars["tables"]
    members = told(capsys, "report", run.path / "checkpoints", "--data", run.data)
    assert members["headline"] == report["headline"]


def test_a_paused_committee_goes_on_to_the_bit_and_is_calibrated_later(run, committee, capsys):
    where = str(run.folder / "paused")
    given = ["train", str(run.settings), *SET, "--run-dir", where, "--set", "data.calibrate=null"]
    assert told(capsys, *given, "--set", "training.max_time=0.0001s")["resumable"] is True
    assert main([*given, "--resume", "--set", "committee.num_members=4"]) == 2
    assert "committee.num_members: 3 → 4" in capsys.readouterr().err
    assert told(capsys, *given, "--resume", "--set", "committee.threads_per_member=1")["resumable"] is False
    other = TrajectoryCommittee.load(run.folder / "paused/model.safetensors")
    assert same(committee, other)
    assert other.calibration is None
    assert "calibration" not in told(capsys, "evaluate", where, run.data)
    assert told(capsys, "calibrate", where, run.data, "--level", "0.8")["calibration"][0]["level"] == 0.8
    assert told(capsys, "evaluate", where, run.data)["calibration"][0]["level"] == 0.8


def test_a_forecast_is_of_all_members(run, capsys):
    before = set(run.folder.iterdir())
    found = told(capsys, "train", run.settings, *SET, "--dry-run")
    assert (found["epochs"], found["seconds"]) == (2, pytest.approx(2 * found["seconds_per_epoch"]))
    assert found["data"]["trajectories"] == {"train": 24, "test": 6, "val": 24, "calibrate": 24}
    assert set(run.folder.iterdir()) == before


def test_what_cannot_be_is_one_line(run, capsys, tmp_path):
    few = TrajectoryData.of(*PARTS[:2], DATA.val.take([0]), name="few")
    write_trajectories(run.folder / "few.hdf5", few)
    for command, message in [
        (["train", run.settings, "--set", "committee.output_dir=x"], "committee: output_dir is decided by"),
        (["train", run.settings, "--set", "committee.batched=true"], "batched=True is not for surrogates"),
        (["train", run.settings, "--set", "committee=null"], "data.calibrate is for the error bars of a committee"),
        (["train", run.settings, *SET, "--set", "data.calibrate=few.hdf5"], "calibrating needs trajectories"),
        (["train", run.settings, *SET, "--set", "data.calibrate=no.hdf5"], "no.hdf5"),
        (["calibrate", run.path / MEMBER, run.data], "holds one surrogate, which has no spread"),
    ]:
        where = tmp_path / f"run {len(list(tmp_path.iterdir()))}"
        assert main([*map(str, command), *(["--run-dir", str(where)] if command[0] == "train" else [])]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
        assert not where.exists()


def test_a_member_is_a_surrogate(run, committee):
    one = FullyConnected.load(run.path / MEMBER)
    asked = (DATA.val.initial_states, DATA.val.times, DATA.val.parameters)
    assert np.array_equal(one.predict(*asked), committee.predict(*asked).member_states[0])
