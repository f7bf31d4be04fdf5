"""Committees of potentials from a file of settings: trained, paused, asked, calibrated, exported, reported."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from ase.io import read, write

from cli.committee_runs import told
from potentia import TorchANNPotential, TorchCommitteeConfig, TorchCommitteePotential
from potentia.cli import main
from potentia.cli.run_settings import read_run_settings
from potentia.potentials import read_structures
from potentia.potentials.report import drift
from potentia.runs import RunDirectory
from potentia.yaml_files import read_yaml
from potentials import small_data

SHORT = [
    "training.iterations=2", "training.show_progress=false", "training.method={class: Adam, mu: 0.01, batchsize: 8}",
    "descriptor.rad_order=3", "descriptor.ang_order=1", "training.save_best=false",
]  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:too few were held out for intervals of their own")

MEMBER = "checkpoints/member_000/model.pt"
SET = [part for one in SHORT for part in ("--set", one)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Settings that `init` has written for three members, and a calibrated run of them."""
    folder = tmp_path_factory.mktemp("committee")
    frames = [replace(small_data.crystal(k, 2 + k % 3), name=None).to_atoms() for k in range(84)]
    for name, part in (("data", frames[:24]), ("new", frames[24:54]), ("held", frames[54:])):
        write(folder / f"{name}.xyz", part)
    settings = folder / "settings.yaml"
    assert main(["init", str(folder / "data.xyz"), "-o", str(settings), "--members", "3"]) == 0
    more = ["--set", "data.calibrate=[held.xyz]"]
    assert main(["train", str(settings), *SET, *more, "--run-dir", str(folder / "run")]) == 0
    return SimpleNamespace(folder=folder, settings=settings, path=folder / "run", data=folder / "new.xyz")


def test_init_writes_members_with_what_they_mean(run):
    assert read_yaml(run.settings)["committee"]["num_members"] == 3
    text = run.settings.read_text()
    assert "# Members, each from the next seed; their spread is the error bar\n  num_members: 3\n" in text
    assert "class: TorchCommitteeConfig" not in text
    found = read_run_settings(run.settings, [])[1]
    assert found.committee == TorchCommitteeConfig(num_members=3)


def test_the_run_is_the_committee_that_python_trains(run):
    settings = read_run_settings(run.path / "settings.yaml", [])[1]
    committee = settings.untrained_committee()
    config = replace(settings.training, checkpoint_dir=None)
    wanted = TorchCommitteeConfig(num_members=3, output_dir=run.folder / "python")
    committee.train(read_structures(run.folder / "data.xyz").structures, config, wanted)
    found = TorchCommitteePotential.load(run.path / "model.safetensors")
    for one, other in zip(committee.load_members(), found.load_members(), strict=True):
        assert small_data.weights(one) == small_data.weights(other)


def test_a_run_holds_all_that_belongs_to_its_members(run):
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "settings.yaml", "provenance.json", "history.csv", "losses.png", "model.safetensors", "errors.csv",
        "members.csv", "calibration.csv", "coverage.csv", "checkpoints",
    }  # fmt: skip
    members = pd.read_csv(run.path / "members.csv")
    assert members["seed"].tolist() == [1, 2, 3]
    assert members["status"].tolist() == ["completed"] * 3
    own = [pd.read_csv(run.path / f"checkpoints/member_{k:03d}/history.csv") for k in range(3)]
    history = pd.read_csv(run.path / "history.csv")
    np.testing.assert_allclose(history["RMSE_test"], np.mean([one["RMSE_test"] for one in own], axis=0))
    errors = pd.read_csv(run.path / "errors.csv")
    assert errors["quantity"].tolist() == ["energy", "force", "stress"]
    assert (errors["spread"][:2] > 0).all()


def test_predictions_have_error_bars(run, capsys):
    found = told(capsys, "predict", run.path, run.data)["predictions"]
    committee = TorchCommitteePotential.load(run.path / "model.safetensors")
    expected = committee.predict(read_structures(run.data).structures, eval_forces=True)
    np.testing.assert_allclose([row["energy_std"] for row in found], expected.energy_std)
    np.testing.assert_allclose([row["max_force_uncertainty"] for row in found], expected.max_force_uncertainty)
    assert all(row["energy_half_width"] > 0 and row["level"] == 0.9 for row in found)
    out = run.folder / "predicted.extxyz"
    assert main(["predict", str(run.path), str(run.data), "-o", str(out)]) == 0
    frames = read(out, index=":")
    np.testing.assert_allclose([one.get_potential_energy() for one in frames], expected.energy, rtol=1e-7)
    np.testing.assert_allclose([one.info["energy_std"] for one in frames], expected.energy_std, rtol=1e-6)
    for atoms, one in zip(frames, expected, strict=True):
        np.testing.assert_allclose(atoms.get_forces(), one.forces, atol=1e-7)
        np.testing.assert_allclose(atoms.arrays["forces_std"], one.forces_std, atol=1e-7)
        np.testing.assert_allclose(atoms.arrays["force_half_width"], one.force_half_width, atol=1e-7)


def test_evaluate_tells_errors_calibration_and_coverage(run, capsys):
    found = told(capsys, "evaluate", run.path, run.data)
    committee = TorchCommitteePotential.load(run.path / "model.safetensors")
    structures = read_structures(run.data).structures
    predicted = committee.predict(structures)
    error = (predicted.energy_mean - [s.energy for s in structures]) / predicted.n_atoms
    assert found["errors"][0]["RMSE"] == pytest.approx(np.sqrt(np.mean(error**2)))
    width = np.array([one.energy_half_width for one in predicted]) / predicted.n_atoms
    (energy, force) = found["calibration"]
    assert energy["coverage"] == pytest.approx(np.mean(np.abs(error) <= width))
    assert (energy["level"], force["unit"]) == (0.9, "eV/Å")
    assert {row["group"] for row in found["coverage"] if row["quantity"] == "force"} >= {"Ti", "O"}
    assert main(["evaluate", str(run.path), str(run.data)]) == 0
    assert "coverage:\n" in capsys.readouterr().out


