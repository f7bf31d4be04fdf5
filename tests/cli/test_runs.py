"""From data to a run and what is asked of it, the same for all families."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from cli.one_run import MADE, short
from potentia.cli import main
from potentia.cli.families import FAMILIES, family
from potentia.cli.run_settings import read_run_settings
from potentia.cli.schema_command import settings_schema
from potentia.yaml_files import read_yaml

OWN_FILES = {
    "dynamics": {
        "pct_predicted_params.json",
        "pct_network_loss.png",
        "params_last.msgpack",
        "metrics.jsonl",
        "analysis",
    },
    "operators": {"epoch_3.pt", "best_model.pt"},
}
"""Files that only one family writes."""
WATER = Path(__file__).parents[2] / "examples/data/water.xyz"


@pytest.fixture(scope="module", params=FAMILIES)
def run(request, tmp_path_factory):
    """Data of a family, the settings that `init` has written of them, and a run."""
    folder = tmp_path_factory.mktemp(request.param)
    data = folder / MADE[request.param](folder, WATER)
    settings = folder / "settings.yaml"
    assert main(["init", str(data), "-o", str(settings)]) == 0
    assert main(["train", str(settings), "--run-dir", str(folder / "run"), *short(request.param)]) == 0
    return SimpleNamespace(
        family=request.param,
        folder=folder,
        data=data,
        settings=settings,
        directory=family(request.param).directory.existing(folder / "run"),
    )


def test_what_init_writes_is_of_the_family_and_valid(run):
    content = read_yaml(run.settings)
    assert content["family"] == run.family
    assert run.settings.read_text().count("# ") > 10
    found, settings = read_run_settings(run.settings, [])
    assert found is family(run.family)
    assert read_run_settings(run.settings, ["training.seed=7"])[1].seed == 7
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(settings_schema(run.family))
    validator.validate(content)
    validator.validate({"family": run.family, **settings.plain()})
    assert not validator.is_valid({**content, "trainin": {}})


def test_settings_are_never_replaced(run, capsys):
    before = run.settings.read_text()
    assert main(["init", str(run.data), "-o", str(run.settings)]) == 2
    assert "is there already: remove it, or choose another file by -o" in capsys.readouterr().err
    assert run.settings.read_text() == before


def test_a_run_holds_all_that_belongs_to_it(run):
    directory = run.directory
    names = {path.name for path in directory.path.iterdir()}
    assert {"settings.yaml", "provenance.json", "history.csv", "model.safetensors", "errors.csv"} <= names
    assert {directory.losses.name, directory.newest_checkpoint.relative_to(directory.path).parts[0]} <= names
    assert names >= OWN_FILES.get(run.family, set())
    assert len(directory.read_history()) == 3
    told = directory.read_provenance()
    assert told["seed"] == directory.read_settings()["training"]["seed"] == 1
    assert "sha256" in json.dumps(told["data"])
    assert "errors" in directory.tables
    again = read_run_settings(directory.settings, [])[1]  # all that was left out is in it
    assert {"family": run.family, **again.plain()} == directory.read_settings()


def test_a_directory_is_of_one_run(run, capsys):
    assert main(["train", str(run.settings), "--run-dir", str(run.directory.path), *short(run.family)]) == 2
    assert "is not empty: resume what is there" in capsys.readouterr().err


def test_a_paused_run_goes_on_to_the_bit(run, capsys):
    where = str(run.folder / "paused")
    given = [str(run.settings), *short(run.family), "--run-dir", where]
    assert main(["train", *given, "--set", "training.max_time=0.0001s", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["resumable"], told["model"]) == (True, None)
    assert main(["predict", where, str(run.data)]) == 2
    assert "has no model yet: let its training go on" in capsys.readouterr().err
    assert main(["train", *given, "--resume", "--set", "training.seed=2"]) == 2
    assert "training.seed: 1 → 2" in capsys.readouterr().err
    assert main(["train", *given, "--resume", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["resumable"], told["epochs"], told["seed"]) == (False, 3, 1)
    whole, resumed = load_file(run.directory.model), load_file(told["model"])
    assert whole.keys() == resumed.keys()
    learned = [name for name in whole if "_time" not in name]
    assert [name for name in learned if not torch.allclose(whole[name], resumed[name], 0, 0, equal_nan=True)] == []


def test_a_forecast_writes_nothing(run, capsys):
    before = set(run.folder.iterdir())
    assert main(["train", str(run.settings), *short(run.family), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["family"] == run.family
    assert told["epochs"] == 3
    assert told["seconds"] == pytest.approx(3 * told["seconds_per_epoch"])
    assert told["memory_bytes"] > 0
    assert "sha256" in json.dumps(told["data"])
    assert set(run.folder.iterdir()) == before


def test_predictions_as_a_table_and_in_a_file(run, capsys):
    out = run.folder / "predictions.csv"
    assert main(["predict", str(run.directory.path), str(run.data), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["predict", str(run.directory.path), str(run.data), "-o", str(out)]) == 0
    assert out.read_text().count("\n") == len(told["predictions"]) + 1
    assert main(["predict", str(run.directory.path), str(run.data), "-o", str(out)]) == 2
    assert main(["predict", str(run.directory.path), str(run.data), "-o", "x.docx"]) == 2
    assert "x.docx: predictions are written as .csv" in capsys.readouterr().err


def test_errors_stand_beside_those_of_what_costs_no_training(run, capsys):
    assert main(["evaluate", str(run.directory.path), str(run.data), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["errors"]
    assert main(["evaluate", str(run.directory.path), str(run.data)]) == 0
    shown = capsys.readouterr().out
    other = {
        "potentials": "RMSE of what costs no training",
        "trajectories": "MeanTrajectory",
        "dynamics": "persistence",
    }
    assert other.get(run.family, "persistence") in shown
    assert told


def test_a_wrong_key_is_one_line_with_file_block_and_the_nearest_spelling(run, capsys):
    assert main(["train", str(run.settings), "--set", "training.sed=1"]) == 2
    told = capsys.readouterr().err
    assert f"{run.settings}: training: " in told
    assert "has no setting 'sed'; did you mean 'seed'?" in told
    assert told.count("\n") == 1
    assert main(["train", str(run.settings), "--set", "trainig.seed=1"]) == 2
    assert "there is no block 'trainig'; did you mean 'training'?" in capsys.readouterr().err


def test_an_export_is_of_families_that_have_one(run, capsys):
    out = run.folder / "export"
    code = main(["export", str(run.directory.path), "--to", "aenet", "-o", str(out), "--json"])
    if run.family == "potentials":
        files = json.loads(capsys.readouterr().out)["files"]
        assert (code, all(Path(file).is_file() for file in files)) == (0, True)
        assert main(["export", str(run.directory.path), "--to", "aenet", "-o", str(out)]) == 2
        assert "export is not empty: choose another folder by -o" in capsys.readouterr().err
        assert main(["export", str(run.directory.path), "--to", "aenat", "-o", str(out)]) == 2
        assert "did you mean 'aenet'?" in capsys.readouterr().err
    else:
        assert code == 2
        assert f"{run.family} have no export" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("training: {}", "needs `family`, one of potentials"),
        ("family: potential", "did you mean 'potentials'?"),
        ("family: operators\ndata: {file: x.h5}", "the block `network` is missing"),
        (
            "family: operators\ndata: x.h5\nnetwork: {class: FNOConfig}\ntraining: {epochs: 1}",
            "the block `data` must be settings by name",
        ),
    ],
)
def test_a_file_that_says_too_little_is_one_line(content, told, tmp_path, capsys):
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    assert main(["train", str(path)]) == 2
    line = capsys.readouterr().err
    assert told in line
    assert (line.count("\n"), str(path) in line) == (1, True)


def test_data_that_nobody_knows(tmp_path, capsys):
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    assert main(["init", str(tmp_path / "notes.csv"), "-o", str(tmp_path / "s.yaml")]) == 2
    assert main(["init", str(tmp_path / "nothing*.xyz")]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert not (tmp_path / "s.yaml").exists()


def test_what_is_no_model_is_told(tmp_path, capsys):
    (tmp_path / "model.safetensors").write_text("no")
    assert main(["predict", str(tmp_path / "model.safetensors"), str(WATER)]) == 2
    assert "is no whole potentia file" in capsys.readouterr().err
    assert main(["predict", str(tmp_path), str(WATER)]) == 2
    assert "is no directory of a run" in capsys.readouterr().err


@pytest.mark.parametrize("run", ["potentials"], indirect=True)
def test_structures_with_their_predictions(run):
    from potentia import read_structures

    out = run.folder / "predicted.extxyz"
    assert main(["predict", str(run.directory.model), str(run.data), "-o", str(out)]) == 0
    found = read_structures(out).structures
    assert len(found) == 40
    assert all(one.has_energy() and one.has_forces() for one in found)


def test_folders_patterns_and_files_held_out(tmp_path, capsys):
    from ase.io import write

    from potentia import read_structures

    frames = read_structures(WATER).structures[:24]
    (tmp_path / "xsf").mkdir()
    for k, one in enumerate(frames):
        path = tmp_path / f"xsf/{k:03d}.xsf"
        atoms = one.to_atoms()
        atoms.calc = None  # ASE writes forces in another unit there
        write(path, atoms, format="xsf")
        path.write_text(f"# total energy = {one.energy!r} eV\n\n{path.read_text()}")
    settings = tmp_path / "settings.yaml"
    assert main(["init", str(tmp_path / "xsf/00*.xsf"), "-o", str(settings), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["data"]["train"] == ["xsf/00*.xsf"]
    assert told["saw"][0].startswith("reading: 10 frames")
    settings.unlink()
    assert main(["init", str(tmp_path / "xsf"), "-o", str(settings)]) == 0
    held_out = ["--set", "data.test=[xsf/00*.xsf]"]
    assert main(["train", str(settings), *short("potentials"), *held_out, "--run-dir", str(tmp_path / "run")]) == 0
    errors = (tmp_path / "run/errors.csv").read_text()
    assert [line.split(",")[0] for line in errors.splitlines()] == ["part", "validation", "test"]


def test_help_comes_at_once(capsys):
    begun = time.process_time()
    assert main(["--help"]) == 0
    assert time.process_time() - begun < 0.5
    told = capsys.readouterr().out
    assert all(f" {name} " in told for name in ("init", "train", "predict", "evaluate", "export", "schema", "doctor"))
