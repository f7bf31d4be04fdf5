"""The page on a potential has the numbers of its training, and says what happens where no data are."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.io import write

from potentia import (
    ZBL,
    SplitConformal,
    Structure,
    TorchANNPotential,
    TorchCommitteeConfig,
    TorchCommitteePotential,
    TorchTrainingConfig,
    read_structures,
)
from potentia.cli import main
from potentia.errors import DataError, FileFormatError
from potentia.potentials.report import drift, report_on
from potentia.potentials.report.dimers import dimer_section
from potentia.potentials.report.drift import drift_section
from potentia.potentials.report.subject import Subject
from potentials import runs, small_data
from potentials.calibrated import HELD_OUT
from reports.pages import seen, table

ENERGIES = "Coverage of energy errors (eV/atom)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A potential, its data and what its training has returned."""
    root = tmp_path_factory.mktemp("potential")
    frames = [small_data.crystal(k, 2 + k % 3) for k in range(24)]
    write(root / "train.xyz", [replace(s, name=None).to_atoms() for s in frames])
    potential = small_data.fresh()
    out = potential.train(root / "train.xyz", small_data.config(iterations=4, testpercent=25, stress_weight=0.1))
    potential.save(root / "small.potential")
    (root / "told.json").write_text(json.dumps(out.stats))
    return root


@pytest.fixture(scope="module")
def report(folder):
    return report_on(folder / "small.potential", [folder / "train.xyz"])


@pytest.fixture
def briefly(monkeypatch):
    """Simulations of twenty steps, where their numbers are not what is looked at."""
    monkeypatch.setattr(drift, "MOST", 20)


def test_errors_are_those_of_the_training(folder, report):
    stats = json.loads((folder / "told.json").read_text())
    rows = {row["of"]: row for row in table(report.plain(), "Errors", "Errors")}
    for part in ("train", "test"):
        for quantity, infix, factor in (("energy", "", 1e3), ("force", "_force", 1.0), ("stress", "_stress", 1e3)):
            row = rows[f"{quantity}, {part}"]
            for measure in ("RMSE", "MAE"):
                assert row[measure] == pytest.approx(factor * stats[f"final_{measure}{infix}_{part}"], rel=1e-6)
    assert rows["energy, train"]["values"] == 18
    assert rows["energy, test"]["values"] == 6


def test_baselines_are_one_energy_per_species_and_no_force(report):
    rows = {row["of"]: row for row in table(report.plain(), "Errors", "Errors")}
    assert 0 < rows["energy, train"]["baseline RMSE"] < 1e3 * np.std([small_data.crystal(k).energy for k in range(24)])
    ratio = rows["force, test"]["RMSE"] / rows["force, test"]["baseline RMSE"]
    assert rows["force, test"]["RMSE in parts of it"] == pytest.approx(ratio)


def test_the_page_stands_alone_and_has_all_sections(folder, report):
    report.to_html(folder / "page.html")
    page = seen(folder / "page.html")
    assert page.sections == [
        "Errors", "Predicted and reference", "Worst structures", "Beyond the training", "Error bars", "Pairs of atoms",
        "Energy over volume", "Conservation of energy", "Learning", "Time", "Settings", "Where it comes from",
    ]  # fmt: skip
    assert len(page.images) == 7
    assert ["iterations", "4", str(TorchTrainingConfig().iterations)] in page.rows
    worst = table(report.plain(), "Worst structures", "By energy")[0]
    assert worst["structure"].startswith("train.xyz, frame ")
    written = [row for row in page.rows if row[0] == worst["structure"]]
    assert format(worst["energy error (meV/atom)"], ".4g") in written[0]


def test_the_same_model_has_the_same_page_but_for_times(folder, briefly):
    first, again = (report_on(folder / "small.potential", [folder / "train.xyz"]).plain() for _ in range(2))
    for found in (first, again):
        found["sections"] = [one for one in found["sections"] if one["title"] != "Time"]
    assert json.dumps(first) == json.dumps(again)


