"""The data doctor: every fault that is planted is found, in the right frames, and clean data give none."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from potentia.errors import ConfigError, DataError
from potentia.potentials import CheckSettings, TorchTrainingConfig, check_structures, read_structures

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "../shared/data"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the reference data is not beside this checkout")
HARTREE, KCAL = 27.211386, 0.0433641
FREE = {"H": -10.92345, "O": -135.12946}


@functools.cache
def water():
    return read_structures(ROOT / "examples/data/water.xyz").structures[:150]


SOME = [k for k, s in enumerate(water()) if 0.8 < np.sqrt((s.forces**2).mean()) < 1.5][5:20:7]
"""Frames of water with usual forces, which faults are planted in."""
ONE = SOME[1]


def changed(places, change, frames=None):
    frames = water() if frames is None else frames
    return [change(s) if k in places else s for k, s in enumerate(frames)]


def everywhere(change, frames=None):
    frames = water() if frames is None else frames
    return changed(range(len(frames)), change, frames)


def scaled(energy=1.0, forces=1.0, stress=1.0):
    def change(s):
        pressed = None if s.stress is None else s.stress * stress
        return replace(s, energy=s.energy * energy, forces=s.forces * forces, stress=pressed)

    return change


def only(report, *severities):
    """Return the findings of these severities, by default all but notes; there must be one check only."""
    found = [f for f in report.findings if f.severity in (severities or ("error", "warning"))]
    assert len({f.check for f in found}) <= 1, "\n".join(map(str, found))
    return found


def frames_of(finding):
    return sorted(place.index for place in finding.places)


def test_clean_water_gives_nothing():
    report = check_structures(water())
    assert report.findings == ()
    assert "150 frames" in report.headline
    assert "0 errors, 0 warnings, 0 notes" in str(report)
    report.raise_for_errors()


def test_forces_that_are_gradients_are_found():
    (finding,) = only(check_structures(everywhere(scaled(forces=-1.0))))
    assert "the sign of the forces" in finding.text
    assert len(finding.places) == len(water())


def test_forces_of_some_frames_that_are_gradients_are_found():
    (finding,) = only(check_structures(changed(SOME, scaled(forces=-1.0))))
    assert "point against those of all others" in finding.text
    assert frames_of(finding) == SOME


def test_a_stress_of_the_other_sign_is_found():
    (finding,) = only(check_structures(everywhere(scaled(stress=-1.0))))
    assert "the sign of the stress" in finding.text
    assert frames_of(finding) == [k for k, s in enumerate(water()) if s.has_stress()]


@pytest.mark.parametrize(
    ("factors", "named"),
    [
        pytest.param({"energy": 1 / KCAL}, "energies in kcal/mol", marks=pytest.mark.slow),
        ({"energy": 1 / HARTREE}, "energies in Hartree"),
        pytest.param({"forces": 1 / KCAL}, "forces in kcal/mol/Å", marks=pytest.mark.slow),
        ({"energy": 1 / KCAL, "forces": 1 / KCAL}, "energies and forces in kcal/mol"),
        ({"stress": 160.2}, "stress in GPa"),
    ],
)
def test_another_unit_of_all_frames_is_found(factors, named):
    report = check_structures(everywhere(scaled(**factors)))
    assert any(named in finding.text for finding in report.errors)


@pytest.mark.parametrize(
    ("factors", "named"),
    [
        ({"energy": 1 / KCAL}, "energies of 3 frames are in kcal/mol"),
        pytest.param({"energy": 1 / HARTREE}, "energies of 3 frames are in Hartree", marks=pytest.mark.slow),
        pytest.param({"forces": 1 / KCAL}, "forces in kcal/mol/Å", marks=pytest.mark.slow),
        ({"forces": 1 / HARTREE}, "forces in Hartree/Å"),
    ],
)
def test_another_unit_of_some_frames_is_found(factors, named):
    (finding,) = only(check_structures(changed(SOME, scaled(**factors))))
    assert named in finding.text
    assert frames_of(finding) == SOME


def test_energies_in_hartree_are_found_by_the_free_atoms():
    report = check_structures(everywhere(scaled(energy=1 / HARTREE)), atomic_energies=FREE)
    assert any("off the atomic energies; likely: energies in Hartree" in f.text for f in report.errors)


def test_one_energy_that_is_off_is_found():
    (finding,) = only(check_structures(changed([ONE], lambda s: replace(s, energy=s.energy + 0.5 * s.n_atoms))))
    assert frames_of(finding) == [ONE]
    assert finding.severity == "warning"


def test_forces_zeroed_on_fixed_atoms_are_found():
    def fixed(s):
        forces = s.forces.copy()
        forces[[0, 2]] = 0.0
        return replace(s, forces=forces)

    (finding,) = only(check_structures(changed(SOME, fixed)), "error")
    assert frames_of(finding) == SOME
    assert finding.places[0].atoms == (0, 2)
    assert "apply_constraint=False" in finding.advice


def test_frames_whose_forces_were_never_written_are_found():
    (finding,) = only(check_structures(changed(SOME, scaled(forces=0.0))))
    assert "all forces are exactly zero" in finding.text
    assert frames_of(finding) == SOME


def moved(s):
    """The same structure: shifted, rotated, and its atoms in another order."""
    turn = Rotation.from_euler("xyz", [20, 50, 70], degrees=True).as_matrix()
    order = np.random.default_rng(0).permutation(s.n_atoms)
    return replace(
        s,
        positions=(s.positions @ turn.T + [0.3, 0.2, -1.0])[order],
        species=[s.species[k] for k in order],
        forces=(s.forces @ turn.T)[order],
        cell=None if s.cell is None else s.cell @ turn.T,
        stress=None if s.stress is None else turn @ s.stress @ turn.T,
    )


def wrapped(s):
    """The same structure as another program writes it: atoms in other cells, fewer digits."""
    shift = np.arange(3 * s.n_atoms).reshape(-1, 3) % 3 - 1
    cell = np.zeros((3, 3)) if s.cell is None else s.cell
    return replace(s, positions=(s.positions + shift @ cell).round(5))


def test_clean_water_in_two_parts_gives_nothing():
    assert check_structures(water()[:120], test=water()[120:]).findings == ()


@pytest.mark.parametrize(
    ("copy", "severity", "how"),
    [(lambda s: s, "error", "atom for atom"), (wrapped, "error", "atom for atom"), (moved, "warning", "symmetry")],
)
def test_a_frame_of_training_in_the_test_set_is_found(copy, severity, how):
    train, test = water()[:120], water()[120:]
    report = check_structures(train, test=[*test, copy(train[ONE])])
    (finding,) = only(report)
    (place,) = finding.places
    assert (finding.severity, place.index) == (severity, ONE)
    assert "1 test structure is in the training set" in finding.text
    assert how in finding.text
    assert f"frame {ONE}" in finding.text
    assert not report.is_fit(strict=True)
    assert report.is_fit() == (severity == "warning")
    with pytest.raises(DataError, match="not fit to train on\n" + severity):
        report.raise_for_errors(strict=True)


def test_a_crystal_at_rest_that_both_parts_have_is_an_error_only_if_it_is_the_same_frame():
    train, test = changed([ONE], scaled(forces=0.0), water()[:120]), water()[120:]
    for copy, severity in ((lambda s: s, "error"), (moved, "note")):
        found = check_structures(train, test=[*test, copy(train[ONE])]).findings
        assert [f.severity for f in found if f.check == "copies"] == [severity]


def test_copies_are_found_in_the_split_that_a_training_makes():
    config = TorchTrainingConfig(testpercent=50, split_seed=3, checkpoint_dir=None)
    report = check_structures([*water(), *map(moved, water())], config=config)
    (finding,) = [f for f in report.warnings if f.check == "copies"]
    across = report.copies["parts"].isin(["train test", "test train"])
    assert len(finding.places) + sum(len(f.places) for f in report.notes if "next to no" in f.text) == across.sum()
    assert len(report.copies) == 150


def test_two_energies_of_one_structure_are_found():
    other = replace(moved(water()[ONE]), energy=water()[ONE].energy + 0.1 * water()[ONE].n_atoms)
    (finding,) = [f for f in check_structures([*water(), other]).warnings if f.check == "copies"]
    assert "energies that differ, by up to 100 meV/atom" in finding.text
    assert frames_of(finding) == [ONE, ONE]  # the copy has its source, too


def test_atoms_much_too_close_are_found():
    def close(s):
        positions = s.positions.copy()
        positions[1] = positions[0] + [0.15, 0, 0]
        return replace(s, positions=positions)

    report = check_structures(changed([ONE], close))
    (finding,) = [f for f in report.errors if f.check == "distances"]
    assert [(p.index, set(p.atoms)) for p in finding.places] == [(ONE, {0, 1})]
    assert "0.150 Å" in finding.text


def test_missing_labels_are_found():
    (finding,) = only(check_structures(changed([ONE], lambda s: replace(s, energy=None))))
    assert (finding.severity, frames_of(finding)) == ("error", [ONE])
    (finding,) = only(check_structures(changed(SOME, lambda s: replace(s, forces=None))))
    assert (finding.severity, frames_of(finding)) == ("warning", SOME)
    bare = [replace(s, forces=None, stress=None) for s in water()]
    assert [f.text for f in check_structures(bare).notes[:2]] == ["no frame has forces", "no frame has stress"]


def test_an_element_of_the_test_set_alone_is_found():
    test = changed([2], lambda s: replace(s, species=["S" if x == "O" else x for x in s.species]), water()[120:])
    report = check_structures(water()[:120], test=test)
    assert any("S is in the test set only" in f.text for f in report.errors)
    assert "species not in training" in set(report.outside["feature"])


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(DataError, match="there are no structures to look at"):
        check_structures([])
    with pytest.raises(ConfigError, match="either `test` or `config`"):
        check_structures(water(), test=water(), config=TorchTrainingConfig(split_seed=1))
    with pytest.raises(ConfigError, match="set split_seed or seed"):
        check_structures(water(), config=TorchTrainingConfig(checkpoint_dir=None))
    with pytest.raises(ConfigError, match="force_factor must be above 1"):
        CheckSettings(force_factor=0.5)
    with pytest.raises(DataError, match=r"not fit to train on\nerror: .*no energy"):
        check_structures(changed([3], lambda s: replace(s, energy=None))).raise_for_errors()


def test_frames_without_forces_or_of_one_atom_can_be_looked_at():
    lone = [replace(s, positions=s.positions[:1], species=["O"], forces=None, energy=-1.0) for s in water()[:3]]
    lone = [replace(s, cell=None, pbc=None, stress=None) for s in lone]
    assert check_structures(lone).errors == ()


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("element", ["Li", "Si", "Ni", "Cu"])
def test_published_sets_are_clean(element):
    report = check_structures(SHARED / f"mlearn/{element}_train.xyz", test=SHARED / f"mlearn/{element}_test.xyz")
    found = only(report)
    if element == "Si":  # three shears of the test set are mirror images of one of training, which is true
        (finding,) = found
        assert (finding.check, frames_of(finding)) == ("copies", [22, 23, 24])
    else:
        assert found == []


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("element", ["Li", "Si", "Cu"])
def test_faults_in_published_sets_are_found(element):
    frames = read_structures(SHARED / f"mlearn/{element}_train.xyz").structures
    strong = [k for k, s in enumerate(frames) if 0.3 < np.sqrt((s.forces**2).mean()) < 2][3:60:9]
    (finding,) = only(check_structures(changed(strong, scaled(forces=-1.0), frames)))
    assert frames_of(finding) == strong
    (finding,) = only(check_structures(changed(strong, scaled(energy=1 / KCAL), frames)))
    assert frames_of(finding) == strong
    (finding,) = only(check_structures(everywhere(scaled(stress=-1.0), frames)))
    assert "the sign of the stress" in finding.text


@pytest.mark.slow
@needs_shared
def test_a_stress_of_the_other_sign_in_some_frames_is_found():
    frames = read_structures(SHARED / "mlearn/Cu_train.xyz").structures
    sizes = np.array([np.abs(np.trace(s.stress)) for s in frames])
    large = sorted(np.argsort(-sizes)[:20:5].tolist())
    (finding,) = only(check_structures(changed(large, scaled(stress=-1.0), frames)))
    assert frames_of(finding) == large


@pytest.mark.slow
@needs_shared
def test_titanium_dioxide_is_clean_and_its_faults_are_found():
    frames = read_structures(SHARED / "tio2/structures.xyz").structures
    split = dict(line.split() for line in (SHARED / "tio2/split_15-15.tsv").read_text().splitlines())
    parts = {part: [s for s in frames if split.get(s.info["src"]) == part] for part in ("train", "test")}
    free = {"Ti": -1604.604515075, "O": -432.503149303}
    assert only(check_structures(parts["train"], test=parts["test"], atomic_energies=free)) == []
    usual = [k for k, s in enumerate(frames) if 0.7 < np.sqrt((s.forces**2).mean()) < 1.3][100::400]
    (finding,) = only(check_structures(changed(usual, scaled(forces=-1.0), frames)))
    assert frames_of(finding) == usual
    (finding,) = only(check_structures(changed(usual, scaled(energy=1 / HARTREE), frames)))
    assert frames_of(finding) == usual
