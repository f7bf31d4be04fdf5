"""Laws of ``potentia dynamics``: the options of a run are its settings, and a line says what went wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dynamics.small_runs import logs_in
from potentia.cli import main
from potentia.dynamics.run_config import RunConfig
from potentia.dynamics.run_directory import RunDirectory
from potentia.errors import PotentiaWarning
from potentia.study import write_yaml

SMALL = ("--batch-size", "64", "--horizon", "5", "--stride", "2", "--model-hidden", "8", "4", "--no-analysis")


@pytest.fixture
def call(tmp_path, capsys):
    def run(*arguments):
        code = main(["dynamics", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def root(tmp_path):
    logs_in(tmp_path / "logs")
    return tmp_path


def test_the_command_of_the_walkthrough_leaves_what_it_lists(tmp_path, monkeypatch, call):
    data = "datasets/june_training_data/train_redp_1"
    logs_in(tmp_path / data, 1, 1.2, model="singletrack-augmented")
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(
        "train", "--dataset", data, "--epochs", 2, "--batch-size", 64, "--lr", "1e-3", "--model",
        "singletrack-augmented", "--substeps", 4, "--no-analysis",
    )  # fmt: skip
    assert code == 0
    (run,) = (tmp_path / "results" / "singletrack-augmented").glob("run_*")
    assert str(run) in out
    left = {path.name for path in run.iterdir()}
    assert {"pct_network_loss.png", "pct_predicted_params.json", "loss_history.json", "params_last.msgpack"} <= left


def test_options_are_the_settings_of_the_run(root, call):
    code, out, _ = call(
        "train", "--root", root, "--dataset", "logs/log-000.npz", "logs/log-001.npz", "--val-dataset",
        "logs/log-002.npz", "--model", "unicycle", "--epochs", 1, *SMALL, "--fix", "drag=0.1", "b_turn=0",
        "--prior", "k_turn=1.2,0.1", "--bounds", "b_accel=-2,2", "--curriculum", "3:2,full", "--dt-hundredths", 10,
        "--feature-mode", "none", "--substeps", 2, "--seed", 3, "--json",
    )  # fmt: skip
    assert code == 0
    told = json.loads(out)
    assert told["epochs"] == 1
    assert "_ablation_none" in told["run"]
    settings = RunDirectory.existing(told["run"]).read_config()
    assert settings.fix == {"drag": 0.1, "b_turn": 0.0}
    assert settings.prior == {"k_turn": (1.2, 0.1)}
    assert settings.bounds == {"b_accel": (-2.0, 2.0)}
    assert (settings.model_hidden, settings.substeps, settings.analysis) == ((8, 4), 2, False)
    assert (settings.dataset, settings.seed) == (tuple(str(root / f"logs/log-00{k}.npz") for k in (0, 1)), 3)
    for option, value, message in (
        ("--model", "kinematic", "training.model: 'unicycle' → 'kinematic'"),
        ("--lr", "0.5", "training.lr: 0.001 → 0.5. Put them back to resume it"),
    ):
        code, _, err = call("train", "--resume", told["run"], option, value)
        assert (code, message in err) == (2, True)
    code, out, _ = call("train", "--resume", told["run"], "--epochs", 2, "--json")
    assert json.loads(out)["epochs"] == 2


def test_a_file_of_settings_and_options_before_it(root, call):
    training = {"model": "unicycle", "horizon": 5, "batch_size": 64, "epochs": 3, "analysis": False}
    blocks = {"family": "dynamics", "data": {"train": ["logs"]}, "training": training}
    write_yaml(root / "run.yaml", blocks)
    code, out, _ = call("train", "--config", root / "run.yaml", "--epochs", 1, "--root", root, "--json")
    assert (code, json.loads(out)["epochs"]) == (0, 1)
    assert Path(json.loads(out)["run"]).parent == root / "results" / "unicycle"
    write_yaml(root / "run.yaml", {**blocks, "training": {"epocs": 3}})
    code, _, err = call("train", "--config", root / "run.yaml")
    assert code == 2
    assert "has no setting 'epocs'; did you mean 'epochs'?" in err


def test_a_dry_run_tells_windows_and_time_and_writes_nothing(root, call):
    given = ("train", "--root", root, "--dataset", "logs", "--model", "unicycle", *SMALL, "--dry-run")
    code, out, _ = call(*given)
    assert code == 0
    assert "training: " in out
    assert "200 epochs" in out
    told = json.loads(call(*given, "--json")[1])
    assert told["data"]["training"]["steps"] == 5
    assert told["memory_bytes"] > 0
    assert not (root / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--summary-chunk-size", "0"], "error: --summary-chunk-size must be positive.\n"),
        (["--dataset", "a", "b"], "/a, "),
        (["--fix", "m"], "--fix takes KEY=NUMBER, got 'm'"),
        (["--prior", "m=1"], "--prior takes KEY=NUMBER,NUMBER, got 'm=1'"),
        (["--curriculum", "8"], "curriculum must be STEPS:BATCHES"),
        (["--batchsize", "3"], "No such option"),
        (["--resume", "nowhere"], "is no directory of a run"),
    ],
)
def test_a_line_says_what_went_wrong(call, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = call("train", *arguments)
    assert code == 2
    assert message in err


def test_help_explains_each_setting(call):
    code, out, _ = call("train", "--help")
    assert code == 0
    told = " ".join(out.split())
    for name in RunConfig.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in told
    assert "Windows of a batch. [256]" in told


def test_models_with_their_parameters(call):
    assert "unicycle" in call("models")[1]
    code, out, _ = call("models", "singletrack")
    assert code == 0
    assert "kg m^2" in out
    told = json.loads(call("models", "unicycle", "--json")[1])
    assert told["units"]["v"] == "m/s"
    assert {one["name"] for one in json.loads(call("models", "--json")[1])} >= {"unicycle", "singletrack"}
    assert call("models", "singeltrack")[0] == 2


def test_simulated_logs_are_trained_on_evaluated_and_identified(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    given = ("simulate", "logs", "--model", "unicycle", "--logs", 2, "--seconds", 3, "--param", "drag=0.2")
    assert call(*given)[0] == 0
    assert (tmp_path / "logs" / "truth.yaml").is_file()
    code, _, err = call(*given)
    assert (code, "is not empty" in err) == (2, True)
    assert "log-000.csv is a file: choose another folder" in call("simulate", "logs/log-000.csv")[2]
    assert "--param takes KEY=NUMBER" in call("simulate", "other", "--param", "drag")[2]
    out = call("train", "--dataset", "logs", "--model", "unicycle", "--epochs", 1, *SMALL, "--json")[1]
    run = json.loads(out)["run"]
    rows = json.loads(call("evaluate", run, "--dataset", "logs/log-001.csv", "--json")[1])
    assert {"network", "persistence", "default parameters", "constant fit"} <= {row["surrogate"] for row in rows}
    assert "identifiable" in call("identify", run)[1]


@pytest.mark.slow
def test_a_warning_is_one_line_without_python(tmp_path):
    code = "import sys; from potentia.cli import main; sys.exit(main())"
    given = ("dynamics", "simulate", tmp_path / "logs", "--model", "unicycle", "--logs", "1", "--seconds", "1")
    command = [sys.executable, "-c", code, *map(str, given), "--param", "k_turn=9"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("warning: parameters of model 'unicycle' beyond their bounds: k_turn = 9, whose")
    assert done.stderr.count("\n") == 1


def test_wandb_is_imported_only_where_it_is_asked_for(root, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import of it would warn
    given = ("train", "--root", root, "--dataset", "logs", "--model", "unicycle", "--epochs", 1, *SMALL)
    assert call(*given)[0] == 0
    with pytest.warns(PotentiaWarning, match="wandb is not installed"):
        assert call(*given, "--wandb-project", "cars")[0] == 0