def test_without_data_the_page_has_what_the_file_knows(folder):
    report = report_on(folder / "small.potential")
    titles = [section.title for section in report.sections]
    assert titles == ["Errors", "Error bars", "Pairs of atoms", "Learning", "Time", "Settings", "Where it comes from"]
    stats = json.loads((folder / "told.json").read_text())
    last = {row["error"]: row["last epoch"] for row in table(report.plain(), "Learning", _learned(report))}
    assert last["RMSE_test"] == stats["final_RMSE_test"]


def _learned(report):
    (section,) = [one for one in report.plain()["sections"] if one["title"] == "Learning"]
    return next(iter(section["tables"]))


def test_other_data_are_no_part_of_the_training(folder, briefly, tmp_path):
    others = [small_data.crystal(k) for k in range(40, 44)]
    write(tmp_path / "new.xyz", [s.to_atoms() for s in others])
    report = report_on(folder / "small.potential", [tmp_path / "new.xyz"])
    rows = table(report.plain(), "Errors", "Errors")
    assert [row["of"] for row in rows] == ["energy, data", "force, data", "stress, data"]
    assert "nothing is known of which of them it has seen" in json.dumps(report.plain(), ensure_ascii=False)
    left_out = report_on(folder / "small.potential", [tmp_path / "new.xyz"], only_same=True)
    assert left_out.headline == "Nothing was measured for this report."


def test_with_a_repulsion_no_pair_of_atoms_can_fuse(folder, tmp_path):
    potential = small_data.fresh()
    repelled = type(potential)(potential.arch, potential.descriptor, repulsion=ZBL(inner=0.8, outer=1.2))
    repelled.train(folder / "train.xyz", small_data.config(iterations=1))
    repelled.save(tmp_path / "repelled.potential")
    section = dimer_section(
        Subject.of(tmp_path / "repelled.potential"), read_structures(folder / "train.xyz").structures
    )
    for row in section.plain()["tables"]["Pairs"]:
        assert row["energy at the beginning (eV)"] > 1.0


def test_forces_that_are_the_slope_of_the_energy_keep_it(report):
    (row,) = table(report.plain(), "Conservation of energy", "Simulation")
    assert abs(row["drift (meV/atom/ps)"]) < 1.0
    assert 0 < row["fluctuation (meV/atom)"] < 1.0


def test_a_simulation_in_which_atoms_fuse_is_stopped(folder):
    subject = Subject.of(folder / "small.potential")
    near = Structure(np.array([[0, 0, 0], [0.4, 0, 0]]), ["Ti", "O"])
    told = drift_section(subject, [near]).plain()
    assert told["tables"]["Simulation"][0]["drift (meV/atom/ps)"] is None
    assert told["tables"]["Simulation"][0]["steps"] == 0
    assert "min_cutoff" in told["words"][-1]


def test_energy_over_volume_has_the_bulk_modulus_of_its_curve(report):
    for row in table(report.plain(), "Energy over volume", "Cells"):
        assert row["bulk modulus (GPa)"] is None or 0 < row["bulk modulus (GPa)"] < 1e4


@pytest.mark.slow
def test_a_committee_tells_of_its_error_bars(folder, briefly, tmp_path):
    potential = small_data.fresh()
    committee = TorchCommitteePotential(potential.arch, potential.descriptor)
    config = TorchCommitteeConfig(num_members=3, output_dir=str(tmp_path / "committee"))
    committee.train(folder / "train.xyz", small_data.config(iterations=2, testpercent=25), config)
    report = report_on(tmp_path / "committee", [folder / "train.xyz"])
    assert report.title == "Committee of 3 potentials of Ti, O"
    rows = table(report.plain(), "Error bars", "Whether large errors are foreseen")
    assert [row["of"] for row in rows] == ["energy", "force"]
    assert all(-1 <= row["rank correlation of spread and error"] <= 1 for row in rows)
    found = committee.calibrate(HELD_OUT, method=SplitConformal(smallest_group=20))
    write(tmp_path / "held_out.xyz", [HELD_OUT[k].to_atoms() for k in found.measured_on])
    calibrated = report_on(tmp_path / "committee", [tmp_path / "held_out.xyz"])
    covered = {row["level"]: row["coverage"] for row in table(calibrated.plain(), "Error bars", ENERGIES)}
    for row in found.energy.coverage.itertuples():
        assert covered[row.level] == pytest.approx(row.coverage)


