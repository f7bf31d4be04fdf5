"""Selection: planted structures are found, copies are never taken twice, and the order of the input does not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from potentia import Structure
from potentia.errors import ConfigError, DataError, PotentiaWarning
from potentia.potentials.fingerprints import fingerprints
from potentia.potentials.selection import BLOCK, select
from potentials.small_data import DESCRIPTOR, crystal, fresh, molecule

POTENTIAL = fresh()
SET = [crystal(k, 4) for k in range(15)] + [molecule(k, 5) for k in range(15)]
WAYS = ["distance", "uncertainty", "both"]
every_way = pytest.mark.parametrize("by", WAYS)
DOUBT = np.random.default_rng(0).uniform(0.1, 1.0, len(SET))


def chosen(structures, n, **more):
    return select(structures, n, potential=POTENTIAL, **more)


def moved(s, seed=0):
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    order = rng.permutation(s.n_atoms)
    cell = None if s.cell is None else s.cell @ turn.T
    positions = (s.positions @ turn.T + rng.normal(size=3))[order]
    return Structure(positions, [s.species[k] for k in order], cell=cell, name=f"moved {s.name}")


def rattled(s, by=1e-4):
    return replace(s, positions=s.positions + np.random.default_rng(1).normal(scale=by, size=s.positions.shape))


def test_planted_structures_are_the_first_to_be_selected():
    usual = [rattled(crystal(3, 4), 0.02 + 0.001 * k) for k in range(12)]
    planted = [crystal(1, 2, length=2.8), molecule(4, 7), crystal(2, 8, length=4.5)]
    found = chosen([*usual[6:], *planted], 3, known=usual[:6])
    assert sorted(found.indices.tolist()) == [6, 7, 8]
    assert found.table["nearest_is"].isin(["known", "selected"]).all()


@every_way
def test_two_copies_are_never_taken_whatever_was_done_to_them(by):
    twice = [*SET, *(moved(s, k) for k, s in enumerate(SET)), *(rattled(s) for s in SET)]
    doubt = np.tile(DOUBT, 3)
    with pytest.warns(PotentiaWarning, match=r"only 30 of 90 wanted .* the other 60 are nearly the same"):
        found = chosen(twice, 90, by=by, uncertainty=doubt)
    assert sorted(found.indices % 30) == list(range(30))
    assert sorted([*found.indices, *found.skipped["structure"]]) == list(range(90))
    skipped = found.skipped
    assert (skipped["structure"] % 30 == skipped["nearest"] % 30).all()
    assert (skipped["nearest_is"] == "selected").all()
    assert (skipped["distance"] < 0.02).all()


@every_way
def test_what_is_known_is_not_selected_again(by):
    known = [moved(s, 5) for s in SET[::2]]
    with pytest.warns(PotentiaWarning, match="only 15 of 30"):
        found = chosen(SET, 30, by=by, uncertainty=DOUBT, known=known)
    assert sorted(found.indices) == list(range(1, 30, 2))
    assert found.skipped["structure"].tolist() == list(range(0, 30, 2))
    assert found.skipped["nearest"].tolist() == list(range(15))
    assert set(found.skipped["nearest_is"]) == {"known"}


def test_with_near_zero_only_exact_copies_are_left_out():
    structures = [SET[0], rattled(SET[0], 1e-3), moved(SET[0])]
    with pytest.warns(PotentiaWarning, match="only 2 of 3"):
        found = chosen([*structures], 3, near=0.0)
    assert 1 in found.indices
    assert found.skipped["distance"][0] == pytest.approx(0, abs=1e-6)


@every_way
def test_the_order_of_the_input_makes_no_difference(by):
    order = np.random.default_rng(3).permutation(len(SET))
    shuffled = [SET[k] for k in order]
    for known in (None, [molecule(99, 5)]):
        one = chosen(SET, 8, by=by, uncertainty=DOUBT, known=known)
        other = chosen(shuffled, 8, by=by, uncertainty=DOUBT[order], known=known)
        assert order[other.indices].tolist() == one.indices.tolist()
        np.testing.assert_allclose(other.table["score"], one.table["score"], rtol=1e-9)


def test_equal_scores_are_told_apart_by_content():
    order = np.random.default_rng(4).permutation(len(SET))
    one = chosen(SET, 5, by="uncertainty", uncertainty=np.ones(30))
    other = chosen([SET[k] for k in order], 5, by="uncertainty", uncertainty=np.ones(30))
    assert order[other.indices].tolist() == one.indices.tolist()


def test_distance_takes_the_farthest_each_time():
    """Against distances computed directly, within one composition."""
    crystals = [crystal(k, 4) for k in range(25)]
    points = fingerprints(crystals, DESCRIPTOR).values
    between = np.linalg.norm(points[:, None] - points[None], axis=-1)
    found = chosen(crystals[5:], 6, known=crystals[:5])
    seen = list(range(5))
    scale = None
    for row in found.table.to_dict("records"):
        nearest = between[5:, seen].min(axis=1)
        best = int(nearest.argmax())
        assert best == row["structure"]
        near_to = seen[int(between[5 + best, seen].argmin())]
        assert (row["nearest"], row["nearest_is"]) == ((near_to, "known") if near_to < 5 else (near_to - 5, "selected"))
        scale = scale or nearest[best] / row["distance"]
        assert row["distance"] == row["score"] == pytest.approx(nearest[best] / scale)
        seen.append(5 + best)
    assert (np.diff(found.table["distance"]) <= 1e-12).all()


def test_uncertainty_takes_the_largest_and_both_the_largest_product():
    found = chosen(SET, 5, by="uncertainty", uncertainty=DOUBT)
    assert found.indices.tolist() == np.argsort(-DOUBT)[:5].tolist()
    assert found.table["score"].tolist() == found.table["uncertainty"].tolist() == sorted(DOUBT)[:-6:-1]
    both = chosen(SET, 10, by="both", uncertainty=DOUBT, known=SET[:1]).table
    np.testing.assert_allclose(both["score"], both["uncertainty"] * both["distance"], rtol=1e-12)
    assert (np.diff(both["score"]) <= 1e-12).all()
    first = chosen(SET, 1, by="both", uncertainty=DOUBT).table
    assert first["structure"][0] == DOUBT.argmax()
    assert (first["distance"][0], first["nearest"][0], first["nearest_is"][0]) == (np.inf, -1, "")


def test_structures_of_another_composition_are_no_copies_however_near():
    big = Structure(np.eye(3) * 50 @ np.eye(3), ["O", "O", "O"])  # three atoms that see nothing
    other = Structure(np.eye(3) * 50, ["O", "O", "Ti"])
    found = chosen([big, other, replace(big, name="again")], 2)
    assert sorted(found.table["structure"].map({0: "O", 1: "Ti", 2: "O"})) == ["O", "Ti"]
    assert len(found.skipped) == 1


def test_blocks_of_distances_make_no_difference(monkeypatch):
    whole = chosen(SET[10:], 5, known=SET[:10])
    monkeypatch.setattr("potentia.potentials.selection.BLOCK", 40)
    assert BLOCK > 40
    pieces = chosen(SET[10:], 5, known=SET[:10])
    assert pieces.table.equals(whole.table)


def test_any_single_structure_can_be_selected():
    assert len(chosen(SET[:1], 1)) == 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"by": "distances"}, ConfigError, r"by must be one of .* did you mean 'distance'"),
        ({"by": "both"}, ConfigError, r"by='both' needs the uncertainty of each structure"),
        ({"n": 0}, ConfigError, r"n must be an integer between 1 and 30, got 0"),
        ({"n": 31}, ConfigError, r"n must be an integer between 1 and 30, got 31"),
        ({"near": -0.1}, ConfigError, r"near must be .* at least 0.0"),
        ({"structures": []}, DataError, r"no structures to select from"),
        ({"uncertainty": [1.0]}, DataError, r"`uncertainty` must have shape \(structures,\) = \(30,\), got \(1,\)"),
        ({"uncertainty": [1.0, np.nan] + [1.0] * 28}, DataError, r"`uncertainty` is not finite at entry \(1,\)"),
        ({"uncertainty": [1.0, 1.0, -2.0] + [1.0] * 27}, DataError, r"not be negative, got -2 for structure 2"),
        ({"known": [Structure([[0, 0, 0]], ["Xe"])]}, DataError, r"Xe"),
    ],
)
def test_what_cannot_be_is_refused(settings, error, message):
    arguments = {"structures": SET, "n": 3, "potential": POTENTIAL} | settings
    with pytest.raises(error, match=message):
        select(arguments.pop("structures"), arguments.pop("n"), **arguments)
