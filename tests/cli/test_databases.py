"""An HDF5 data set of structures in all commands: the numbers are those of the files that it was built from."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from ase.io import write
from safetensors.torch import load_file

from potentia import HDF5StructureDataset
from potentia.cli import main
from potentia.potentials.datasets.hdf5 import StoredEntries
from potentia.yaml_files import read_yaml
from potentials import small_data
from potentials.small_data import DESCRIPTOR, FREE

SHORT = [
    "training.iterations=2", "training.show_progress=false", "training.method={class: Adam, mu: 0.01, batchsize: 8}",
    "training.save_best=false",
]  # fmt: skip
ENERGIES = "atomic_energies={Ti: 1.0, O: 1.0}"
SET = [part for one in SHORT for part in ("--set", one)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The same structures in a file and in a data set, and the settings that `init` writes of the latter."""
    folder = tmp_path_factory.mktemp("database")
    write(folder / "data.xyz", [replace(small_data.crystal(k, 2 + k % 3), name=None).to_atoms() for k in range(24)])
    given = {"atomic_energies": FREE}
    database = HDF5StructureDataset(DESCRIPTOR, folder / "data.h5", [folder / "data.xyz"], "build", **given)
    database.build_database(False, persist_features=True)
    database.close()
    bare = HDF5StructureDataset(None, folder / "bare.hdf5", [folder / "data.xyz"], "build")
    bare.build_database(False)
    bare.close()
    settings = folder / "settings.yaml"
    assert main(["init", str(folder / "data.h5"), "-o", str(settings)]) == 0
    assert main(["train", str(settings), *SET, "--run-dir", str(folder / "run")]) == 0
    return SimpleNamespace(folder=folder, file=folder / "data.xyz", database=folder / "data.h5", settings=settings)


def test_init_takes_what_the_data_set_owns(data):
    found = read_yaml(data.settings)
    assert (found["family"], found["data"]["train"]) == ("potentials", ["data.h5"])
    assert found["descriptor"].items() <= {"class": "ChebyshevDescriptor", **DESCRIPTOR.settings()}.items()
    assert found["training"]["atomic_energies"] == FREE
    assert "# data set: 24 frames, 72 atoms; energy 24, forces 24, stress 24\n" in data.settings.read_text()


def test_init_reads_some_entries_alone(data, monkeypatch, tmp_path):
    read = []
    structures = StoredEntries.structures
    monkeypatch.setattr(StoredEntries, "structures", lambda own, rows: read.extend(rows) or structures(own, rows))
    monkeypatch.setattr("potentia.cli.families.potentials.look.SOME", 6)
    assert main(["init", str(data.database), "-o", str(tmp_path / "s.yaml")]) == 0
    assert read == list(range(0, 24, 4))


def test_a_data_set_without_a_descriptor_or_energies_of_atoms(data, tmp_path, capsys):
    assert main(["init", str(data.folder / "bare.hdf5"), "-o", str(tmp_path / "s.yaml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["training"]["atomic_energies"] is None
    assert told["saw"][-1] == "energies of free atoms: zeros, for the data set was built without"
    assert main(["init", str(data.file), "-o", str(tmp_path / "t.yaml"), "--json"]) == 0
    from_file = json.loads(capsys.readouterr().out)["settings"]
    assert told["settings"]["descriptor"] == from_file["descriptor"]
    assert told["settings"]["arch"] == from_file["arch"]


def test_a_training_is_that_of_the_files_to_the_bit(data, tmp_path):
    more = ["--set", "data.train=[data.xyz]", "--run-dir", str(tmp_path / "run")]
    assert main(["train", str(data.settings), *SET, *more]) == 0
    one, other = (load_file(folder / "run/model.safetensors") for folder in (data.folder, tmp_path))
    assert one.keys() == other.keys()
    learned = [name for name in one if "_time" not in name]
    assert [name for name in learned if not torch.allclose(one[name], other[name], 0, 0, equal_nan=True)] == []
    assert (data.folder / "run/errors.csv").read_text() == (tmp_path / "run/errors.csv").read_text()


def test_predict_evaluate_and_check_take_it(data, capsys):
    run = str(data.folder / "run")
    for command in (["predict", run], ["evaluate", run], ["check"]):
        found = []
        for path in (data.file, data.database, data.folder / "bare.hdf5"):
            capsys.readouterr()
            assert main([*command, str(path), "--json"]) == 0
            found.append(json.loads(capsys.readouterr().out))
        rows = found[0].get("predictions") or found[0].get("errors")
        if isinstance(rows, list):
            frames = [pd.DataFrame(one.get("predictions") or one["errors"]) for one in found]
            pd.testing.assert_frame_equal(frames[0], frames[1])
            pd.testing.assert_frame_equal(frames[0], frames[2])
        else:
            assert [one["frames"] for one in found] == [24, 24, 24]


def test_a_committee_learns_from_a_data_set(data, tmp_path):
    more = ["--set", "committee={num_members: 2}", "--set", "training.iterations=1", "--run-dir", str(tmp_path / "run")]
    assert main(["train", str(data.settings), *SET, *more]) == 0
    assert (tmp_path / "run/errors.csv").read_text().startswith("part,quantity")


def test_what_cannot_be_is_one_line(data, tmp_path, capsys):
    for command, message in [
        (["init", data.database, data.file, "-o", tmp_path / "s.yaml"], "stands among 2 files: give it alone"),
        (["train", data.settings, "--dry-run", "--set", "descriptor.rad_order=2"], "rad_order"),
        (
            ["train", data.settings, "--dry-run", "--set", "training.atomic_energies={Ti: 1.0, O: 1.0}"],
            "the data set owns them",
        ),
    ]:
        assert main(list(map(str, command))) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