def test_structures_in_a_database_are_known_again(folder, briefly, tmp_path):
    frames = read_structures(folder / "train.xyz").structures
    runs.database(tmp_path / "structures.h5", frames)
    report = report_on(folder / "small.potential", [tmp_path / "structures.h5"])
    assert "(test part)" in report.headline


def test_a_potential_of_which_nothing_is_known_has_a_page(folder, briefly, tmp_path):
    potential = TorchANNPotential.from_file(folder / "small.potential")
    potential.fitted().record.clear()
    potential.fitted().seen = None
    potential.save(tmp_path / "bare.potential")
    report = report_on(tmp_path / "bare.potential", [folder / "train.xyz"])
    words = {section["title"]: section["words"] for section in report.plain()["sections"]}
    assert "Beyond the training" not in words
    assert "No history came with this model." in words["Learning"]
    assert "No settings of a training came with this model." in words["Settings"]


def test_the_command_writes_a_page_or_json(folder, briefly, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, data = str(folder / "small.potential"), str(folder / "train.xyz")
    assert main(["report", model, "--data", data, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["family"] == "potentials"
    assert not (tmp_path / "report.html").exists()
    assert main(["report", model]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "Potential of Ti, O"
    assert seen(tmp_path / "report.html").sections[0] == "Errors"
    assert main(["report", model, "-o", "new/folder/page.html"]) == 0
    assert seen(tmp_path / "new/folder/page.html").sections[0] == "Errors"


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (
            "mine.html",
            "mine.html is there already, and potentia has not written it: remove it, or choose another file by -o",
        ),
        ("page.pdf", "pages are HTML, so the name of one ends in .html or .htm, got 'page.pdf'"),
        (".", "is a folder: the page needs the name of a file"),
    ],
)
def test_a_page_goes_nowhere_else_and_nothing_is_measured_before(folder, capsys, tmp_path, monkeypatch, out, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.html").write_text("my own")
    monkeypatch.setattr("potentia.potentials.report.report_on", None)  # whoever calls it fails
    assert main(["report", str(folder / "small.potential"), "-o", out]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert (tmp_path / "mine.html").read_text() == "my own"


def test_a_run_names_its_data(folder, briefly, capsys, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((folder / "small.potential").read_bytes())
    settings = f"family: potentials\ndata:\n  train: ['{folder / 'train.xyz'}']\n"
    (tmp_path / "settings.yaml").write_text(settings)
    assert main(["report", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["headline"].endswith("(test part)")
    (tmp_path / "settings.yaml").write_text(settings.replace("train.xyz", "gone.xyz"))
    assert main(["report", str(tmp_path), "--json"]) == 0
    assert "Nothing was measured" in json.loads(capsys.readouterr().out)["headline"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or directory"),
        ("", "is no whole potentia file: it is empty"),
        ("<html>", "is no whole potentia file: it is truncated or of another format"),
    ],
)
def test_what_is_no_model_is_one_line(content, message, capsys, tmp_path):
    if content is not None:
        (tmp_path / "model").write_text(content)
    assert main(["report", str(tmp_path / "model")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_directory_that_is_no_run_is_refused(capsys, tmp_path):
    assert main(["report", str(tmp_path)]) == 2
    assert "there is no model.safetensors in it, nor a committee" in capsys.readouterr().err


def test_data_without_energies_are_refused(folder, tmp_path):
    write(tmp_path / "bare.xyz", [replace(small_data.crystal(1), energy=None, forces=None, stress=None).to_atoms()])
    with pytest.raises(DataError, match=r"no structure in .*bare\.xyz has an energy"):
        report_on(folder / "small.potential", [tmp_path / "bare.xyz"])
    with pytest.raises(FileFormatError, match="no such file"):
        report_on(folder / "small.potential", [tmp_path / "missing.xyz"])
