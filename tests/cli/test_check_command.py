"""The command that looks at data: text, JSON, a page, and an exit code that can stop a training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ase.io import write

from potentia.cli import main
from potentia.potentials import check_structures, read_structures

WATER = Path(__file__).parents[2] / "examples/data/water.xyz"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    frames = read_structures(WATER).structures[:80]
    wrong = [replace(s, forces=None, stress=None, energy=None) if k == 5 else s for k, s in enumerate(frames)]
    for name, part in (("train", frames[:60]), ("test", frames[50:]), ("wrong", wrong)):
        write(folder / f"{name}.xyz", [s.to_atoms() for s in part])
    return folder


def test_errors_stop_only_if_asked(files, capsys):
    assert main(["check", str(files / "wrong.xyz")]) == 0
    assert "wrong.xyz, frame 5. What to do: a training needs the energy of each frame" in capsys.readouterr().out
    assert main(["check", str(files / "wrong.xyz"), "--strict"]) == 1
    assert main(["check", str(files / "train.xyz"), "--strict"]) == 0


def test_warnings_stop_too_if_asked(files, capsys):
    frames = read_structures(WATER).structures[:60]
    off = [replace(s, energy=s.energy + 0.5 * s.n_atoms) if k == 7 else s for k, s in enumerate(frames)]
    write(files / "off.xyz", [s.to_atoms() for s in off])
    assert main(["check", str(files / "off.xyz")]) == 0
    assert "0 errors, 1 warning, 0 notes" in capsys.readouterr().out
    assert main(["check", str(files / "off.xyz"), "--strict"]) == 1


def test_json_and_page(files, capsys):
    page = files / "check.html"
    code = main(["check", str(files / "train.xyz"), "--test", str(files / "test.xyz"), "--json", "--html", str(page)])
    told = json.loads(capsys.readouterr().out)
    assert (code, told["frames"], told["errors"]) == (0, 90, 1)
    (copies,) = [f for f in told["findings"] if f["check"] == "copies" and f["severity"] == "error"]
    assert {place["file"] for place in copies["places"]} == {str(files / "test.xyz")}
    assert {place["index"] for place in copies["places"]} == set(range(10))
    text = page.read_text()
    assert text.count("<img") == 2
    assert "Test structures near training" in text


def test_the_split_of_a_training_and_thresholds(files, capsys):
    data = str(files / "train.xyz")
    assert main(["check", data, "--testpercent", "20", "--seed", "1", "--json", "--set", "large_force=1.0"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(row["test"] for row in told["tables"]["elements"] if row["species"] == "O") == 12
    assert any("forces above 1 eV" in f["text"] for f in told["findings"])
    assert told["settings"]["large_force"] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "too_clos=1"], "CheckSettings has no setting 'too_clos'; did you mean 'too_close'?"),
        (["--set", "too_close"], "--set takes NAME=VALUE, got 'too_close'"),
        (["--atomic-energy", "Ti=x"], "'x' is no number"),
        (["--test", "x.xyz"], "no such file: x.xyz"),
    ],
)
def test_a_wrong_option_is_one_line(files, capsys, options, message):
    assert main(["check", str(files / "train.xyz"), *options]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_a_report_can_be_written(tmp_path):
    report = check_structures(read_structures(WATER).structures[:40])
    report.to_json(tmp_path / "check.json")
    report.to_html(tmp_path / "check.html")
    assert json.loads((tmp_path / "check.json").read_text())["kind"] == "data report"
