"""Laws of error bars in the hands of users: calibrated committees, what training has seen, what to label next."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from torch.utils.data import Subset

from potentia import (
    Scaling,
    SplitConformal,
    Structure,
    TorchANNPotential,
    TorchCommitteeConfig,
    TorchCommitteePotential,
)
from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError, PotentiaWarning
from potentia.potentials.committee.calibration import CommitteeCalibration
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.selection import select
from potentia.potentials.watch import Watch
from potentia.storage import flatten, read_file, write_file
from potentials import small_data
from potentials.calibrated import HELD_OUT, assert_close, seen_by
from potentials.runs import in_memory
from potentials.small_data import DESCRIPTOR, FREE, GRADIENTS

METHOD = SplitConformal(smallest_group=5)
WIDTHS = ["energy_half_width", "energy_half_width_per_atom", "max_force_half_width", "level"]
OUTSIDE = ["atoms_outside", "worst_atom", "worst_feature", "worst_excess", "worst_distance"]
SQUEEZED = Structure([[0, 0, 0], [0.9, 0, 0], [0, 1.9, 0]], ["Ti", "O", "O"], name="squeezed")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a committee of three with forces, in a directory."""
    folder = tmp_path_factory.mktemp("committee") / "run"
    committee = TorchCommitteePotential(small_data.fresh().arch, DESCRIPTOR)
    config = small_data.config(seed=None, split_seed=7, iterations=6, **GRADIENTS)
    committee.train(small_data.frames(20), config, TorchCommitteeConfig(3, base_seed=1, output_dir=folder))
    return committee


@pytest.fixture
def copy(trained, tmp_path):
    """Return the same committee from a directory of its own."""
    shutil.copytree(trained.directory, tmp_path / "run")
    return TorchCommitteePotential.from_directory(tmp_path / "run")


# --------------------------------------------------------------------------------------------- calibration


def test_a_committee_keeps_what_it_has_learned_from_one_part(copy):
    assert copy.calibration is None
    assert copy.predict(HELD_OUT[:2]).level is None
    found = copy.calibrate(HELD_OUT, method=METHOD, measure=0.4, level=0.8)
    assert (len(found.learned_from), len(found.measured_on)) == (36, 24)
    assert sorted(found.learned_from + found.measured_on) == list(range(60))
    predicted = copy.predict(HELD_OUT, eval_forces=True)
    part = np.array(found.learned_from)
    n_atoms = predicted.n_atoms
    error = (predicted.energy - [s.energy for s in HELD_OUT]) / n_atoms
    alone = METHOD.fit(error[part], (predicted.energy_std / n_atoms)[part], levels=(0.8,))
    expected = alone.half_width(predicted.energy_std / n_atoms, 0.8)
    table = predicted.to_dataframe()
    np.testing.assert_allclose(table["energy_half_width_per_atom"], expected, rtol=1e-12)
    np.testing.assert_allclose(table["energy_half_width"], expected * n_atoms, rtol=1e-12)
    assert list(table.columns)[12:16] == WIDTHS
    assert (table["level"] == 0.8).all()
    rest = found.measured_on
    covered = np.abs(error)[rest] <= expected[rest]
    assert found.energy.at_level["coverage"].tolist() == [covered.mean()]
    assert copy.calibration is found.calibration
    assert found.calibration.measured["energy"]["coverage"] == covered.mean()


def test_forces_go_by_species_and_the_spread_of_an_atom(copy):
    found = copy.calibrate(HELD_OUT, method=METHOD)
    assert found.forces.coverage["group"].unique().tolist() == ["all", "O", "Ti"]
    predicted = copy.predict(HELD_OUT, eval_forces=True)
    one = predicted[0]
    spread = np.sqrt((one.forces_std**2).mean(axis=1))
    expected = copy.calibration.forces.half_width(spread, 0.9, HELD_OUT[0].species)
    np.testing.assert_allclose(one.force_half_width, expected)
    assert predicted.to_dataframe()["max_force_half_width"][0] == expected.max()
    rest = found.measured_on
    inside = [np.abs(predicted[k].forces - HELD_OUT[k].forces) <= predicted[k].force_half_width[:, None] for k in rest]
    row = found.forces.at_level.iloc[0]
    assert row["coverage"] == pytest.approx(np.concatenate(inside).mean())
    assert row["n"] == 3 * sum(HELD_OUT[k].n_atoms for k in rest)
    assert 0 <= found.forces.caught <= 1
    energies = copy.predict(HELD_OUT[:2])
    assert energies[0].force_half_width is None
    assert energies.to_dataframe()["max_force_half_width"].isna().all()


