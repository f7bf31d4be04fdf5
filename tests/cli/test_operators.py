"""The commands of operators: data in, a directory out, the report as it is known, one line per error."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from operators import aligned
from potentia.cli import main
from potentia.operators import BehaviorTokenizer, NeuralOperator
from potentia.operators.hdf5 import write_operator_data, write_record
from potentia.operators.make import make_record
from potentia.yaml_files import read_yaml

SMALL = ["--network", "fno", "--width", "4", "--modes", "3", "--layers", "1", "--lr", "1e-2", "--save-every", "0"]


@pytest.fixture
def call(tmp_path, capsys):
    write_operator_data(tmp_path / "waves.hdf5", aligned.data())
    aligned.tokenizer().save(tmp_path / "tokenizer.safetensors")

    def run(command, *more):
        code = main(["operators", command, "--dataset", str(tmp_path / "waves.hdf5"), *map(str, more)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*pass no gradient on")
def test_train_diagnose_validate_tokens(call, tmp_path):
    run, align = tmp_path / "run", ["--vqvae-path", tmp_path, "--enable-latent-loss", "--lambda-latent", "0.5"]
    code, out, err = call("train", "--epochs", 1, "--log-every", 1, "--checkpoint-dir", run, *SMALL, *align)
    assert code == 0
    for text in (
        "Epoch 1/1",
        "[2/2] loss=",
        " traj=",
        " commit=",
        " latent=",
        "s/b",
        "  Train: total=",
        "  Val:   total=",
    ):
        assert text in err
    assert "Epoch" not in out
    names = {path.name for path in run.iterdir()}
    assert {
        "settings.yaml",
        "provenance.json",
        "history.csv",
        "errors.csv",
        "losses.png",
        "model.safetensors",
        "epoch_1.pt",
        "best_model.pt",
    } <= names
    assert read_yaml(run / "settings.yaml")["alignment"]["lambda_latent"] == 0.5
    assert "is not empty: resume what is there" in call("train", "--epochs", 1, "--checkpoint-dir", run, *SMALL)[2]

    resumed = ["--resume", run / "epoch_1.pt", "--checkpoint-dir", run, *SMALL, *align]
    code, out, err = call("train", "--epochs", 1, *resumed, "--json")
    assert (code, json.loads(out)["run"]) == (0, str(run))
    assert "  ✓ Resuming from epoch 2, step 2" in err
    assert "  ✓ Loaded latent projector weights" in err
    elsewhere = ["--resume", tmp_path / "waves.hdf5", "--checkpoint-dir", run, *SMALL, *align]
    assert "is not empty: resume what is there" in call("train", "--epochs", 1, *elsewhere)[2]
    settings = (run / "settings.yaml").read_text()
    assert "epochs" in call("train", "--epochs", 2, *resumed)[2]
    assert (run / "settings.yaml").read_text() == settings  # what was refused has not become the run's

    known = ["--vqvae-path", tmp_path / "tokenizer.safetensors", "--noa-checkpoint", run / "best_model.pt"]
    code, out, err = call("diagnose", *known, "--n-samples", 8, "--timesteps", 6, "--out", tmp_path / "found")
    assert (code, err) == (0, "")
    assert out.startswith("=" * 60 + "\nL_latent Alignment Diagnostics\n")
    assert (tmp_path / "found/diagnosis.txt").read_text() == out
    assert json.loads((tmp_path / "found/diagnosis.json").read_text())["samples"] == 8
    assert "--timesteps must be 6" in call("diagnose", *known, "--timesteps", 5)[2]

    code, out, _ = call("validate", *known)
    assert code == 1  # one epoch is not enough
    assert "➜ failed" in out
    assert call("tokens", *known, "--out", tmp_path / "tokens.csv", "--figure", tmp_path / "tokens.png")[0] == 0
    assert (tmp_path / "tokens.png").read_bytes()[1:4] == b"PNG"
    wrong = ["--figure", tmp_path / "none.png", "--sample", 24]
    assert "--sample must be one of 0 to 23 of `test`, got 24" in call("validate", *known, *wrong)[2]
    assert "tokens.csv is there already" in call("tokens", *known, "--out", tmp_path / "tokens.csv")[2]
    assert "tokens.png is there already" in call("validate", *known, "--figure", tmp_path / "tokens.png")[2]
    (tmp_path / "tokens.csv").unlink()
    told = json.loads(call("tokens", *known, "--out", tmp_path / "tokens.csv", "--json")[1])
    table = pd.read_csv(tmp_path / "tokens.csv")
    assert told["tokens"] == list(table)[2:]
    assert list(table)[:4] == ["sample", "group", "initial.0", "initial.1"]
    samples = aligned.data().test
    fields = NeuralOperator.load(run / "best_model.pt").predict(samples.initial, samples.parameters, 6)
    assert (table.iloc[:, 2:].to_numpy() == aligned.tokenizer().tokens(fields)).all()


def test_a_tokenizer_is_trained_and_never_replaced(call, tmp_path):
    command = ["tokenizer", "--out", tmp_path / "made", "--epochs", 2]
    told = json.loads(call(*command, "--dry-run", "--json")[1])
    assert (told["epochs"], told["data"]["validation"]) == (2, 4)
    assert told["memory_bytes"] > 0
    assert not (tmp_path / "made").exists()
    code, out, err = call(*command)
    assert (code, err) == (0, "")
    assert "of the codes are used" in out
    told = json.loads(call("tokenizer", "--out", tmp_path / "other", "--epochs", 1, "--json")[1])
    assert (told["epochs"], told["horizon"]) == (1, 6)
    assert told["health"]["samples"] == 4
    assert "is there already" in call(*command)[2]
    cut = ["tokenizer", "--out", tmp_path / "windows", "--epochs", 1, "--every", 2]
    assert "give that, too" in call(*cut)[2]
    assert call(*cut, "--timesteps", 4)[0] == 0
    assert BehaviorTokenizer.load(tmp_path / "windows/tokenizer.safetensors").horizon == 4


def test_options_that_do_nothing_are_refused(call):
    for more, message in [
        (["--lambda-commit", "0.5"], "give --vqvae-path"),
        (["--enable-latent-loss"], "give --vqvae-path"),
        (["--network", "fno", "--afno-blocks", "2"], "--afno-blocks is no option of the network 'fno'"),
        (["--network", "unet"], "--network must be one of u_afno, fno"),
    ]:
        code, _, err = call("train", "--epochs", 1, *more)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1


@pytest.mark.filterwarnings("ignore:.*pass no gradient on", "ignore:parameters")
def test_from_a_system_to_its_sensitivity(tmp_path, capsys):
    path, small = tmp_path / "burgers.hdf5", ["--dataset", str(tmp_path / "burgers.hdf5")]
    write_record(path, make_record("burgers", n_train=8, n_val=4, n_test=4, grid=(16,), steps=4))
    assert main(["operators", "tokenizer", *small, "--out", str(tmp_path), "--epochs", "1"]) == 0
    run = ["--epochs", "1", "--checkpoint-dir", str(tmp_path / "run"), "--log-every", "0"]
    assert main(["operators", "train", *small, *run, *SMALL]) == 0
    capsys.readouterr()
    known = ["--vqvae-path", str(tmp_path), "--noa-checkpoint", str(tmp_path / "run/model.safetensors")]
    assert main(["operators", "diagnose", *small, *known]) == 0
    out = capsys.readouterr().out
    assert "3. Alignment Correlation\nnot available: the operator was trained without lambda_latent" in out
    assert "5. Parameter Sensitivity\nVariance over parameters / over time: " in out
