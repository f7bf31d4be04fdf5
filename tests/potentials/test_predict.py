"""What `predict` takes, and what it gives back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from potentia import PredictOut, Structure
from potentia.errors import DataError, FileFormatError, NotFittedError
from potentials import small_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two files of frames without labels."""
    folder = tmp_path_factory.mktemp("structures")
    for name, part in (("one.xyz", slice(0, 1)), ("three.xyz", slice(1, 4))):
        write(folder / name, [bare(s).to_atoms() for s in small_data.frames()[part]])
    return folder


def bare(structure):
    return small_data.without(structure, "energy", "forces", "stress")


def predicted(structures, **options):
    return small_data.trained().predict(structures, **options)


def assert_equal(found, expected, rel=0.0):
    np.testing.assert_allclose(found.total_energy, expected.total_energy, rtol=rel)
    assert found.atom_types == expected.atom_types


@pytest.mark.parametrize("one", [lambda s: s, bare, Structure.to_atoms], ids=["structure", "no labels", "atoms"])
def test_one_structure_of_any_kind_is_taken(one):
    structure = small_data.frames()[0]
    expected = predicted([structure])
    assert_equal(predicted(one(structure)), expected)
    assert_equal(predicted([one(structure)]), expected)
    assert_equal(predicted(iter((one(structure),))), expected)


def test_a_path_is_all_frames_of_the_file(folder):
    expected = predicted(small_data.frames()[1:4])
    for path in (folder / "three.xyz", str(folder / "three.xyz")):
        found = predicted(path)
        assert_equal(found, expected, rel=1e-7)  # digits of the file
        assert found.structure_paths == [f"molecule {k}" if k % 2 else f"crystal {k}" for k in (1, 2, 3)]


def test_a_mixture_is_taken_in_its_order(folder):
    frames = small_data.frames()
    found = predicted([frames[5], folder / "three.xyz", frames[6].to_atoms(), str(folder / "one.xyz")])
    assert_equal(found, predicted([frames[k] for k in (5, 1, 2, 3, 6, 0)]), rel=1e-7)


def test_nothing_gives_nothing():
    out = predicted([], eval_forces=True, eval_stress=True)
    assert isinstance(out, PredictOut)
    assert (len(out), out.total_energy, out.forces, out.stress) == (0, [], [], [])
    assert out.to_dataframe().empty
    assert predicted([]).forces is None


def test_forces_and_stress_come_when_asked_for():
    frames = small_data.frames()
    out = predicted(frames)
    assert out.forces is None
    assert out.stress is None
    out = predicted(frames, eval_forces=True)
    assert [f.shape for f in out.forces] == [(s.n_atoms, 3) for s in frames]
    assert out.stress is None
    out = predicted(frames, eval_stress=True)
    assert out.forces is None
    assert [s is None for s in out.stress] == [not all(s.pbc) for s in frames]


def test_energies_do_not_depend_on_what_else_is_asked_for():
    frames = small_data.frames()
    assert_equal(predicted(frames, eval_forces=True, eval_stress=True), predicted(frames), rel=1e-14)


def test_positions_and_species_are_those_given():
    frames = small_data.frames()
    out = predicted(frames)
    assert out.num_structures == len(frames)
    for k, structure in enumerate(frames):
        np.testing.assert_array_equal(out.coords[k], structure.positions)
        assert out.atom_types[k] == structure.species
        assert out.num_atoms(k) == structure.n_atoms == len(out.atom_energies[k])
        assert out.total_energy_per_atom[k] == out.total_energy[k] / structure.n_atoms


def test_what_is_returned_can_be_changed_without_harm():
    structure = small_data.molecule(1)
    out = predicted(structure, eval_forces=True)
    out.coords[0][:] = math.nan
    assert np.isfinite(structure.positions).all()


def test_times_are_told():
    timing = predicted(small_data.frames(), eval_forces=True).timing
    assert set(timing) == {"featurization", "energy_eval", "force_eval", "total"}
    assert 0 < timing["featurization"] + timing["force_eval"] < timing["total"]


def test_before_training_there_is_nothing_to_predict_with():
    for use in ("predict", "cohesive_energy"):
        with pytest.raises(NotFittedError, match="this TorchANNPotential has learned nothing yet; call `train` first"):
            getattr(small_data.fresh(), use)(small_data.frames()[0])


def test_an_unknown_species_is_named_with_file_frame_and_atom(folder):
    atoms = [s.to_atoms() for s in small_data.frames()[:2]]
    for one in atoms:
        one.calc = None
        one.info.clear()
    atoms[1].symbols[2] = "Zr"
    write(folder / "foreign.xyz", atoms)
    with pytest.raises(DataError, match=r"species 'Zr' of atom 2 in .*foreign\.xyz, frame 1 .*known: Ti, O"):
        predicted(folder / "foreign.xyz")


def test_atoms_on_each_other_are_named_with_their_structure():
    twice = Structure([[0, 0, 0], [1.6, 0, 0], [1.6, 0, 0]], ["Ti", "O", "O"], name="twice written")
    with pytest.raises(DataError, match=r"atoms 1 and 2.*twice written"):
        predicted([small_data.frames()[0], twice])


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(FileFormatError, match=r"no such file: nowhere\.xyz"):
        predicted(Path("nowhere.xyz"))


def test_the_cohesive_energy_is_of_one_structure(folder):
    structure = small_data.frames()[0]
    potential = small_data.trained()
    assert potential.cohesive_energy(structure) == predicted(structure).cohesive_energy[0]
    with pytest.raises(DataError, match=r"cohesive_energy is for one structure, but .*three\.xyz holds 3"):
        potential.cohesive_energy(folder / "three.xyz")