def test_intervals_cover_new_structures_to_their_level(copy):
    """Each structure held out is as good as another: the mean coverage over many draws is that asked for."""
    shares = [copy.calibrate(HELD_OUT, method=METHOD, level=0.8, seed=seed) for seed in range(12)]
    energy = np.mean([found.energy.at_level["coverage"][0] for found in shares])
    forces = np.mean([found.forces.at_level["coverage"][0] for found in shares])
    assert abs(energy - 0.8) < 0.06
    assert abs(forces - 0.8) < 0.06


def test_the_calibration_is_in_the_directory_wherever_it_is_moved(copy, tmp_path):
    found = copy.calibrate(HELD_OUT, method=METHOD)
    content = (tmp_path / "run/calibration.json").read_text()
    assert "NaN" not in content
    assert str(tmp_path) not in content
    shutil.move(tmp_path / "run", tmp_path / "moved")
    there = TorchCommitteePotential.from_directory(tmp_path / "moved")
    one, other = (c.predict(HELD_OUT[:3], eval_forces=True).to_dataframe() for c in (copy, there))
    assert one[WIDTHS].equals(other[WIDTHS])
    assert there.calibration.measured["energy"] == found.energy.plain()


def test_a_calibration_belongs_to_its_members(copy, tmp_path):
    copy.calibrate(HELD_OUT, method=METHOD)
    first, second, third = copy.member_model_paths
    same = TorchCommitteePotential.from_files([third, first, second])
    same.load_calibration(tmp_path / "run/calibration.json")  # the order makes no difference
    assert same.calibration is not None
    with pytest.raises(ConfigError, match=r"run/calibration.json was learned with other members \(3, here are 2\)"):
        TorchCommitteePotential.from_files([first, second]).load_calibration(tmp_path / "run/calibration.json")
    small_data.trained().save(second)
    with pytest.warns(PotentiaWarning, match=r"learned with other members.*predictions come without intervals"):
        changed = TorchCommitteePotential.from_directory(tmp_path / "run")
    assert changed.calibration is None


def test_a_committee_of_files_writes_where_it_is_told_to(copy, tmp_path):
    files = TorchCommitteePotential.from_files(copy.member_model_paths)
    files.calibrate(HELD_OUT, method=METHOD, path=tmp_path / "here.json")
    assert not (tmp_path / "run/calibration.json").exists()
    again = TorchCommitteePotential.from_files(copy.member_model_paths)
    again.load_calibration(tmp_path / "here.json")
    assert again.calibration.to_plain() == files.calibration.to_plain()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no whole JSON file"),
        ("[]", "does not hold committee calibration that potentia has written"),
        (
            '{"format": "potentia", "kind": "committee calibration", "version": 9, "potentia_version": "7"}',
            "of version 9, written by",
        ),
        ('{"format": "potentia", "kind": "committee calibration", "version": 1}', "lacks 'forces'"),
    ],
)
def test_files_that_are_no_calibration_are_refused(content, message, tmp_path):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(FileFormatError, match=message):
        CommitteeCalibration.from_json(tmp_path / "c.json")


def test_data_sets_calibrate_as_structures_do(copy):
    whole = in_memory(HELD_OUT, free=FREE)
    plain = copy.calibrate(HELD_OUT[10:50], method=METHOD)
    found = copy.calibrate(dataset=Subset(whole, range(10, 50)), method=METHOD)
    assert found.energy.coverage.equals(plain.energy.coverage)
    assert found.forces.coverage.equals(plain.forces.coverage)


