"""Committees of dynamics from a file of settings: trained, paused, asked, calibrated, reported."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cli.committee_runs import committee_of_three, told
from potentia.cli import main
from potentia.cli.run_settings import read_run_settings
from potentia.dynamics import DynamicsCommittee, DynamicsParameterNet, OpenedRun
from potentia.dynamics.job import DynamicsJob, network_of
from potentia.ensemble import CommitteeConfig
from potentia.yaml_files import read_yaml

SHORT = [
    "training.epochs=2", "training.progress=false", "training.horizon=5", "training.stride=2",
    "training.model_hidden=[8]", "training.constant_fit=false", "data.calibrate=[held]",
]  # fmt: skip
SET = [part for one in SHORT for part in ("--set", one)]
MEMBER = "checkpoints/member_000/model.pt"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("committee")
    for name, seed in (("logs", 1), ("held", 2), ("new", 3)):
        made = ["dynamics", "simulate", str(folder / name), "--model", "unicycle", "--logs", "2", "--seconds", "20"]
        assert main([*made, "--seed", str(seed), "--noise", "v=0.05"]) == 0
    return committee_of_three(folder, folder / "logs", SET)


@pytest.fixture(scope="module")
def committee(run):
    return DynamicsCommittee.load(run.path / "model.safetensors")


def same(one, other):
    pairs = [member.network_.state_dict() for member in (one, other)]
    return all((pairs[0][name] == pairs[1][name]).all() for name in pairs[0])


def test_init_writes_members_with_what_they_mean(run):
    content = read_yaml(run.settings)
    assert content["committee"]["num_members"] == 3
    assert content["data"] == {"train": ["logs"], "validation": [], "calibrate": []}
    assert "# Members, each from the next seed; their spread is the error bar\n  num_members: 3\n" in (
        run.settings.read_text()
    )
    assert read_run_settings(run.settings, [])[1].committee == CommitteeConfig(num_members=3)


def test_the_run_is_the_committee_that_python_trains(run, committee):
    settings = read_run_settings(run.path / "settings.yaml", [])[1]
    inputs = DynamicsJob(settings.config).inputs
    own = DynamicsCommittee(network_of(settings.config, inputs))
    own.train(inputs.training, settings.config.training(None), CommitteeConfig(3, output_dir=run.folder / "python"))
    assert all(map(same, own.load_members(), committee.load_members()))


def test_a_run_holds_all_that_belongs_to_its_members(run, committee):
    assert {path.name for path in run.path.iterdir()} == {
        "settings.yaml", "provenance.json", "history.csv", "loss_history.json", "pct_network_loss.png",
        "model.safetensors", "errors.csv", "members.csv", "calibration.csv", "coverage.csv", "lead_times.csv",
        "checkpoints",
    }  # fmt: skip
    members = pd.read_csv(run.path / "members.csv")
    assert members["seed"].tolist() == [1, 2, 3]
    assert members["status"].tolist() == ["completed"] * 3
    own = [pd.read_csv(run.path / f"checkpoints/member_{k:03d}/history.csv")["train_loss"] for k in range(3)]
    np.testing.assert_allclose(pd.read_csv(run.path / "history.csv")["train_loss"], np.mean(own, axis=0))
    assert {"committee", "persistence"} <= set(pd.read_csv(run.path / "errors.csv"))
    assert pd.read_csv(run.path / "lead_times.csv")["step"].tolist() == [1, 2, 3, 4, 5] * 4
    held = OpenedRun.of(run.path).windows_apart([str(run.folder / "held")])
    assert committee.calibration.blocks == len(held) // 2
    assert len(held) == len(np.unique(held.initial_states, axis=0))


def test_predictions_have_error_bars(run, committee, capsys):
    found = told(capsys, "predict", run.path, run.folder / "new")["predictions"]
    windows = OpenedRun.of(run.path).windows([str(run.folder / "new")])
    table = committee.predict(windows).frame()
    assert found[0]["log"].endswith("new/log-000.csv")
    for name in ("drag", "std_of_drag", "std_v", "half_width_v", "level"):
        np.testing.assert_allclose([row[name] for row in found], table[name])


def test_evaluate_tells_errors_and_what_error_bars_hold_on_the_other_half(run, committee, capsys):
    found = told(capsys, "evaluate", run.path, run.folder / "held")
    bars = committee.error_bars(OpenedRun.of(run.path).windows_apart([str(run.folder / "held")]))
    assert bars.left_out == committee.calibration.blocks
    assert [row["coverage"] for row in found["coverage"]] == pytest.approx(bars.coverage["coverage"].tolist())
    assert found["calibration"][0]["level"] == 0.9
    written = pd.read_csv(run.path / "coverage.csv")  # when it was learned: the same half
    np.testing.assert_allclose(written["coverage"], bars.coverage["coverage"])
    assert {"committee", "persistence"} <= set(found["errors"][0])
    told_too = told(capsys, "dynamics", "evaluate", run.path, "--dataset", run.folder / "held")
    assert {"committee", "persistence"} <= {row["surrogate"] for row in told_too}


@pytest.mark.slow
def test_a_report_is_of_all_members(run, capsys):
    report = told(capsys, "report", run.path)
    assert report["title"].endswith("by 3 networks")
    (bars,) = [one for one in report["sections"] if one["title"] == "Error bars"]
    assert {"What error bars hold", "By step of the window"} <= set(bars["tables"])
    assert "were learned" in " ".join(bars["words"]) or "left out" in " ".join(bars["words"])


def test_a_paused_committee_goes_on_to_the_bit_and_is_calibrated_later(run, committee, capsys):
    where = str(run.folder / "paused")
    given = ["train", str(run.settings), *SET, "--run-dir", where, "--set", "data.calibrate=[]"]
    assert told(capsys, *given, "--set", "training.max_time=0.0001s")["resumable"] is True
    assert main(["predict", where, str(run.data)]) == 2
    assert "has no model yet" in capsys.readouterr().err
    assert main([*given, "--resume", "--set", "committee.num_members=4"]) == 2
    assert "committee.num_members: 3 → 4" in capsys.readouterr().err
    assert told(capsys, *given, "--resume", "--set", "committee.threads_per_member=1")["resumable"] is False
    other = DynamicsCommittee.load(run.folder / "paused/model.safetensors")
    assert all(map(same, committee.load_members(), other.load_members()))
    assert other.calibration is None
    assert "calibration" not in told(capsys, "evaluate", where, run.folder / "new")
    bars = told(capsys, "calibrate", where, run.folder / "held", "--level", "0.8")
    assert {row["level"] for row in bars["calibration"]} == {0.8}
    assert told(capsys, "evaluate", where, run.folder / "new")["calibration"][0]["level"] == 0.8


def test_a_forecast_is_of_all_members(run, capsys):
    before = set(run.folder.iterdir())
    found = told(capsys, "train", run.settings, *SET, "--dry-run")
    assert (found["epochs"], found["seconds"]) == (2, pytest.approx(2 * found["seconds_per_epoch"]))
    assert set(found["data"]) == {"training", "calibrate"}
    assert set(run.folder.iterdir()) == before


def test_what_cannot_be_is_one_line(run, capsys, tmp_path):
    for command, message in [
        (["train", run.settings, "--set", "committee.output_dir=x"], "committee: output_dir is decided by"),
        (["train", run.settings, "--set", "committee.num_member=2"], "did you mean 'num_members'?"),
        (["train", run.settings, "--set", "committee.batched=true"], "batched=True is not for networks of dynamics"),
        (["train", run.settings, *SET, "--set", "committee=null"], "data.calibrate is for the error bars of a commit"),
        (["train", run.settings, *SET, "--set", "data.calibrate=[logs]"], "learned from what the networks have seen"),
        (["train", run.settings, *SET, "--set", "data.calibrate=[gone]"], "these data are not there"),
        (["train", run.settings, *SET, "--set", "training.output=x.json"], "output is of one network, and a committee"),
        (["calibrate", run.path / MEMBER, run.folder / "held"], "does not say how its logs were cut"),
    ]:
        where = tmp_path / f"run {len(list(tmp_path.iterdir()))}"
        assert main([*map(str, command), *(["--run-dir", str(where)] if command[0] == "train" else [])]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
        assert not where.exists()
    assert main(["dynamics", "train", "--config", str(run.settings)]) == 2
    assert "has settings of a committee: give it to potentia train" in capsys.readouterr().err


def test_a_member_is_a_network(run, committee):
    assert same(DynamicsParameterNet.load(run.path / MEMBER), committee.load_members()[0])
