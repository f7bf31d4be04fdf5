"""Options and a file of settings say the same: one job, one kind of directory, asked by the same commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cli.one_run import MADE
from potentia.cli import main

OPTIONS = {
    "dynamics": [
        "--model", "unicycle", "--epochs", "1", "--horizon", "5", "--stride", "4", "--model-hidden", "8",
        "--analysis-scenarios", "1", "--no-constant-fit", "--run-dir", "first",
    ],
    "operators": [
        "--epochs", "1", "--network", "fno", "--width", "4", "--modes", "2", "--layers", "1",
        "--checkpoint-dir", "first",
    ],
}  # fmt: skip


@pytest.fixture(params=["operators", pytest.param("dynamics", marks=pytest.mark.slow)])
def trained(request, tmp_path, monkeypatch, capsys):
    """The family, its data, and what a training by options has told."""
    monkeypatch.chdir(tmp_path)
    data = MADE[request.param](tmp_path, None)
    capsys.readouterr()
    assert main([request.param, "train", "--dataset", data, *OPTIONS[request.param], "--json"]) == 0
    return request.param, data, json.loads(capsys.readouterr().out)


def told(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_by_options_is_done_again_by_its_settings_and_asked_as_any(trained, tmp_path, capsys):
    family, data, first = trained
    assert (first["family"], first["run"]) == (family, str(tmp_path / "first"))
    second = told(capsys, "train", "first/settings.yaml", "--run-dir", "second")
    files = [{path.relative_to(one) for path in one.rglob("*")} for one in (Path("first"), Path("second"))]
    assert files[0] == files[1]
    settings = [Path(one, "settings.yaml").read_text() for one in ("first", "second")]
    assert settings[0] == settings[1]
    weights = [load_file(one["model"]) for one in (first, second)]
    learned = [name for name in weights[0] if "_time" not in name]
    assert all(torch.allclose(weights[0][name], weights[1][name], 0, 0, equal_nan=True) for name in learned)
    assert first["errors"] == second["errors"]
    assert told(capsys, "evaluate", "first", data)["errors"]
    assert told(capsys, "predict", "first", data)["predictions"]
    assert told(capsys, "report", "first")["family"] == family
    assert main(["evaluate", "first", "first/settings.yaml"]) == 2
    assert {"dynamics": "is no log", "operators": "no HDF5 file"}[family] in capsys.readouterr().err
    assert main(["dynamics", "evaluate", "first"]) == {"dynamics": 0, "operators": 2}[family]
    assert ("is a run of operators, not of dynamics" in capsys.readouterr().err) == (family == "operators")
    assert main(["train", "first/settings.yaml", "--resume", "--run-dir", "first"]) == 0  # it is over: nothing changes
    assert torch.equal(load_file(first["model"])[learned[0]], weights[0][learned[0]])