def test_other_ways_to_calibrate(copy):
    found = copy.calibrate(HELD_OUT, method=Scaling())
    assert found.calibration.to_plain()["energy"]["method"] == "normal"
    no_forces = [small_data.without(s, "forces", "stress") for s in HELD_OUT]
    found = copy.calibrate(no_forces, method=METHOD)
    assert found.forces is None
    assert copy.predict(HELD_OUT[:1], eval_forces=True)[0].force_half_width is None
    with pytest.raises(ConfigError, match="quantity must be one of 'energy', got 'forces'"):
        found.plot("forces")


def test_what_cannot_be_calibrated_on(copy):
    with pytest.raises(ConfigError, match="either `structures` or `dataset`"):
        copy.calibrate()
    with pytest.raises(DataError, match="got 1: hold out more"):
        copy.calibrate(HELD_OUT[:1])
    with pytest.raises(DataError, match=r"structure 1 \(molecule 100\) has no energy"):
        copy.calibrate([HELD_OUT[1], small_data.without(HELD_OUT[0], "energy")])
    with pytest.raises(ConfigError, match="measure must lie between 0 and 1"):
        copy.calibrate(HELD_OUT, measure=1.0)
    one = [small_data.without(s, "forces") for s in HELD_OUT[1:]]
    with pytest.raises(DataError, match="too few structures have forces"):
        copy.calibrate([HELD_OUT[0], *one], method=METHOD)
    with pytest.raises(NotFittedError, match="No committee member models"):
        TorchCommitteePotential(small_data.fresh().arch, DESCRIPTOR).calibrate(HELD_OUT)
    with pytest.warns(PotentiaWarning, match="infinite for all"):
        copy.calibrate([small_data.without(s, "forces") for s in HELD_OUT[:10]])


def test_one_member_has_no_intervals(copy):
    """What was learned is for the mean."""
    copy.calibrate(HELD_OUT, method=METHOD)
    found = copy.predict(HELD_OUT[:2], aggregation="reference")
    assert found.level is None
    assert found[0].energy_half_width is None
    assert not set(WIDTHS) & set(found.to_dataframe().columns)


def test_the_result_reads_and_draws(copy, tmp_path):
    found = copy.calibrate(HELD_OUT, method=METHOD)
    text = str(found)
    assert "learned from 30 structures, measured on 30 others" in text
    assert "eV/Å; intervals at 90 % cover" in text
    assert "of the worst 1 % of errors" in text
    assert found.energy.by_error["coverage"].iloc[-1] <= found.energy.by_error["coverage"].iloc[0]
    found.plot("forces", tmp_path / "forces.png")
    assert (tmp_path / "forces.png").stat().st_size > 1000


# -------------------------------------------------------------------------------- outside of what training has seen


def test_members_trained_together_have_seen_the_same(trained, tmp_path):
    committee = TorchCommitteePotential(small_data.fresh().arch, DESCRIPTOR)
    wanted = TorchCommitteeConfig(2, base_seed=1, batched=True, output_dir=tmp_path)
    committee.train(small_data.frames(20), small_data.config(seed=None, split_seed=7), wanted)
    alone = seen_by(trained.load_members()[0])
    for member in committee.load_members():
        assert_close(seen_by(member), alone)
    assert committee.extrapolation([SQUEEZED]).equals(trained.extrapolation([SQUEEZED]))


def test_members_share_what_they_have_seen(trained):
    seen = [seen_by(member) for member in trained.load_members()]
    assert all(one.equals(seen[0]) for one in seen)
    assert seen[0].species["O"].count > 0


def test_an_atom_outside_is_in_all_tables(trained):
    inside = next(s for s in small_data.frames(20) if trained.extrapolation([s]).empty)
    structures = [inside, SQUEEZED]
    potential = trained.load_members()[0]
    table = trained.extrapolation(structures)
    assert set(table["structure"]) == {1}
    assert set(table["identifier"]) == {"squeezed"}
    assert table.equals(potential.extrapolation(structures))
    for found in (potential.predict(structures), trained.predict(structures)):
        frame = found.to_dataframe()
        assert list(frame.columns)[-5:] == OUTSIDE
        worst = table.loc[table["excess"].idxmax()]
        assert frame["atoms_outside"].tolist() == [0, len(table)]
        assert frame[OUTSIDE[1:]].iloc[1].tolist() == worst[["atom", "feature", "excess", "distance"]].tolist()
        assert (frame["worst_feature"][0], frame["worst_excess"][0]) == ("", 0)
        assert found.extrapolation().equals(table)