def test_export_and_report_are_of_all_members(run, capsys, monkeypatch):
    monkeypatch.setattr(drift, "MOST", 20)  # steps of a simulation that nothing here looks at
    files = told(capsys, "export", run.path, "--to", "aenet", "-o", run.folder / "export")["files"]
    assert sum(file.endswith(".nn.ascii") for file in files) == 6
    assert any(file.endswith(".uncertainty.json") for file in files)
    report = told(capsys, "report", run.path)
    assert report["title"] == "Committee of 3 potentials of O, Ti"
    bars = next(one for one in report["sections"] if one["title"] == "Error bars")
    calibration = next(rows for name, rows in bars["tables"].items() if name.startswith("Calibration"))
    assert [row["of"] for row in calibration] == ["energy", "forces"]


def test_a_paused_committee_goes_on_to_the_bit_and_is_calibrated_later(run, capsys):
    where = str(run.folder / "paused")
    given = ["train", str(run.settings), *SET, "--run-dir", where]
    assert told(capsys, *given, "--set", "training.max_time=0.0001s")["resumable"] is True
    assert main(["predict", where, str(run.data)]) == 2
    assert "has no model yet" in capsys.readouterr().err
    assert main([*given, "--resume", "--set", "committee.num_members=4"]) == 2
    assert "committee.num_members: 3 → 4" in capsys.readouterr().err
    assert told(capsys, *given, "--resume", "--set", "committee.threads_per_member=1")["resumable"] is False
    one, other = (TorchCommitteePotential.load(p / "model.safetensors") for p in (run.path, run.folder / "paused"))
    for a, b in zip(one.load_members(), other.load_members(), strict=True):
        assert small_data.weights(a) == small_data.weights(b)
    assert other.calibration is None
    assert "calibration" not in told(capsys, "evaluate", where, run.data)
    bars = told(capsys, "calibrate", where, run.folder / "held.xyz", "--level", "0.8")
    assert bars["calibration"][0]["level"] == 0.8
    assert told(capsys, "evaluate", where, run.data)["calibration"][0]["level"] == 0.8


@pytest.mark.parametrize("batched", ["false", "true"])
def test_a_forecast_is_of_all_members(batched, run, capsys):
    before = set(run.folder.iterdir())
    found = told(capsys, "train", run.settings, *SET, "--set", f"committee.batched={batched}", "--dry-run")
    assert (found["epochs"], found["seconds"]) == (2, pytest.approx(2 * found["seconds_per_epoch"]))
    assert set(run.folder.iterdir()) == before


def test_what_cannot_be_is_one_line(run, capsys, tmp_path):
    for command, message in [
        (["train", run.settings, "--set", "committee.output_dir=x"], "committee: output_dir is decided by"),
        (["train", run.settings, "--set", "committee.num_member=2"], "did you mean 'num_members'?"),
        (["train", run.settings, "--set", "init_from=x"], "init_from begins with one potential"),
        (["train", run.settings, "--set", "committee=null", "--set", "data.calibrate=[held.xyz]"],
         "data.calibrate is for the error bars of a committee"),
        (["calibrate", run.path / MEMBER, run.data], "holds one potential, which has no spread"),
        (["train", run.settings, *SET, "--set", "committee=null", "--set", "init_from=run"],
         "holds a committee of potentials, not a potential"),
        (["train", run.settings, *SET, "--set", "committee=null", "--set", "init_from=there"], "there is no file"),
    ]:  # fmt: skip
        if command[0] == "train" and "--dry-run" not in command:
            command += ["--run-dir", tmp_path / message[:8]]
        assert main(list(map(str, command))) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


def test_one_of_them_is_tuned_and_goes_on(run, tmp_path):
    begin = ["--set", "committee=null", "--set", f"init_from=run/{MEMBER}", "--set", "training.seed=null"]
    given = ["train", str(run.settings), *SET, *begin]
    assert main([*given, "--run-dir", str(tmp_path / "one")]) == 0
    first = RunDirectory.existing(tmp_path / "one")
    seed = first.read_settings()["training"]["seed"]
    assert set(first.read_provenance()["data"]["init_from"]) == {"sha256", "files", "bytes"}
    again = ["train", str(first.settings), "--run-dir", str(tmp_path / "two")]  # with the seed that was drawn
    assert main([*again, "--set", "training.max_time=0.0001s"]) == 0
    assert main([*again, "--resume"]) == 0
    start = TorchANNPotential.load(run.path / MEMBER)
    one, two = (TorchANNPotential.load(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.metadata["seed"] == two.metadata["seed"] == seed
    assert small_data.weights(start) != small_data.weights(one) == small_data.weights(two)
    assert small_data.weights(start)["e_shift"] == small_data.weights(one)["e_shift"]


def test_one_file_holds_the_committee_and_what_was_noted(run, tmp_path):
    found = TorchCommitteePotential.load(run.path / "model.safetensors")
    found.save(tmp_path / "again", {"for": "ice"})
    again = TorchCommitteePotential.from_file(tmp_path / "again", "cpu")
    assert again.load_members()[2].metadata["extra_metadata"] == {"for": "ice"}
    structures = read_structures(run.data).structures
    one, other = (c.predict(structures, eval_forces=True).to_dataframe() for c in (found, again))
    pd.testing.assert_frame_equal(one, other)
