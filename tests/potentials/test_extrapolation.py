"""Extrapolation: what was seen is inside, a planted atom is named with its feature, and pieces are the whole."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from potentia import CachedStructureDataset, ChebyshevDescriptor, Structure, StructureDataset
from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.potentials.extrapolation import UNKNOWN, Extrapolation
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.surface import featurise
from potentia.storage import flatten, read_file, unflatten, write_file
from potentials.small_data import DESCRIPTOR, SPECIES, crystal, frames, molecule

SET = [crystal(k, 4) for k in range(20)] + [molecule(k, 5) for k in range(20)]
SEEN = FeatureRanges.of_structures(SET, DESCRIPTOR)
OUTSIDE = Extrapolation(DESCRIPTOR, SEEN)
N = DESCRIPTOR.n_features


def features(structures, descriptor=DESCRIPTOR):
    found = featurise(structures, descriptor, [False] * len(structures))
    return found.features.values.double().numpy(), np.concatenate([s.species for s in structures])


def inside(atoms=3, species="O"):
    """Return features of atoms in the middle of the range."""
    known = SEEN.species[species]
    return np.tile((known.low + known.high) / 2, (atoms, 1)), [species] * atoms


def assert_same(one, other, rtol=0.0):
    assert one.names == other.names
    assert one.rounding == other.rounding
    assert one.species.keys() == other.species.keys()
    for name, known in one.species.items():
        again = other.species[name]
        assert known.count == again.count
        np.testing.assert_array_equal(known.low, again.low)
        np.testing.assert_array_equal(known.high, again.high)
        np.testing.assert_allclose(again.mean, known.mean, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(again.scatter, known.scatter, rtol=0, atol=rtol * np.abs(known.scatter).max())


def test_ranges_are_those_of_the_features():
    values, species = features(SET)
    for name in SPECIES:
        own, known = values[species == name], SEEN.species[name]
        np.testing.assert_array_equal(known.low, own.min(axis=0))
        np.testing.assert_array_equal(known.high, own.max(axis=0))
        np.testing.assert_allclose(known.mean, own.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(known.std, own.std(axis=0), atol=1e-12)
        np.testing.assert_allclose(known.scatter / len(own), np.cov(own.T, bias=True), atol=1e-12)


@pytest.mark.parametrize("size", [1, 7, 39])
def test_pieces_are_the_whole(size):
    parts = [FeatureRanges.of_structures(SET[k : k + size], DESCRIPTOR) for k in range(0, len(SET), size)]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    assert_same(SEEN, whole, rtol=1e-11)


@pytest.mark.parametrize("kind", [StructureDataset, CachedStructureDataset])
def test_a_data_set_gives_the_same(kind):
    more = {"show_progress": False} if kind is CachedStructureDataset else {}
    assert_same(SEEN, FeatureRanges.of_dataset(kind(SET, DESCRIPTOR, **more)))


def test_more_structures_than_a_chunk_are_taken_chunk_by_chunk():
    many = [crystal(k, 2) for k in range(150)]
    assert_same(
        FeatureRanges.of_dataset(StructureDataset(many, DESCRIPTOR)),
        FeatureRanges.of([featurise(many, DESCRIPTOR, [False] * 150)]),
        rtol=1e-11,
    )


def test_what_was_seen_is_inside_whatever_is_done_to_it():
    turn = Rotation.from_euler("xyz", [0.3, 1.1, -0.7]).as_matrix()
    turned = [
        replace(s, positions=s.positions @ turn.T + 3, cell=None if s.cell is None else s.cell @ turn.T, stress=None)
        for s in SET
    ]
    for structures in (SET, turned):
        assert OUTSIDE.table(structures).empty
        for found in OUTSIDE.of_structures(structures):
            assert not found.excess.any()
            assert (found.feature == -1).all()
            assert not found.features_outside.any()


@pytest.mark.parametrize("feature", [0, 3, N - 1])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_planted_atom_is_named_with_its_feature_and_how_far_out_it_is(feature, side):
    values, species = inside()
    known = SEEN.species["O"]
    end = known.high if side > 0 else known.low
    values[1, feature] = end[feature] + side * 2.5 * known.std[feature]
    found = OUTSIDE.of(values, species)
    np.testing.assert_allclose(found.excess, [0, 2.5, 0], atol=1e-9)
    assert found.feature.tolist() == [-1, feature, -1]
    assert found.features_outside.tolist() == [0, 1, 0]
    assert len(found) == 3


def test_the_worst_of_several_features_is_named():
    values, species = inside(1)
    known = SEEN.species["O"]
    values[0, [1, 2]] = (known.high + [3.0] * known.std + 0)[[1, 2]]
    values[0, 2] += known.std[2]
    found = OUTSIDE.of(values, species)
    assert (found.feature[0], found.features_outside[0]) == (2, 2)
    assert found.excess[0] == pytest.approx(4.0)


def test_the_table_names_structure_atom_and_feature():
    pressed = molecule(3, 5)
    positions = pressed.positions.copy()
    positions[4] = positions[0] + 0.6 * (positions[4] - positions[0])
    odd = replace(pressed, positions=positions, name="pressed")
    table = OUTSIDE.table([SET[0], odd, SET[1]])
    assert set(table["structure"]) == {1}
    assert set(table["identifier"]) == {"pressed"}
    assert {0, 4} <= set(table["atom"])
    assert (table["excess"] > 0).all()
    assert ((table["value"] < table["low"]) | (table["value"] > table["high"])).all()
    values, _ = features([odd])
    for row in table.to_dict("records"):
        k = DESCRIPTOR.feature_names.index(row["feature"])
        known = SEEN.species[row["species"]]
        assert row["value"] == values[row["atom"], k]
        assert (row["low"], row["high"]) == (known.low[k], known.high[k])
        assert row["species"] == odd.species[row["atom"]]
        beyond = max(row["low"] - row["value"], row["value"] - row["high"])
        assert row["excess"] == pytest.approx(beyond / known.std[k])


def test_features_have_names():
    assert DESCRIPTOR.feature_names[:5] == tuple(f"radial {k}" for k in range(5))
    assert DESCRIPTOR.feature_names[5:9] == ("angular 0", "angular 1", "angular 2", "radial 0 weighted")
    assert len(set(DESCRIPTOR.feature_names)) == N
    assert ChebyshevDescriptor(["H"], 1, 2.0, 0, 2.0).feature_names == ("radial 0", "radial 1", "angular 0")
    # the first feature is ½ Σ(cos + 1): a neighbour more makes it larger, whatever the species
    values, _ = features([Structure([[0, 0, 0], [1.5, 0, 0], [0, 1.5, 0]][:n], ["O"] * n) for n in (2, 3)])
    assert values[2, 0] > values[0, 0]


def test_an_unknown_species_is_infinitely_far_and_told():
    seen = FeatureRanges.of_structures([Structure([[0, 0, 0], [1.2, 0, 0]], ["O", "O"])], DESCRIPTOR)
    table = Extrapolation(DESCRIPTOR, seen).table([Structure([[0, 0, 0], [1.2, 0, 0]], ["O", "Ti"])])
    (row,) = table[table["species"] == "Ti"].to_dict("records")
    assert (row["feature"], row["excess"], row["distance"]) == (UNKNOWN, np.inf, np.inf)
    assert (row["atom"], np.isnan(row["low"])) == (1, True)


def test_a_feature_that_never_varied_is_counted_in_units_of_the_others():
    pairs = [Structure([[0, 0, 0], [r, 0, 0]], ["O", "O"]) for r in (1.1, 1.2, 1.3)]
    seen = FeatureRanges.of_structures(pairs, DESCRIPTOR)  # no angles
    outside = Extrapolation(DESCRIPTOR, seen)
    bent = Structure([[0, 0, 0], [1.2, 0, 0], [0, 1.2, 0]], ["O", "O", "O"])
    known = seen.species["O"]
    assert not known.varies[5]
    assert known.unit[5] == pytest.approx(np.sqrt(np.mean(known.std[known.varies] ** 2)))
    assert np.isfinite(outside.of_structures([bent])[0].excess).all()
    assert (outside.of_structures([bent])[0].excess > 0).all()
    assert outside.table(pairs).empty


def test_one_training_atom_has_no_distance_but_an_excess():
    seen = FeatureRanges.of_structures([Structure([[0, 0, 0], [1.2, 0, 0]], ["O", "Ti"])], DESCRIPTOR)
    (found,) = Extrapolation(DESCRIPTOR, seen).of_structures([Structure([[0, 0, 0], [1.3, 0, 0]], ["O", "Ti"])])
    assert (found.excess > 0).all()
    assert np.isnan(found.distance).all()


# ----------------------------------------------------------------------------------------------------------- distance


def test_the_distance_of_training_atoms_is_one_in_the_root_mean_square():
    values, species = features(SET)
    found = OUTSIDE.of(values, species)
    for name in SPECIES:
        assert np.sqrt(np.mean(found.distance[species == name] ** 2)) == pytest.approx(1, rel=1e-9)


def test_the_distance_sees_what_ranges_do_not():
    rng = np.random.default_rng(0)
    along = rng.normal(size=(500, 1))
    values = along + 0.05 * rng.normal(size=(500, N))  # all features go together
    descriptor = ChebyshevDescriptor(SPECIES, 4, 3.8, 2, 3.4)
    part = SimpleNamespace(
        features=SimpleNamespace(values=torch.tensor(values)),
        geometry=SimpleNamespace(species=torch.zeros(500, dtype=torch.int64)),
        descriptor=descriptor,
    )
    outside = Extrapolation(descriptor, FeatureRanges.of([part]))
    usual, odd = np.ones(N), np.where(np.arange(N) % 2, 1.0, -1.0)
    found = outside.of([usual, odd], ["Ti", "Ti"])
    assert not found.excess.any()
    assert found.distance[0] < 1
    assert found.distance[1] > 10


def test_the_distance_does_not_go_by_the_scale_of_a_feature():
    values, species = features(SET)
    scale = 10.0 ** np.arange(-3, -3 + N)

    def distances(factor):
        part = SimpleNamespace(
            features=SimpleNamespace(values=torch.tensor(values * factor)),
            geometry=SimpleNamespace(species=torch.tensor([SPECIES.index(name) for name in species])),
            descriptor=DESCRIPTOR,
        )
        return Extrapolation(DESCRIPTOR, FeatureRanges.of([part])).of(values * factor, species).distance

    np.testing.assert_allclose(distances(scale[::-1].copy()), distances(1.0), rtol=1e-5)


# -------------------------------------------------------------------------------------------------------------- files


def test_ranges_survive_json_and_a_file_of_tensors(tmp_path):
    SEEN.to_json(tmp_path / "ranges.json")
    assert_same(SEEN, FeatureRanges.from_json(tmp_path / "ranges.json"))
    json.loads((tmp_path / "ranges.json").read_text(), parse_constant=pytest.fail)
    skeleton, tensors = flatten(SEEN.to_state())
    write_file(tmp_path / "ranges.st", "ranges", {"state": skeleton}, tensors)
    stored = read_file(tmp_path / "ranges.st", "ranges")
    assert_same(SEEN, FeatureRanges.from_state(unflatten(stored.settings["state"], stored.tensors)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ranges.json", "ranges.st"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "feature ra', "no whole JSON file"),
        ('{"kind": "recipe"}', "does not hold feature ranges that potentia has written"),
        ("[1, 2]", "does not hold feature ranges"),
        (
            '{"format": "potentia", "kind": "feature ranges", "version": 1, "names": ["a"], "rounding": 0, '
            '"species": {"O": {"count": 1}}}',
            "lacks 'low' where each species has some: write it again",
        ),
        (
            '{"format": "potentia", "kind": "feature ranges", "version": 9, "potentia_version": "7.1"}',
            r"version 9, written by potentia 7.1; this release reads up to version 1: update",
        ),
    ],
)
def test_foreign_and_broken_files_are_refused(text, message, tmp_path):
    (tmp_path / "ranges.json").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        FeatureRanges.from_json(tmp_path / "ranges.json")


def test_wrong_input_is_refused():
    values, species = inside()
    values[2, 4] = np.nan
    with pytest.raises(DataError, match=r"`features` is not finite at entry \(2, 4\)"):
        OUTSIDE.of(values, species)
    with pytest.raises(DataError, match=r"`features` must have shape \(atoms, features\) = \(2, 16\), got \(3, 16\)"):
        OUTSIDE.of(values, species[:2])
    other = ChebyshevDescriptor(SPECIES, 3, 3.8, 2, 3.4)
    with pytest.raises(ConfigError, match=r"ranges are of 16 features .* the descriptor has 14"):
        Extrapolation(other, SEEN)
    with pytest.raises(ConfigError, match="ranges of different features cannot be joined"):
        SEEN + FeatureRanges.of_structures(SET[:1], other)
    with pytest.raises(DataError, match="no structures to take the ranges of features from"):
        FeatureRanges.of_structures([], DESCRIPTOR)


@pytest.mark.parametrize("kernels", [pytest.param("numba", marks=pytest.mark.slow), "torch"])  # compiles for float32
def test_single_precision_is_inside_too(kernels):
    single = ChebyshevDescriptor(SPECIES, 4, 3.8, 2, 3.4, dtype=torch.float32, kernels=kernels)
    outside = Extrapolation(single, FeatureRanges.of_structures(SET, single))
    turn = Rotation.from_euler("xyz", [0.3, 1.1, -0.7]).as_matrix()
    assert outside.table([replace(s, positions=s.positions @ turn.T) for s in SET[20:]]).empty
    assert not outside.table(frames(10)).empty
