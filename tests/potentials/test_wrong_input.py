"""Wrong input: one clear error that names file, frame and atom, and nothing half-written or half-changed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from potentia import SGD, Structure
from potentia.errors import (
    ConfigError,
    DataError,
    FileFormatError,
    NotFittedError,
    PotentiaError,
    PotentiaWarning,
    TrainingError,
)
from potentials import small_data
from potentials.small_data import FREE, without


@pytest.fixture
def attempt(tmp_path):
    """Train on what is wrong, once from nothing and once after a training, and look at what is left."""

    def attempt(error, message, structures, **changes):
        folder = tmp_path / "checkpoints"
        config = small_data.config(**({"checkpoint_dir": folder, "save_best": False} | changes))
        fresh, known = small_data.fresh(), small_data.fresh()
        known.train(small_data.frames(), small_data.config(iterations=0))
        before = small_data.weights(known)
        for potential in (fresh, known):
            with pytest.raises(error, match=message) as caught:
                potential.train(structures, config)
            assert isinstance(caught.value, PotentiaError)
            assert not folder.exists()
        assert not fresh.is_trained()
        assert small_data.weights(known) == before
        with pytest.raises(NotFittedError, match="call `train` first"):
            fresh.predict(small_data.frames())

    return attempt


def with_one(structure, k=3):
    frames = list(small_data.frames())
    frames[k] = structure
    return frames


def file_with(tmp_path, change):
    """Three frames of water-like molecules in extended XYZ, the second one changed."""
    lines = []
    for k in range(3):
        header = f"Properties=species:S:1:pos:R:3:forces:R:3 energy={-13.5 - 0.01 * k}"
        rows = [
            f"{name} {1.7 * n + 0.05 * k:.2f} 0.1 0.0 0.0 {0.1 * k} 0.0" for n, name in enumerate(("Ti", "O", "Ti"))
        ]
        lines.append(["3", header, *rows])
    change(lines[1])
    path = tmp_path / "frames.xyz"
    path.write_text("\n".join("\n".join(frame) for frame in lines) + "\n")
    return path


def replaced(row, old, new):
    def change(frame):
        assert old in frame[row]
        frame[row] = frame[row].replace(old, new, 1)

    return change


FILES = {
    "NaN in the forces": (replaced(4, "0.1 0.0 0.0 0.1 0.0", "0.1 0.0 0.0 nan 0.0"), "forces.* not finite.*atom 2"),
    "NaN in the positions": (replaced(3, " 0.1 ", " nan "), "positions.* not finite.*atom 1"),
    "NaN for the energy": (replaced(1, "energy=-13.51", "energy=nan"), r"energy \(eV\) is not finite"),
    "infinite energy": (replaced(1, "energy=-13.51", "energy=inf"), r"energy \(eV\) is not finite"),
    "energy missing": (replaced(1, " energy=-13.51", ""), "structures have no energy, the first is number 1"),
    "unknown species": (replaced(3, "O", "Zr"), "species 'Zr' of atom 1 .*known: Ti, O"),
    "overlapping atoms": (replaced(4, "Ti 3.45 0.1", "Ti 1.75 0.1"), "atoms 1 and 2 "),
    "singular cell": (
        replaced(1, "Prop", 'pbc="T T T" Lattice="4 0 0 0 4 0 4 4 0" Prop'),
        "the cell is singular: its periodic vectors are not independent",
    ),
}


@pytest.mark.parametrize(("change", "message"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("max_energy", [None, 100.0])
def test_a_wrong_frame_in_a_file_is_named(change, message, max_energy, tmp_path, attempt):
    path = file_with(tmp_path, change)
    with pytest.raises(DataError) as caught:
        small_data.fresh().train(path, small_data.config(force_weight=0.5, max_energy=max_energy))
    assert "frames.xyz, frame 1" in str(caught.value)
    attempt(DataError, message, [*small_data.frames(), path], **{"force_weight": 0.5, "max_energy": max_energy})


def test_a_good_file_is_accepted(tmp_path):
    out = small_data.fresh().train(file_with(tmp_path, lambda _: None), small_data.config(force_weight=0.5))
    assert np.isfinite(out.stats["final_RMSE_force_train"])
    assert "3 frames, 9 atoms; energy 3, forces 3" in str(out)


@pytest.mark.parametrize("content", ["", "3\n\nTi 0 0 0\n", "no structure at all\n", "\0\1\2" * 100])
def test_a_file_that_is_no_structure_is_named(content, tmp_path, attempt):
    path = tmp_path / "broken.xyz"
    path.write_text(content)
    attempt(FileFormatError, r"broken\.xyz", [*small_data.frames(), path])


def test_a_file_that_is_not_there_is_named(tmp_path, attempt):
    attempt(FileFormatError, r"no such file: .*nowhere\.xsf", [*small_data.frames(), tmp_path / "nowhere.xsf"])


@pytest.mark.parametrize("structures", [[], ()])
def test_nothing_to_train_on_is_told(structures, attempt):
    attempt(DataError, "there are no structures to train on", structures)


def test_nothing_given_is_told(attempt):
    attempt(DataError, "Provide either 'structures' or 'dataset'/'train_dataset' .*, got none of them", None)


@pytest.mark.parametrize("item", [3, None, {"positions": []}, np.zeros((3, 3))], ids=str)
def test_what_is_no_structure_is_told_with_its_place(item, attempt):
    attempt(DataError, "item 10 must be a path, an ase.Atoms or a Structure, got", [*small_data.frames(), item])


WRONG = {
    "positions": ({"positions": np.zeros((3, 2))}, r"positions must be \(N, 3\), got \(3, 2\) in oxide"),
    "no atoms": ({"positions": [], "species": []}, "a structure needs at least one atom, .* in oxide"),
    "species": ({"species": ["Ti", "O"]}, "species length 2 must match the 3 positions in oxide"),
    "forces": ({"forces": np.zeros((2, 3))}, r"forces shape \(2, 3\) must match the \(3, 3\) .* in oxide"),
    "NaN forces": ({"forces": [[0, 0, 0], [0, math.nan, 0], [0, 0, 0]]}, "forces.* not finite.*atom 1.* in oxide"),
    "energy": ({"energy": math.nan}, "energy .* is not finite.* in oxide"),
    "text for energy": ({"energy": "low"}, "energy .* must be a number.* in oxide"),
    "stress shape": ({"stress": np.zeros(5), "cell": 9 * np.eye(3)}, r"stress must be .* got \(5,\) in oxide"),
    "NaN stress": ({"stress": [math.nan] * 6, "cell": 9 * np.eye(3)}, "stress.* not finite.* in oxide"),
    "stress without cell": ({"stress": np.zeros(6)}, "stress needs a cell .* in oxide"),
    "cell": ({"cell": np.eye(2)}, r"cell must be \(3, 3\) .* got \(2, 2\) in oxide"),
    "singular cell": ({"cell": [[4, 0, 0], [0, 4, 0], [4, 4, 0]]}, "the cell is singular.* in oxide"),
    "pbc": ({"cell": np.eye(3), "pbc": [True]}, "pbc must have length 3.* in oxide"),
    "weight": ({"weight": -1.0}, "weight must not be negative.* in oxide"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_structure_cannot_be_made(changes, message):
    good = {"positions": 1.7 * np.eye(3), "species": ["Ti", "O", "O"], "energy": -11.0, "name": "oxide"}
    Structure(**good)
    with pytest.raises(DataError, match=message):
        Structure(**(good | changes))


def test_a_wrong_label_on_ase_atoms_is_told_with_its_place(attempt):
    atoms = Atoms("TiO", [[0, 0, 0], [0, 0, 1.7]], info={"energy": math.nan})
    attempt(DataError, "energy .* is not finite.* in item 10", [*small_data.frames(), atoms])


def test_an_energy_is_needed_of_every_structure(attempt):
    bare = without(small_data.frames()[3], "energy")
    attempt(DataError, r"1 of 10 structures have no energy, the first is number 3 \(molecule 3\)", with_one(bare))


def test_an_unknown_species_is_named_with_structure_and_atom(attempt):
    molecule = small_data.frames()[3]
    foreign = replace(molecule, species=["Ti", "Zr", "Ti"])
    attempt(DataError, "species 'Zr' of atom 1 in molecule 3", with_one(foreign))
    attempt(DataError, "species 'Zr' of atom 1 in molecule 3", with_one(foreign), max_energy=5.0, max_forces=90.0)
    lower = replace(molecule, species=["Ti", "o", "Ti"])
    attempt(DataError, "did you mean 'O'|known: Ti, O", with_one(lower))


def test_overlapping_atoms_are_named(attempt):
    crystal = small_data.frames()[2]
    positions = crystal.positions.copy()
    positions[3] = positions[1] + crystal.cell[2]
    attempt(DataError, "atoms 1 and 3 .*crystal 2", with_one(replace(crystal, positions=positions), 2))


def test_atoms_too_close_to_be_seen_are_warned_of():
    molecule = small_data.frames()[3]
    positions = molecule.positions.copy()
    positions[1] = positions[0] + [0, 0, 0.4]
    with pytest.warns(PotentiaWarning, match="in molecule 3 are closer than min_cutoff = 0.55 Å .* atoms 0 and 1"):
        small_data.fresh().train(with_one(replace(molecule, positions=positions)), small_data.config())


SETTINGS = {
    "all held out": (ConfigError, "testpercent=100 leaves none of 10 samples to train on", {"testpercent": 100}),
    "species without energy": (ConfigError, "atomic_energies lacks O", {"atomic_energies": {"Ti": -5.0}}),
    "scheduler without validation": (
        ConfigError,
        "use_scheduler=True needs structures held out",
        {"use_scheduler": True, "testpercent": 0},
    ),
    "all filtered": (DataError, "max_energy=-99.0 and max_forces=None leave none of 8", {"max_energy": -99.0}),
}


@pytest.mark.parametrize(("error", "message", "changes"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_do_not_fit_the_data_are_refused(error, message, changes, attempt):
    attempt(error, message, small_data.frames(), **changes)


@pytest.mark.parametrize("label", ["force", "stress"])
def test_weight_on_labels_that_are_not_there_is_refused(label, attempt):
    bare = [without(s, "forces", "stress") for s in small_data.frames()]
    attempt(DataError, f"{label}_weight=0.5, but no structure of the 8 in training has a {label} label", bare,
            **{f"{label}_weight": 0.5})  # fmt: skip


def test_labels_held_out_altogether_are_no_labels(attempt):
    out = small_data.fresh().train(small_data.frames(), small_data.config(iterations=0))
    held_out = [
        s if k in out.test_indices else without(s, "forces", "stress") for k, s in enumerate(small_data.frames())
    ]
    attempt(DataError, "no structure of the 8 in training has a force label", held_out, force_weight=0.5)


def test_energies_of_more_species_than_needed_do_no_harm():
    config = small_data.config(iterations=0, atomic_energies={**FREE, "Zr": -7.0})
    potential = small_data.fresh()
    potential.train(small_data.frames(), config)
    assert potential.learned()["atomic_energies"] == FREE


def test_the_same_structure_twice_does_no_harm():
    with pytest.warns(PotentiaWarning, match=r"test structures are nearly in the training part as well \(2 exactly"):
        out = small_data.fresh().train(small_data.frames() * 2, small_data.config(**small_data.GRADIENTS))
    assert sorted(out.train_indices + out.test_indices) == list(range(20))
    assert np.isfinite(out.stats["final_RMSE_force_train"])


@pytest.mark.parametrize(
    ("factor", "message"), [(1 / 27.2, "energies change by .* Hartree"), (1 / 3, "energies .* per atom")]
)
def test_units_that_cannot_be_right_are_warned_of(factor, message):
    frames = [small_data.molecule(7, 3)]
    for k in range(20):
        shaken = frames[-1].positions + 0.05 * np.random.default_rng(k).normal(size=(3, 3))
        frames.append(small_data.morse(replace(frames[-1], positions=shaken, name=f"step {k}")))
    wrong = [replace(s, energy=s.energy * factor) for s in frames]
    free = {name: energy * factor for name, energy in FREE.items()}
    small_data.fresh().train(frames, small_data.config(iterations=0))
    with pytest.warns(PotentiaWarning, match=message):
        small_data.fresh().train(wrong, small_data.config(iterations=0, atomic_energies=free))


def test_a_run_that_diverges_ends_with_an_error_and_leaves_the_potential_alone():
    potential = small_data.fresh("linear")
    potential.train(small_data.frames(), small_data.config())
    before = small_data.weights(potential)
    wild = small_data.config(seed=None, method=SGD(lr=1e200, batchsize=1), iterations=20)
    with (
        pytest.warns(PotentiaWarning, match="left out: its (loss|gradient) is not finite"),
        pytest.raises(TrainingError, match=r"batches in a row were not finite, .* lower the learning rate"),
    ):
        potential.train(small_data.frames(), wild)
    assert small_data.weights(potential) == before


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    potential = small_data.fresh()
    with pytest.raises(OSError, match="file"):
        potential.train(small_data.frames(), small_data.config(checkpoint_dir=tmp_path / "file", save_best=False))
    assert not potential.is_trained()
    assert (tmp_path / "file").read_text() == "in the way"


ARCHITECTURES = {
    "no species": ({}, "arch must give hidden layers for every species"),
    "species lacking": ({"Ti": [(4, "tanh")]}, "arch lacks the species O"),
    "species unknown": ({"Ti": [(4, "tanh")], "O": [(4, "tanh")], "Zr": [(4, "tanh")]}, "arch names Zr, unknown"),
    "no layer": ({"Ti": [(4, "tanh")], "O": []}, r"arch\['O'\] must list at least one hidden layer"),
    "activation": ({"Ti": [(4, "tanh")], "O": [(4, "tahn")]}, r"activation of arch\['O'\]\[0\] .* did you mean 'tanh'"),
    "nodes": ({"Ti": [(4, "tanh")], "O": [(0, "tanh")]}, r"nodes of arch\['O'\]\[0\] must be an integer"),
    "pair": ({"Ti": [(4, "tanh")], "O": [4]}, r"arch\['O'\]\[0\] must be \(nodes, activation\)"),
    "text": ({"Ti": [(4, "tanh")], "O": "tanh"}, r"arch\['O'\] must list"),
}


@pytest.mark.parametrize(("arch", "message"), ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_an_architecture_that_cannot_be_is_refused(arch, message):
    with pytest.raises(ConfigError, match=message):
        type(small_data.fresh())(arch, small_data.DESCRIPTOR)
