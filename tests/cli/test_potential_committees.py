"""Committees of potentials by commands: the laws of all families, and export, scans and trainings that go on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ase.io import read, write

from cli.answers import told
from cli.committee_laws import CommitteeLaws, sets
from potentia import TorchANNPotential, TorchCommitteeConfig, TorchCommitteePotential
from potentia.cli import main
from potentia.potentials import read_structures
from potentia.potentials.report import drift
from potentia.runs import RunDirectory
from potentials import small_data

pytestmark = pytest.mark.filterwarnings("ignore:too few were held out for intervals of their own")


class TestPotentials(CommitteeLaws):
    committee_class, member_class = TorchCommitteePotential, TorchANNPotential
    short = (
        "training.iterations=2", "training.show_progress=false", "descriptor.rad_order=3", "descriptor.ang_order=1",
        "training.method={class: Adam, mu: 0.01, batchsize: 8}", "training.save_best=false",
    )  # fmt: skip
    first, held, new = "data.xyz", "held.xyz", "new.xyz"
    calibrated, uncalibrated = "data.calibrate=[held.xyz]", "data.calibrate=[]"
    data_block = {"train": ["data.xyz"], "test": [], "calibrate": []}
    wanted = TorchCommitteeConfig(num_members=3)
    files = {"losses.png"}
    loss = "RMSE_test"
    counted = {}
    title = "Committee of 3 potentials of O, Ti"
    tables = set()
    refused = (
        (["init_from=x"], "init_from begins with one potential"),
        (["committee=null", "data.calibrate=[]", "init_from=run"], "holds a committee of potentials, not a potential"),
        (["committee=null", "data.calibrate=[]", "init_from=there"], "there is no file"),
    )
    alone = "holds one potential, which has no spread"

    @classmethod
    def write(cls, folder):
        frames = [replace(small_data.crystal(k, 2 + k % 3), name=None).to_atoms() for k in range(84)]
        for name, part in (("data", frames[:24]), ("new", frames[24:54]), ("held", frames[54:])):
            write(folder / f"{name}.xyz", part)

    def trained_in_python(self, run, settings, output):
        found = settings.untrained_committee()
        config, wanted = replace(settings.training, checkpoint_dir=None), replace(self.wanted, output_dir=output)
        found.train(read_structures(run.folder / "data.xyz").structures, config, wanted)
        return found

    def same(self, one, other):
        return small_data.weights(one) == small_data.weights(other)

    @pytest.fixture(autouse=True)
    def short_simulations(self, monkeypatch):
        """Steps of a simulation in reports that nothing here looks at."""
        monkeypatch.setattr(drift, "MOST", 20)

    def test_predictions_have_error_bars(self, run, committee, capsys):
        found = told(capsys, "predict", run.path, run.new)["predictions"]
        expected = committee.predict(read_structures(run.new).structures, eval_forces=True)
        np.testing.assert_allclose([row["energy_std"] for row in found], expected.energy_std)
        np.testing.assert_allclose([row["max_force_uncertainty"] for row in found], expected.max_force_uncertainty)
        assert all(row["energy_half_width"] > 0 and row["level"] == 0.9 for row in found)
        out = run.folder / "predicted.extxyz"
        assert main(["predict", str(run.path), str(run.new), "-o", str(out)]) == 0
        frames = read(out, index=":")
        np.testing.assert_allclose([one.get_potential_energy() for one in frames], expected.energy, rtol=1e-7)
        np.testing.assert_allclose([one.info["energy_std"] for one in frames], expected.energy_std, rtol=1e-6)
        for atoms, one in zip(frames, expected, strict=True):
            np.testing.assert_allclose(atoms.get_forces(), one.forces, atol=1e-7)
            np.testing.assert_allclose(atoms.arrays["forces_std"], one.forces_std, atol=1e-7)
            np.testing.assert_allclose(atoms.arrays["force_half_width"], one.force_half_width, atol=1e-7)

    def test_evaluate_tells_errors_calibration_and_coverage(self, run, committee, capsys):
        found = told(capsys, "evaluate", run.path, run.new)
        structures = read_structures(run.new).structures
        predicted = committee.predict(structures)
        error = (predicted.energy_mean - [s.energy for s in structures]) / predicted.n_atoms
        assert found["errors"][0]["RMSE"] == pytest.approx(np.sqrt(np.mean(error**2)))
        width = np.array([one.energy_half_width for one in predicted]) / predicted.n_atoms
        (energy, force) = found["calibration"]
        assert energy["coverage"] == pytest.approx(np.mean(np.abs(error) <= width))
        assert (energy["level"], force["unit"]) == (0.9, "eV/Å")
        assert {row["group"] for row in found["coverage"] if row["quantity"] == "force"} >= {"Ti", "O"}

    def test_errors_of_a_run_are_of_energies_forces_and_stress(self, run):
        errors = pd.read_csv(run.path / "errors.csv")
        assert errors["quantity"].tolist() == ["energy", "force", "stress"]
        assert (errors["spread"][:2] > 0).all()

    def test_an_export_is_of_all_members(self, run, capsys):
        files = told(capsys, "export", run.path, "--to", "aenet", "-o", run.folder / "export")["files"]
        assert sum(file.endswith(".nn.ascii") for file in files) == 6
        assert any(file.endswith(".uncertainty.json") for file in files)

    def test_a_report_is_of_all_members(self, run, capsys):
        tables = self.reported_bars(run, capsys)["tables"]
        (calibration,) = [rows for name, rows in tables.items() if name.startswith("Calibration")]
        assert [row["of"] for row in calibration] == ["energy", "forces"]

    def test_error_bars_are_not_measured_on_what_they_were_learned_from(self, run, committee, capsys, tmp_path):
        held = read_structures(run.held).structures
        new = committee.calibration.unseen(held)
        assert (new.sum(), len(new)) == (15, 30)
        learned = tmp_path / "learned.xyz"
        write(learned, [held[k].to_atoms() for k in np.flatnonzero(~new)])
        assert main(["evaluate", str(run.path), str(learned)]) == 2
        said = "are those that the calibration was learned from"
        assert f"all 15 structures {said}" in capsys.readouterr().err
        assert said in " ".join(self.reported_bars(run, capsys, learned)["words"])
        bars = self.reported_bars(run, capsys, run.held)
        assert "15 more are left out" in " ".join(bars["words"])
        energies = next(rows for name, rows in bars["tables"].items() if name.startswith("Coverage of energy"))
        written = pd.read_csv(run.path / "coverage.csv")
        expected = written[written["quantity"] == "energy"]["coverage"]
        np.testing.assert_allclose([row["coverage"] for row in energies], expected)

    def test_a_forecast_is_of_members_trained_together_too(self, run, capsys):
        found = told(capsys, "train", *run.given, *sets("committee.batched=true"), "--dry-run")
        assert (found["epochs"], found["seconds"]) == (2, pytest.approx(2 * found["seconds_per_epoch"]))

    def test_one_of_them_is_tuned_and_goes_on(self, run, tmp_path):
        begin = f"init_from={run.member.relative_to(run.folder)}"
        given = ["train", *run.given, *sets("committee=null", self.uncalibrated, begin, "training.seed=null")]
        assert main([*given, "--run-dir", str(tmp_path / "one")]) == 0
        first = RunDirectory.existing(tmp_path / "one")
        seed = first.read_settings()["training"]["seed"]
        assert set(first.read_provenance()["data"]["init_from"]) == {"sha256", "files", "bytes"}
        again = ["train", str(first.settings), "--run-dir", str(tmp_path / "two")]  # with the seed that was drawn
        assert main([*again, "--set", "training.max_time=0.0001s"]) == 0
        assert main([*again, "--resume"]) == 0
        start = TorchANNPotential.load(run.member)
        one, two = (TorchANNPotential.load(tmp_path / name / "model.safetensors") for name in ("one", "two"))
        assert one.metadata["seed"] == two.metadata["seed"] == seed
        assert small_data.weights(start) != small_data.weights(one) == small_data.weights(two)
        assert small_data.weights(start)["e_shift"] == small_data.weights(one)["e_shift"]

    def test_one_file_holds_the_committee_and_what_was_noted(self, run, committee, tmp_path):
        committee.save(tmp_path / "again", {"for": "ice"})
        again = TorchCommitteePotential.from_file(tmp_path / "again", "cpu")
        assert again.load_members()[2].metadata["extra_metadata"] == {"for": "ice"}
        structures = read_structures(run.new).structures
        one, other = (c.predict(structures, eval_forces=True).to_dataframe() for c in (committee, again))
        pd.testing.assert_frame_equal(one, other)