def test_data_sets_tell_of_atoms_outside_too(trained):
    dataset = in_memory([*HELD_OUT[:3], SQUEEZED], free=FREE)
    plain = trained.predict([*HELD_OUT[:3], SQUEEZED]).to_dataframe()[OUTSIDE]
    assert (
        trained.predict_dataset(Subset(dataset, [3, 1]))
        .to_dataframe()[OUTSIDE]
        .equals(plain.iloc[[3, 1]].reset_index(drop=True))
    )


def test_where_it_is_not_known_an_error_says_so(trained, tmp_path):
    paths = trained.load_members()[0].to_aenet_ascii(tmp_path, structures=HELD_OUT[:2])
    imported = TorchANNPotential.from_aenet(paths)
    potential = small_data.trained()
    learned = {name: value for name, value in potential.learned().items() if name != "seen"}
    skeleton, tensors = flatten(learned)
    settings = {"recipe": potential.recipe(), "learned": skeleton, "extra_metadata": {}}
    write_file(tmp_path / "older.pt", "potential", settings, tensors)
    for unknowing in (imported, TorchANNPotential.load(tmp_path / "older.pt")):
        with pytest.raises(NotFittedError, match="what the training has seen is not known"):
            unknowing.extrapolation(HELD_OUT)
        found = unknowing.predict(HELD_OUT[:2])
        assert not set(OUTSIDE) & set(found.to_dataframe().columns)
        with pytest.raises(NotFittedError, match="does not know what training has seen"):
            found.extrapolation()
    imported.save(tmp_path / "imported.pt")
    assert read_file(tmp_path / "imported.pt", "potential").kind == "potential"


# --------------------------------------------------------------------------------------------------- simulations


def test_the_calculator_tells_the_intervals_of_predict(copy):
    atoms = HELD_OUT[0].to_atoms()
    atoms.calc = copy.calculator()
    atoms.get_forces()
    assert "energy_half_width" not in atoms.calc.results
    copy.calibrate(HELD_OUT, method=METHOD, level=0.7)
    expected = copy.predict(HELD_OUT[:1], eval_forces=True)[0]
    atoms.calc = copy.calculator()
    atoms.get_potential_energy()
    assert "force_half_width" not in atoms.calc.results
    atoms.get_forces()
    found = atoms.calc.results
    assert found["energy_half_width"] == pytest.approx(expected.energy_half_width, rel=1e-9)
    np.testing.assert_allclose(found["force_half_width"], expected.force_half_width, rtol=1e-9)
    assert found["level"] == 0.7
    atoms.calc = copy.calculator(aggregation="reference")
    atoms.get_forces()
    assert not {"energy_half_width", "force_half_width", "level"} & set(atoms.calc.results)


@pytest.mark.parametrize("together", [True, False])
def test_a_watch_names_the_atom_and_its_feature(together, trained):
    potential = trained if together else trained.load_members()[0]
    table = potential.extrapolation([SQUEEZED])
    worst = table.loc[table["excess"].idxmax()]
    atoms = SQUEEZED.to_atoms()
    atoms.calc = potential.calculator(watch=Watch.of(potential, "ignore"))
    atoms.get_potential_energy()
    excess, names = (atoms.calc.results[name] for name in ("extrapolation", "extrapolation_feature"))
    assert excess[table["atom"]].tolist() == pytest.approx(table["excess"].tolist(), rel=1e-9)
    assert [names[k] for k in table["atom"]] == table["feature"].tolist()
    atoms.calc = potential.calculator(watch=Watch.of(potential, "stop", threshold=worst["excess"] - 1e-6))
    with pytest.raises(DataError, match=rf"atom {worst['atom']} \({worst['species']}\) by .* in '{worst['feature']}'"):
        atoms.get_potential_energy()


