"""What a new user may get wrong: one line that names file and key, exit code 2, and nothing is left behind."""

from __future__ import annotations

import pytest

from cli.one_run import MADE
from potentia.cli import main
from potentia.yaml_files import write_yaml

BLOCKS = {
    "operators": {"network": {"class": "FNOConfig", "width": 4, "modes": 2, "layers": 1}, "training": {"epochs": 1}},
    "trajectories": {"network": {"class": "FullyConnectedConfig", "hidden_size": 4}, "training": {"epochs": 1}},
    "dynamics": {"training": {"model": "unicycle", "epochs": 1}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data and settings of three families, and files that are neither."""
    folder = tmp_path_factory.mktemp("wrong")
    for family, blocks in BLOCKS.items():
        data = MADE[family](folder, None)
        named = {"train": [data]} if family == "dynamics" else {"file": data}
        write_yaml(folder / f"{family}.yaml", {"family": family, "data": named, **blocks})
    (folder / "empty.yaml").write_text("")
    (folder / "broken.yaml").write_text("family: operators\ndata: [1\n")
    (folder / "text.txt").write_text("hello")
    (folder / "short.hdf5").write_bytes((folder / "fields.hdf5").read_bytes()[:500])
    (folder / "nothing").mkdir()
    log = (folder / "logs/log-000.csv").read_text().splitlines()
    log[3] = ",".join(["abc"] * len(log[3].split(",")))
    (folder / "worded.csv").write_text("\n".join(log) + "\n")
    return folder


WRONG = [
    ("train nothing.yaml", "no such file: nothing.yaml"),
    ("train logs", "logs is a folder: give the YAML file of the settings"),
    ("train empty.yaml", "empty.yaml holds no settings"),
    ("train broken.yaml", "broken.yaml is no YAML that can be read: line 3, column 1: expected ',' or ']'"),
    ("train fields.hdf5", "fields.hdf5 is no YAML that can be read"),
    ("train operators.yaml --set training.epochs", "--set takes KEY=VALUE, got 'training.epochs'"),
    ("train operators.yaml --set training.epoch=1", "operators.yaml: training: OperatorTrainingConfig has no setting"),
    ("train operators.yaml --set training=3", "operators.yaml: the block `training` must be settings by name"),
    ("train operators.yaml --set training.epochs=-3", "training: epochs must be an integer of at least 1, got -3"),
    ("train operators.yaml --set network.class=FNOConfg", "did you mean 'FNOConfig'?"),
    ("train operators.yaml --set lines={every:-1}", "lines: every must be an integer of at least 0"),
    ("train operators.yaml --set data.file=data.hdf5", "data.hdf5 holds data of trajectories, but these are settings"),
    ("train trajectories.yaml --set data.file=fields.hdf5", "fields.hdf5 holds data of operators"),
    ("train trajectories.yaml --set data.file=logs", "logs is a folder: data of trajectories are one HDF5 file"),
    ("train operators.yaml --set data.file=short.hdf5", "short.hdf5 is a truncated HDF5 file"),
    ("train operators.yaml --set alignment={tokenizer:nowhere}", "there is no tokenizer"),
    ("train operators.yaml --set start={init_from:no.pt}", "init_from: there is no operator"),
    ("train operators.yaml --run-dir fresh --set network.modes=20", "choose modes of at most 4"),
    ("train operators.yaml --run-dir fresh --set training.n_samples=99", "n_samples=99, but the training part has 4"),
    ("train operators.yaml --run-dir logs", "logs is not empty: resume what is there"),
    ("train operators.yaml --run-dir text.txt/run", "text.txt/run: Not a directory"),
    ("train operators.yaml --resume", "give it by --run-dir"),
    ("train operators.yaml --resume --run-dir logs", "logs is no directory of a run"),
    ("train dynamics.yaml --set training.bounds={k_turn:3}", "training: bounds: k_turn must be a list, got"),
    ("train dynamics.yaml --set training.bounds={k_turn:[3]}", "bounds: k_turn must be a list of 2 values, got [3]"),
    ("train dynamics.yaml --set training.root=x", "training: paths begin at the folder of the file of settings"),
    ("train dynamics.yaml --set data.train=[no*.csv]", "there is no file"),
    ("train dynamics.yaml --set data.train=[worded.csv]", "worded.csv: column 'time' is text"),
    ("train dynamics.yaml --set data.train=[]", "there is nothing to train on"),
    ("init nothing", "there is no file in the folder nothing"),
    ("init short.hdf5 -o new.yaml", "short.hdf5 is a truncated HDF5 file"),
    ("init fields.hdf5 -o new.yaml --family dynamics", "fields.hdf5 is no log: data of dynamics are files"),
    ("init fields.hdf5 -o new.yaml --family trajectories", "fields.hdf5 holds data of operators"),
    ("dynamics train --config operators.yaml", "operators.yaml has settings of operators: give it to potentia train"),
    ("report nothing", "nothing is no directory of a run that has ended"),
    ("study run operators.yaml", "operators.yaml has settings of a training of operators: give it to potentia train"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_a_line_names_file_and_key_and_nothing_is_left(words, message, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = set(folder.rglob("*"))
    spaced = [word.replace(":", ": ") if "{" in word else word for word in words.split()]
    assert main(spaced) == 2
    line = capsys.readouterr().err
    assert message in line
    assert (line.startswith("error: "), line.count("\n")) == (True, 1)
    assert set(folder.rglob("*")) == before


def test_a_pattern_of_logs_is_trained_on(folder, capsys):
    pattern = ["--set", "data.train=[logs/log-*.csv]"]
    assert main(["train", str(folder / "dynamics.yaml"), *pattern, "--dry-run"]) == 0
    assert "training: " in capsys.readouterr().out
