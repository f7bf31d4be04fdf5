"""Neighbours: every pair within the cutoff, whatever the cell, the periodicity and the place of the atoms."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
import torch

from potentia.errors import ConfigError, DataError
from potentia.potentials.neighbours import find_neighbours, find_neighbours_of
from potentia.potentials.neighbours_torch import radius_pairs, torch_cluster_available
from potentia.potentials.structure import Structure

ROTATION = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
CELLS = {
    "orthogonal": np.diag([4.1, 5.3, 6.7]),
    "triclinic": np.array([[4.0, 0.3, -0.2], [1.9, 4.4, 0.1], [-1.2, 2.0, 5.0]]),
    "very skewed": np.array([[4.0, 0, 0], [11.0, 4.0, 0], [-9.0, 7.5, 5.0]]),
    "left-handed": np.diag([4.1, 5.3, -6.7]),
    "rotated": np.diag([4.1, 5.3, 6.7]) @ ROTATION,
    "smaller than the cutoff": np.array([[1.1, 0.2, 0], [0, 1.3, 0.1], [0.1, 0, 0.9]]),
    "flat": np.array([[9.0, 0, 0], [0, 8.0, 0], [0.4, 0.3, 1.2]]),
}
PLACES = {
    "inside": lambda f: f,
    "outside": lambda f: f + np.round(6 * np.sin(np.arange(3 * len(f)))).reshape(-1, 3),
    "on faces": lambda f: np.round(2 * f) / 2 + np.arange(len(f))[:, None] * 1e-3 * [1, 0, 0],
    "round-off outside": lambda f: np.where(f < 0.4, -1e-17, f),
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
every_place = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
every_pbc = pytest.mark.parametrize("pbc", list(itertools.product((True, False), repeat=3)), ids=str)
CUTOFF = 3.137


def all_images(positions, cell, pbc, cutoff):
    """Pairs (i, j, vector) by trying every image that could be near, sorted.  [pairs, 5]"""
    periodic = np.flatnonzero(pbc)
    inverse = np.linalg.pinv(cell[periodic]) if len(periodic) else np.zeros((3, 0))
    reach = np.zeros(3, dtype=int)
    reach[periodic] = np.ceil(np.ptp(positions @ inverse, axis=0) + cutoff * np.linalg.norm(inverse, axis=0))
    shifts = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    vectors = positions[None, None] - positions[None, :, None] + (shifts @ cell)[:, None, None]
    near = np.linalg.norm(vectors, axis=-1) < cutoff
    near &= ~((shifts == 0).all(axis=1)[:, None, None] & np.eye(len(positions), dtype=bool))
    _, centre, neighbour = np.nonzero(near)
    return in_order(centre, neighbour, vectors[near])


def in_order(centre, neighbour, vector):
    rows = np.column_stack([centre, neighbour, np.round(vector, 7) + 0.0])
    return rows[np.lexsort(rows.T[::-1])]


def rows_of(found):
    return in_order(found.centre, found.neighbour, found.vector)


def scattered(cell, place, n=4, seed=0):
    return place(np.random.default_rng(seed).uniform(0.02, 0.98, (n, 3))) @ cell


@every_place
@every_pbc
@every_cell
def test_every_pair_is_found_as_by_trying_all_images(cell, pbc, place):
    positions = scattered(cell, place)
    found = find_neighbours(positions, cell, pbc, CUTOFF)
    np.testing.assert_allclose(rows_of(found), all_images(positions, cell, pbc, CUTOFF), atol=2e-7)


@every_pbc
@every_cell
def test_the_reverse_of_a_pair_is_the_same_pair_from_the_other_side(cell, pbc):
    found = find_neighbours(scattered(cell, PLACES["outside"]), cell, pbc, CUTOFF)
    np.testing.assert_array_equal(found.reverse[found.reverse], np.arange(found.n_pairs))
    np.testing.assert_array_equal(found.vector[found.reverse], -found.vector)
    np.testing.assert_array_equal(found.neighbour[found.reverse], found.centre)
    assert found.n_pairs == 0 or (found.reverse != np.arange(found.n_pairs)).all()


@every_pbc
def test_vectors_without_periodicity_are_not_looked_at(pbc):
    cell = CELLS["triclinic"]
    positions = scattered(cell, PLACES["outside"])
    nothing = np.where(np.array(pbc)[:, None], cell, 0.0)
    parallel = np.where(np.array(pbc)[:, None], cell, cell[0] * 3)
    expected = rows_of(find_neighbours(positions, cell, pbc, CUTOFF))
    np.testing.assert_array_equal(rows_of(find_neighbours(positions, nothing, pbc, CUTOFF)), expected)
    np.testing.assert_array_equal(rows_of(find_neighbours(positions, parallel, pbc, CUTOFF)), expected)


@every_cell
def test_an_atom_moved_by_a_lattice_vector_has_the_same_neighbours(cell):
    positions = scattered(cell, PLACES["inside"])
    moved = positions.copy()
    moved[1] += np.array([3, -2, 1]) @ cell
    before, after = find_neighbours(positions, cell, None, CUTOFF), find_neighbours(moved, cell, None, CUTOFF)
    np.testing.assert_allclose(rows_of(after), rows_of(before), atol=2e-7)


def test_a_slab_may_lie_anywhere_along_its_free_direction():
    cell, pbc = np.diag([10.0, 10.0, 20.0]), (True, True, False)
    for height in (-7.0, 0.0, 5.0, 19.9, 1000.0):
        found = find_neighbours([[1, 1, height - 0.5], [1, 1, height + 0.5]], cell, pbc, 2.0)
        assert found.neighbour.tolist() == [1, 0]
        np.testing.assert_allclose(found.vector, [[0, 0, 1], [0, 0, -1]])


@pytest.mark.parametrize(("cutoff", "count"), [(1.1, 6), (np.sqrt(2) + 0.1, 18), (2.1, 32)])
def test_simple_cubic_has_its_shells(cutoff, count):
    found = find_neighbours([[0.3, -8.1, 2.0]], np.eye(3), None, cutoff)
    assert found.n_pairs == count


def test_fcc_has_twelve_nearest_neighbours():
    cell = 1.8 * (np.ones((3, 3)) - np.eye(3))
    found = find_neighbours([[0, 0, 0]], cell, (True, True, True), 2.6)
    assert found.start.tolist() == [0, 12]
    np.testing.assert_allclose(found.distance, 1.8 * np.sqrt(2))


@pytest.mark.parametrize(("cell", "pbc"), [(None, None), (20 * np.eye(3), (True, False, True)), (20 * np.eye(3), None)])
def test_a_lone_atom_has_no_neighbours(cell, pbc):
    found = find_neighbours([[1.0, 2.0, 3.0]], cell, pbc, 5.0)
    assert found.start.tolist() == [0, 0]
    assert found.n_pairs == 0
    assert found.vector.shape == (0, 3)
    assert (found.start.dtype, found.neighbour.dtype, found.reverse.dtype) == (np.int64, np.int32, np.int32)


def test_atoms_without_neighbours_have_empty_rows():
    found = find_neighbours([[0, 0, 0], [50, 0, 0], [1, 0, 0], [99, 0, 0]], None, None, 2.0)
    assert found.start.tolist() == [0, 1, 1, 2, 2]
    assert found.centre.tolist() == [0, 2]


def test_a_cell_much_smaller_than_the_cutoff_is_quick():
    cell = 2.87 / 2 * (np.ones((3, 3)) - np.eye(3))
    find_neighbours([[0, 0, 0]], cell, None, 8.0)  # compiles on the first call
    start = time.process_time()
    found = find_neighbours([[0, 0, 0]], cell, None, 8.0)
    assert time.process_time() - start < 0.05
    np.testing.assert_array_equal(rows_of(found), all_images(np.zeros((1, 3)), cell, (True, True, True), 8.0))


def test_the_result_does_not_depend_on_the_number_of_threads():
    names = [f"s{k}" for k in range(100)]
    cells = [(1 + 0.01 * k) * CELLS["triclinic"] for k in range(100)]
    structures = [
        Structure(scattered(cell, PLACES["outside"], seed=k), ["Ti"] * 4, cell=cell, name=name)
        for k, (cell, name) in enumerate(zip(cells, names, strict=True))
    ]
    one, many = find_neighbours_of(structures, CUTOFF, threads=1), find_neighbours_of(structures, CUTOFF, threads=4)
    for structure, a, b in zip(structures, one, many, strict=True):
        alone = find_neighbours(structure.positions, structure.cell, structure.pbc, CUTOFF)
        for name in ("start", "neighbour", "vector", "reverse"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            np.testing.assert_array_equal(getattr(a, name), getattr(alone, name))


def test_no_structures_have_no_neighbours():
    assert find_neighbours_of([], CUTOFF) == []


def test_atoms_on_each_other_are_named():
    positions = [[0, 0, 0], [2, 0, 0], [5, 0, 4e-4]]
    with pytest.raises(DataError, match=r"atoms 0 and 2 lie on each other .* in a\.xyz, frame 2"):
        find_neighbours(positions, np.diag([5.0, 6, 7]), None, 3.0, where="a.xyz, frame 2")
    frames = [Structure(positions[:2], ["H", "H"]), Structure([[0, 0, 0]] * 2, ["H", "H"], name="twice.xsf")]
    with pytest.raises(DataError, match=r"atoms 0 and 1 .* twice\.xsf"):
        find_neighbours_of(frames, 3.0)


@pytest.mark.parametrize("cutoff", [0, -1.0, np.nan, np.inf, "6", None])
def test_a_cutoff_must_be_a_positive_number(cutoff):
    with pytest.raises(ConfigError, match="cutoff must be"):
        find_neighbours([[0, 0, 0]], None, None, cutoff)


@pytest.mark.parametrize(
    ("cell", "pbc", "message"),
    [
        (np.diag([3.0, 3, 0]), None, "cell vector 2, but it is 0 Å long"),
        (np.array([[3.0, 0, 0], [0, 3, 0], [3, 3, 0]]), None, "singular"),
        (None, (True, False, False), "there is no cell"),
        (np.full((3, 3), np.nan), None, "not finite"),
    ],
)
def test_an_impossible_cell_is_refused_at_once(cell, pbc, message):
    with pytest.raises(DataError, match=message):
        find_neighbours(np.zeros((1, 3)), cell, pbc, 3.0)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([[0, np.nan, 0]], "non-finite"),
        ([0.0, 0, 0], r"must have shape \(atoms, 3\)"),
        ([["a"] * 3], "must be numbers"),
    ],
)
def test_positions_must_be_numbers_in_threes(positions, message):
    with pytest.raises(DataError, match=message):
        find_neighbours(positions, None, None, 3.0, where="a.xyz")


with_torch_cluster = pytest.mark.skipif(not torch_cluster_available(), reason="torch_cluster is not installed")


@with_torch_cluster
@pytest.mark.parametrize("n", [1, 2, 60])
def test_torch_cluster_finds_the_same_pairs(n):
    positions = np.random.default_rng(n).uniform(0, 7, (n, 3))
    found = radius_pairs(torch.from_numpy(positions), CUTOFF).numpy()
    expected = find_neighbours(positions, None, None, CUTOFF)
    np.testing.assert_array_equal(found.start, expected.start)
    np.testing.assert_allclose(rows_of(found), rows_of(expected), atol=2e-7)
    np.testing.assert_array_equal(found.vector[found.reverse], -found.vector)
    np.testing.assert_array_equal(found.neighbour[found.reverse], found.centre)


@with_torch_cluster
def test_torch_cluster_keeps_structures_apart_and_names_overlaps():
    two = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]], requires_grad=True)
    found = radius_pairs(two, 2.0, torch.tensor([0, 0, 1, 1]))
    assert found.neighbour.tolist() == [1, 0, 3, 2]
    found.vector[0].sum().backward()
    assert two.grad is not None
    assert two.grad[:, 0].tolist() == [-1, 1, 0, 0]
    with pytest.raises(DataError, match="atoms 0 and 2 lie on each other"):
        radius_pairs(two, 2.0)
    with pytest.raises(DataError, match="batch must ascend"):
        radius_pairs(two, 2.0, torch.tensor([0, 1, 0, 1]))


def test_without_torch_cluster_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr("potentia.potentials.neighbours_torch.torch_cluster_available", lambda: False)
    with pytest.raises(ConfigError, match="make pyg"):
        radius_pairs(torch.zeros(1, 3), 2.0)
