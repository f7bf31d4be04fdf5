"""Duplicates across a split: copies are found whatever was done to them, and structures of their own are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from potentia import ChebyshevDescriptor
from potentia.data import Split, holdout
from potentia.errors import ConfigError
from potentia.potentials.duplicates import duplicates, duplicates_among
from potentia.potentials.fingerprints import fingerprints, fingerprints_of
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.surface import featurise
from potentials.small_data import DESCRIPTOR, crystal, frames, molecule

DATA = Path(__file__).parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the reference data is not beside this checkout")
SET = [crystal(k, 4) for k in range(12)] + [molecule(k, 5) for k in range(12)]


def permuted(s):
    order = np.random.default_rng(0).permutation(s.n_atoms)
    species = [s.species[k] for k in order]
    return replace(s, positions=s.positions[order], species=species, forces=s.forces[order])


def turned(s):
    turn = Rotation.from_euler("xyz", [0.3, 1.1, -0.7]).as_matrix()
    cell = None if s.cell is None else s.cell @ turn.T
    return replace(s, positions=s.positions @ turn.T, cell=cell, forces=None, stress=None)


def moved(s):
    return replace(s, positions=s.positions + [0.4, -7.0, 2.3])


def wrapped(s):
    return s if s.cell is None else replace(s, positions=s.positions + s.cell[np.arange(s.n_atoms) % 3])


def repeated(s):
    if s.cell is None:
        return s
    return replace(
        s,
        positions=np.concatenate([s.positions, s.positions + s.cell[1]]),
        species=[*s.species, *s.species],
        cell=s.cell * [[1], [2], [1]],
        forces=None,
        energy=2 * s.energy,
    )


def rattled(s, by):
    return replace(s, positions=s.positions + np.random.default_rng(1).normal(scale=by, size=s.positions.shape))


def planted(*copies):
    """The set for training, and copies for test."""
    n = len(SET)
    return [*SET, *copies], Split(train=np.arange(n), test=np.arange(n, n + len(copies)))


def found(*copies, **more):
    structures, split = planted(*copies)
    return duplicates(structures, split, DESCRIPTOR, **more)


@pytest.mark.parametrize("change", [permuted, turned, moved, wrapped, repeated])
def test_a_copy_is_found_whatever_was_done_to_it(change):
    table = found(change(SET[3]), change(SET[15])).table
    assert dict(zip(table["test"], table["train"], strict=True)) == {24: 3, 25: 15}
    assert table["exact"].all()
    assert table["n_train"].tolist() == [1, 1]
    assert table["distance"].tolist() == [0, 0]
    assert np.abs(table["energy_difference"]).max() < 1e-12


def test_a_slight_move_is_nearly_the_same_and_a_large_one_is_not():
    table = found(rattled(SET[3], 0.002), rattled(SET[5], 0.3), rattled(SET[15], 0.3), crystal(77, 4)).table
    assert table["test"].tolist() == [24]
    assert table["train"].tolist() == [3]
    assert not table["exact"].any()
    assert 1e-4 < table["distance"][0] < 0.02


def test_the_threshold_is_that_of_the_user():
    copies = (permuted(SET[0]), rattled(SET[3], 0.002), rattled(SET[5], 0.3))
    assert found(*copies, threshold=0).table["test"].tolist() == [24]
    assert found(*copies, threshold=3).table["test"].tolist()[:2] == [24, 25]
    assert len(found(*copies, threshold=3).table) == 3
    with pytest.raises(ConfigError, match=r"threshold must be .* of at least 0.0, got -1"):
        found(*copies, threshold=-1)


def test_structures_of_their_own_give_no_finding():
    result = duplicates(frames(20), holdout(20, 40, 1), DESCRIPTOR)
    assert result.finding is None
    assert len(result.table) == 0
    assert list(result.table.columns) == ["test", "train", "distance", "energy_difference", "exact", "n_train"]


def test_the_finding_names_numbers_and_what_to_do():
    wrong = replace(SET[3], energy=SET[3].energy + 1.0)
    result = found(moved(SET[3]), permuted(wrong), rattled(SET[15], 0.001), crystal(77, 4))
    assert result.finding.startswith(
        "3 of 4 test structures are nearly in the training part as well (2 exactly, 1 of them with energies more than "
        "1 meV/atom apart), such as test structure 24 and training structure 3: "
    )
    assert "holdout_groups or holdout_blocks" in result.finding


def test_all_copies_in_training_are_counted_and_the_nearest_is_named():
    structures, _ = planted(rattled(SET[3], 0.002), SET[3])
    split = Split(train=np.delete(np.arange(26), 3), test=np.array([3]))
    (row,) = duplicates(structures, split, DESCRIPTOR).table.to_dict("records")
    assert (row["test"], row["train"], row["exact"], row["n_train"]) == (3, 25, True, 2)


@pytest.mark.parametrize("split", [Split(np.arange(24), np.arange(0)), Split(np.arange(0), np.arange(24))])
def test_an_empty_part_gives_an_empty_table(split):
    assert duplicates(SET, split, DESCRIPTOR).finding is None


def test_structures_without_energy_have_no_energy_difference():
    table = found(replace(SET[3], energy=None)).table
    assert table["energy_difference"].isna().all()


def test_features_that_are_known_give_the_same_fingerprints():
    known, again = fingerprints(SET, DESCRIPTOR, chunk=5), fingerprints_of([featurise(SET, DESCRIPTOR, [False] * 24)])
    np.testing.assert_allclose(known.values, again.values, rtol=0, atol=1e-12)
    assert known.compositions == again.compositions
    assert {known.compositions[0], known.compositions[12]} == {(1, 1), (3, 2)}
    split = Split(np.arange(12, 24), np.arange(12))
    assert duplicates_among(known, np.zeros(24), split).finding is None


def test_single_precision_finds_copies_too():
    import torch

    single = ChebyshevDescriptor(("Ti", "O"), 4, 3.8, 2, 3.4, dtype=torch.float32, kernels="torch")
    structures, split = planted(turned(SET[3]), permuted(SET[15]), rattled(SET[5], 0.3))
    table = duplicates(structures, split, single).table
    assert sorted(zip(table["test"], table["train"], table["exact"], strict=True)) == [(24, 3, True), (25, 15, True)]


@pytest.mark.slow
@needs_data
def test_the_published_oxide_set_has_its_copies():
    structures = read_structures(DATA / "tio2/structures.xyz").structures
    names = [s.info["src"] for s in structures]
    descriptor = ChebyshevDescriptor(("Ti", "O"), 10, 5.0, 3, 3.5)
    pairs = {1061: 1956, 6146: 6247, 7411: 7470, 7639: 7753, 2946: 4631, 6349: 7190}
    test = np.array(sorted(pairs))
    split = Split(train=np.setdiff1d(np.arange(len(names)), test), test=test)
    table = duplicates(structures, split, descriptor, threshold=0).table
    assert dict(zip(table["test"], table["train"], strict=True)) == pairs
    assert table["energy_difference"].abs().max() < 1e-6


@needs_data
def test_the_published_test_set_of_copper_holds_strained_cells_of_the_training_set():
    train, test = (read_structures(DATA / f"mlearn/Cu_{part}.xyz").structures for part in ("train", "test"))
    split = Split(np.arange(len(train)), len(train) + np.arange(len(test)))
    result = duplicates([*train, *test], split, ChebyshevDescriptor(("Cu",), 10, 5.0, 3, 4.0))
    exact = result.table[result.table["exact"]]
    assert len(exact) > 0
    assert {test[k - len(train)].info["config_type"] for k in exact["test"]} == {"Elastic"}
    assert exact["energy_difference"].abs().max() < 1e-3  # eV/atom: the meshes of strained cells differ
    assert len(result.table) < 20