def test_a_species_that_training_lacked_is_outside():
    potential = small_data.fresh()
    potential.train([Structure([[0, 0, 0], [1.8, 0, 0]], ["O", "O"], energy=-1.0)], small_data.config(testpercent=0))
    atoms = SQUEEZED.to_atoms()
    atoms.calc = potential.calculator(watch=Watch.of(potential, "ignore"))
    atoms.get_potential_energy()
    assert atoms.calc.results["extrapolation"][0] == np.inf
    assert atoms.calc.results["extrapolation_feature"][0] == "species not in training"
    frame = potential.predict([SQUEEZED]).to_dataframe()
    assert frame[["worst_atom", "worst_feature", "worst_excess"]].iloc[0].tolist() == [
        0, "species not in training", np.inf,
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------ beside exports


def test_error_bars_stand_beside_an_export(copy, tmp_path):
    copy.calibrate(HELD_OUT, method=METHOD)
    copy.to_aenet_ascii(tmp_path / "out", prefix="tio", structures=HELD_OUT[:2])
    found = json.loads((tmp_path / "out/tio.uncertainty.json").read_text())
    assert found["format"] == "potentia uncertainty"
    assert found["units"]["forces"] == "eV/Å"
    assert FeatureRanges.from_state(found["feature_ranges"]).equals(seen_by(copy.load_members()[0]))
    back = CommitteeCalibration.from_plain(found["calibration"])
    spreads = np.array([0.0, 0.01, 1.0])
    assert back.energy_half_width(spreads).tolist() == copy.calibration.energy_half_width(spreads).tolist()
    own = json.loads((tmp_path / "out/member_001/tio.uncertainty.json").read_text())
    assert "calibration" not in own
    assert own["feature_ranges"] == found["feature_ranges"]


def test_nothing_of_another_potential_is_left_beside_an_export(trained, tmp_path):
    trained.to_aenet_ascii(tmp_path, structures=HELD_OUT[:2])
    manifest = [{name: tmp_path / f"member_00{k}/potential.{name}.nn" for name in FREE} for k in range(2)]
    TorchCommitteePotential.from_aenet(manifest).to_aenet_ascii(tmp_path, structures=HELD_OUT[:2])
    left = sorted(path.parent.name for path in tmp_path.rglob("*.uncertainty.json"))
    assert left == ["member_002"]


# -------------------------------------------------------------------------------------------- what to label next


@pytest.mark.parametrize("by", ["both", "uncertainty", "distance"])
@pytest.mark.parametrize("eval_forces", [False, True])
def test_a_committee_selects_what_it_is_unsure_of(by, eval_forces, trained):
    known = small_data.frames(20)
    found = trained.select(HELD_OUT, 5, by, known=known, eval_forces=eval_forces)
    predicted = trained.predict(HELD_OUT, eval_forces=True)
    doubt = predicted.max_force_uncertainty if eval_forces else predicted.energy_std / predicted.n_atoms
    uncertainty = None if by == "distance" else doubt
    expected = select(HELD_OUT, 5, potential=trained, by=by, uncertainty=uncertainty, known=known)
    assert found.indices.tolist() == expected.indices.tolist()
    assert len(set(found.indices)) == 5
    if by == "uncertainty":
        assert found.indices[0] == np.argmax(doubt)


def test_nothing_is_selected_twice_nor_what_is_known(trained):
    with pytest.warns(PotentiaWarning, match="only 3 of 6 wanted"):
        found = trained.select([*HELD_OUT[:3], *HELD_OUT[:2], HELD_OUT[5]], 6, known=HELD_OUT[4:6])
    assert sorted(HELD_OUT[k % 3].name for k in found.indices) == sorted(s.name for s in HELD_OUT[:3])
    potential = trained.load_members()[0]
    alone = potential.select(HELD_OUT, 4, known=small_data.frames(20))
    assert (
        alone.indices.tolist() == trained.select(HELD_OUT, 4, "distance", known=small_data.frames(20)).indices.tolist()
    )
    with pytest.raises(ConfigError, match="did you mean 'distance'"):
        trained.select(HELD_OUT, 4, "distanc")
