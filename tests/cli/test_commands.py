"""Laws of the commands: a file in, one line per error, an exit code that tells, a quick start."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import processes
from potentia.cli import main
from potentia.study import write_yaml
from trajectories.study_data import root_with, settings

SEARCH = {
    "tuning_id": "t",
    "surrogates": [
        {
            "name": "FullyConnected",
            "batch_size": 64,
            "epochs": 2,
            "optuna_params": {"hidden_size": {"type": "int", "low": 4, "high": 8}},
        }
    ],
    "dataset": {"name": "decay"},
}


@pytest.fixture
def call(tmp_path, capsys):
    root_with(tmp_path)

    def run(command, *more, **changed):
        write_yaml(tmp_path / "config.yaml", settings(figures=False, **changed))
        code = main(["study", command, str(tmp_path / "config.yaml"), "--root", str(tmp_path), *more])
        return code, *capsys.readouterr()

    return run


def test_run_report_evaluate(call, tmp_path):
    code, out, err = call("run", "--dry-run")
    assert (code, err) == (0, "")
    assert "fullyconnected_main" in out
    assert "one at a time" in out
    told = json.loads(call("run", "--dry-run", "--json", devices=["cpu", "cpu"])[1])
    (task,) = told["tasks"]
    assert told["seconds"] == pytest.approx(task["seconds"])
    assert told["seconds"] == 2 * told["seconds_with_slots"]
    assert told["memory_bytes"] == task["memory_bytes"] > 2**26
    assert not (tmp_path / "trained").exists()
    assert "pending" in call("report")[1]
    code, out, _ = call("run", "--json")
    assert code == 0
    assert json.loads(out)["done"] == ["fullyconnected_main"]
    assert "1 of 1 tasks completed, 0 of them now" in call("run")[1]
    assert "1 of 1 tasks are done" in call("report")[1]
    code, out, _ = call("evaluate")
    assert code == 0
    assert "RMSE (log, dex)" in out
    assert (tmp_path / "results/a/report.html").is_file()
    assert "evaluated in" in call("report")[1]
    told = json.loads(call("evaluate", "--json")[1])
    assert told["page"] == str(tmp_path / "results/a/report.html")
    assert told["metrics"][0]["surrogate"]


def test_bad_input_is_one_line_and_exit_code_2(call, tmp_path, capsys):
    for more, changed, message in [
        ((), {"epoch": 1}, "did you mean 'epochs'"),
        (("--set", "dataset.tolerence=1"), {}, "did you mean 'tolerance'"),
        (("--set", "seed"), {}, "--set takes KEY=VALUE"),
        (("--on-mismatch", "ask"), {}, "on_mismatch must be one of"),
    ]:
        code, _, err = call("run", *more, **changed)
        assert code == 2
        assert err.startswith("error: ")
        assert message in err
        assert err.count("\n") == 1
    assert main(["study", "run", str(tmp_path / "nothing.yaml")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_other_settings_are_refused_in_one_line(call):
    assert call("run", "--set", "epochs=1")[0] == 0
    code, _, err = call("run", "--set", "epochs=2")
    assert code == 2
    assert err.count("\n") == 1
    assert "epochs: [1] → [2]" in err
    assert call("run", "--set", "epochs=2", "--on-mismatch", "restart")[0] == 0


def test_a_task_that_failed_is_exit_code_1(call):
    paused = {"FullyConnected": {"max_time": 0.001}}
    code, out, err = call("run", surrogate_configs=paused, epochs=10**6)
    assert code == 1
    assert "0 of 1 tasks completed, 0 of them now, 1 failed" in out
    assert "fullyconnected_main failed: TrainingError" in err
    assert "failed" in call("report", surrogate_configs=paused, epochs=10**6)[1]


def test_data_are_made_and_never_replaced(tmp_path, capsys):
    path = tmp_path / "made/data.hdf5"
    command = ["data", "make", "simple_reaction", "--train", "3", "--test", "1", "--val", "2", "--out", str(path)]
    assert main(command) == 0
    assert "3 + 1 + 2 trajectories of 101 times" in capsys.readouterr().out
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "other.hdf5"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"file": str(tmp_path / "other.hdf5"), "train": 3, "test": 1, "val": 2, "times": 101}
    assert main(["data", "make", "simple_reacton"]) == 2
    assert "did you mean 'simple_reaction'" in capsys.readouterr().err


def test_a_search_can_be_looked_at_before_it_begins(tmp_path, capsys):
    root_with(tmp_path)
    space = {"hidden_size": {"type": "int", "low": 4, "high": 8}, "activation": {"choices": ["relu", "tanh"]}}
    surrogate = {**SEARCH["surrogates"][0], "optuna_params": space}
    write_yaml(tmp_path / "tune.yaml", {**SEARCH, "surrogates": [surrogate], "trials": 3, "devices": ["cpu", "cpu"]})
    before = sorted(tmp_path.rglob("*"))
    command = ["study", "tune", str(tmp_path / "tune.yaml"), "--root", str(tmp_path)]
    assert main([*command, "--dry-run"]) == 0
    out = capsys.readouterr().out
    for words in (
        "4 to 8",
        "relu, tanh",
        "99 % quantile",
        "optuna.db",
        "3 trials of 2 epochs",
        "at 2 at a time",
        "GiB",
    ):
        assert words in out
    assert main([*command, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["setting"] for row in told["searched"]] == ["hidden_size", "activation"]
    (row,) = told["surrogates"]
    assert (row["trials"], row["done"], row["epochs"]) == (3, 0, 2)
    assert (
        told["seconds"] == pytest.approx(3 * row["seconds_per_trial"]) == pytest.approx(2 * told["seconds_with_slots"])
    )
    assert row["fastest"] <= row["seconds_per_trial"] <= row["slowest"]
    assert told["memory_bytes"] == 2 * row["memory_bytes"] > 2**26
    assert sorted(tmp_path.rglob("*")) == before
    assert main([*command, "--dry-run", "--promote"]) == 2
    capsys.readouterr()
    for one, other in (("study", "run"), ("study", "evaluate")):
        assert main([one, other, str(tmp_path / "tune.yaml")]) == 2
        assert "has settings of a search: give it to potentia study tune" in capsys.readouterr().err
    write_yaml(tmp_path / "config.yaml", settings())
    assert main(["study", "tune", str(tmp_path / "config.yaml"), "--dry-run"]) == 2
    assert "has settings of a study: give it to potentia study run" in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_from_a_file(tmp_path, capsys):
    root_with(tmp_path)
    write_yaml(tmp_path / "tune.yaml", {**SEARCH, "trials": 1})
    command = ["study", "tune", str(tmp_path / "tune.yaml"), "--root", str(tmp_path)]
    assert main(command) == 0
    assert "hidden_size" in capsys.readouterr().out
    assert main([*command, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["surrogates"][0]["done"], told["seconds"], told["other_settings"]) == (1, 0.0, False)
    assert main([*command, "--dry-run", "--set", "seed=7"]) == 0
    assert "holds a search with other settings" in capsys.readouterr().out
    assert main([*command, "--promote"]) == 0
    capsys.readouterr()
    assert main([*command, "--promote", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"file": str(tmp_path / "datasets/Decay/surrogate_configs.yaml"), "trials": {}}
    assert main([*command, "--promote", "--trial", "0"]) == 0
    assert main([*command, "--promote", "--trial", "FullyConnected=1"]) == 2
    assert "no completed trial 1; completed are 0" in capsys.readouterr().err
    assert main([*command, "--promote", "--trial", "FullyConnected=x"]) == 2
    assert "--trial takes NAME=NUMBER" in capsys.readouterr().err
    assert main([*command, "--trial", "0"]) == 2
    assert (tmp_path / "datasets/Decay/surrogate_configs.yaml").is_file()


@pytest.mark.slow
def test_help_imports_nothing_heavy():
    script = "import sys; from potentia.cli import main; main(['--help']); print(*sorted(sys.modules))"
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, env=processes.environment(), check=True, capture_output=True, text=True).stdout
    assert "study" in said
    assert not {"torch", "numpy", "pandas", "matplotlib", "optuna"} & set(said.split())


def test_an_interpreter_runs_the_package_as_the_command():
    command = [sys.executable, "-m", "potentia", "study", "--help"]
    said = subprocess.run(command, env=processes.environment(), check=True, capture_output=True, text=True).stdout
    assert "potentia study [OPTIONS]" in said


def test_an_interrupted_command_says_that_it_goes_on(call, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("potentia.cli.study_commands.report", interrupted)
    assert call("report") == (
        130,
        "",
        "error: interrupted; the same command goes on, a training with --resume and its directory\n",
    )


def test_an_evaluation_of_models_that_were_replaced_is_not_shown(call, tmp_path):
    call("run")
    call("evaluate")
    page = tmp_path / "results/a/report.html"
    os.utime(page, (0, 0))
    assert f"{page} is older than the models: evaluate again" in call("report")[1]
