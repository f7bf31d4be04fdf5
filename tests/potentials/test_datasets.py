"""Laws of data sets: what is left out, what entries are called, and features that are the same bits from anywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from potentia import (
    CachedStructureDataset,
    ChebyshevDescriptor,
    HDF5StructureDataset,
    Structure,
    StructureDataset,
    convert_to_structures,
    train_test_split,
    train_test_split_dataset,
)
from potentia.data import holdout
from potentia.errors import ConfigError, DataError
from potentia.potentials.datasets import PotentialDataset, SourceRecord
from potentia.potentials.datasets.lru import LRU
from potentia.potentials.formats.xsf import write_xsf
from potentia.potentials.surface import Featurised, featurise
from potentials import small_data
from potentials.small_data import DESCRIPTOR, FREE, without


def mixed() -> list[Structure]:
    """Ten structures of which some lack a label."""
    frames = list(small_data.frames())
    frames[1] = without(frames[1], "forces")
    frames[2] = without(frames[2], "energy", "stress", "name")
    frames[4] = without(frames[4], "forces", "stress")
    return frames


def in_file(structures, descriptor, folder, *, persist=True, **settings) -> HDF5StructureDataset:
    records = [SourceRecord(f"part {k}", lambda k=k: structures[k : k + 3]) for k in range(0, len(structures), 3)]
    dataset = HDF5StructureDataset(descriptor, folder / "data.h5", records, mode="build", **settings)
    dataset.build_database(False, persist_features=persist, persist_force_derivatives=persist)
    return dataset


MAKERS = {
    "in memory": lambda s, d, _, **k: StructureDataset(s, d, **k),
    "cached": lambda s, d, _, **k: CachedStructureDataset(s, d, show_progress=False, **k),
    "in a file": lambda s, d, p, **k: in_file(s, d, p, persist=False, **k),
    "in a file with features": in_file,
}
every_dataset = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def assert_same_bits(one: Featurised, other: Featurised) -> None:
    pairs = [(one.features.values, other.features.values), (one.features.moments, other.features.moments)]
    pairs += [(value, other.geometry._arrays()[name]) for name, value in one.geometry._arrays().items()]
    for a, b in pairs:
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.numpy().tobytes() == b.numpy().tobytes()


@every_dataset
def test_labels_come_back_as_they_were(make, tmp_path):
    structures = mixed()
    dataset = make(structures, DESCRIPTOR, tmp_path, atomic_energies=FREE)
    assert len(dataset) == len(structures)
    for found, expected in zip(dataset.labels(range(10)), structures, strict=True):
        assert (found.species, found.energy, found.weight) == (expected.species, expected.energy, expected.weight)
        for name in ("positions", "forces", "cell", "stress", "pbc"):
            a, b = (None if v is None else v.tolist() for v in (getattr(found, name), getattr(expected, name)))
            assert a == b
    assert np.array_equal(dataset.get_structure(-1).positions, structures[9].positions)
    assert dataset.get_force_indices() == [k for k in range(10) if k not in {1, 4}]


@every_dataset
@pytest.mark.parametrize("indices", [list(range(10)), [7, 2, 2, 9]], ids=["all", "some"])
@pytest.mark.parametrize("which", ["none", "half", "all"])
def test_features_are_the_same_bits_wherever_they_come_from(make, indices, which, tmp_path):
    dataset = make(mixed(), DESCRIPTOR, tmp_path)
    marks = {"none": [False] * 10, "half": [k % 2 == 1 for k in range(10)], "all": [True] * 10}[which]
    differentiated = marks[: len(indices)]
    expected = featurise([mixed()[k] for k in indices], DESCRIPTOR, differentiated)
    assert_same_bits(dataset.featurised(indices, differentiated), expected)


@every_dataset
def test_the_summary_is_that_of_the_structures(make, tmp_path):
    structures = [replace(s, weight=1.0 + k) for k, s in enumerate(mixed())]
    found = make(structures, DESCRIPTOR, tmp_path).summary()
    assert found.species == DESCRIPTOR.species
    assert np.array_equal(found.energy, [np.nan if s.energy is None else s.energy for s in structures], equal_nan=True)
    assert found.n_atoms.tolist() == [s.n_atoms for s in structures]
    assert found.has_forces.tolist() == [s.has_forces() for s in structures]
    assert found.has_stress.tolist() == [s.has_stress() for s in structures]
    assert found.weight.tolist() == [s.weight for s in structures]
    assert found.composition.tolist() == [[s.species.count(name) for name in found.species] for s in structures]


@every_dataset
def test_statistics_count_structures_and_atoms(make, tmp_path):
    atoms = sum(s.n_atoms for s in mixed())
    assert make(mixed(), DESCRIPTOR, tmp_path).get_statistics() == {
        "n_total": 10,
        "n_force": 8,
        "n_energy_only": 2,
        "n_force_selected": 8,
        "total_atoms": atoms,
        "avg_atoms": atoms / 10,
        "species": ["O", "Ti"],
    }


@every_dataset
def test_a_sample_is_plain_tensors(make, tmp_path):
    dataset = make(mixed(), DESCRIPTOR, tmp_path, atomic_energies=FREE)
    structure, sample = mixed()[0], dataset.materialize_sample(0, use_forces=True)
    assert sample["features"].shape == (structure.n_atoms, DESCRIPTOR.n_features)
    assert torch.equal(
        sample["features"],
        DESCRIPTOR.forward_from_positions(structure.positions, structure.species, structure.cell, structure.pbc),
    )
    assert sample["energy"] == structure.energy - sum(FREE[name] for name in structure.species)
    assert torch.equal(sample["forces"], torch.from_numpy(structure.forces))
    assert (sample["has_forces"], sample["use_forces"], sample["n_atoms"]) == (True, True, structure.n_atoms)
    assert sample["species"] == structure.species
    assert [DESCRIPTOR.species[k] for k in sample["species_indices"]] == structure.species
    assert sample["featurised"].geometry.n_pairs > 0
    plain = dataset.materialize_sample(0, use_forces=False)
    assert (plain["forces"], plain["use_forces"], plain["has_forces"]) == (None, False, True)
    assert dataset[2]["energy"] is None
    assert dataset[1]["use_forces"] is False


@every_dataset
def test_entries_are_counted_from_0_and_from_the_end(make, tmp_path):
    dataset = make(mixed(), DESCRIPTOR, tmp_path)
    assert [sample["n_atoms"] for sample in dataset] == [s.n_atoms for s in mixed()]
    assert dataset[-1]["n_atoms"] == mixed()[-1].n_atoms
    with pytest.raises(IndexError, match="there is no entry 10: the data set has 10, counted from 0"):
        dataset[10]


@every_dataset
def test_data_loaders_and_subsets_of_torch_take_it(make, tmp_path):
    subset = Subset(make(mixed(), DESCRIPTOR, tmp_path), [3, 5])
    (batch,) = DataLoader(subset, batch_size=2, collate_fn=list)
    assert [sample["n_atoms"] for sample in batch] == [mixed()[k].n_atoms for k in (3, 5)]


@every_dataset
def test_what_is_above_the_limits_is_left_out(make, tmp_path):
    frames = mixed()
    frames[3] = replace(frames[3], energy=sum(FREE[name] for name in frames[3].species) + 2.01 * frames[3].n_atoms)
    frames[5] = replace(frames[5], energy=sum(FREE[name] for name in frames[5].species) + 1.99 * frames[5].n_atoms)
    high = make(frames, DESCRIPTOR, tmp_path, max_energy=2.0, atomic_energies=FREE)
    assert len(high) == 9
    assert (high.max_energy, high.atomic_energies) == (2.0, FREE)
    assert high.get_structure(3).n_atoms == frames[4].n_atoms
    assert high.get_structure(2).energy is None  # kept: nothing is known against it


@every_dataset
def test_without_atomic_energies_the_label_itself_is_compared(make, tmp_path):
    frames = [Structure([[0, 0, k / 10]], ["O"], energy=float(k)) for k in range(4)]
    assert len(make(frames, DESCRIPTOR, tmp_path, max_energy=1.5)) == 2


@every_dataset
def test_forces_are_compared_by_magnitude(make, tmp_path):
    forces = [[0.9, 0.9, 0.0], [0.99, 0, 0], [1.01, 0, 0], [0.5, 0.5, 0.5]]  # the first has no component above 1
    frames = [Structure([[0, 0, 0]], ["O"], energy=0.0, forces=[f]) for f in forces]
    dataset = make(frames, DESCRIPTOR, tmp_path, max_forces=1.0)
    assert [s.forces.tolist()[0] for s in dataset.labels(range(len(dataset)))] == [forces[1], forces[3]]
    assert dataset.max_forces == 1.0


@every_dataset
def test_limits_that_leave_nothing_are_an_error(make, tmp_path):
    with pytest.raises(DataError, match=r"max_energy=-1000\.0 and max_forces=None leave none of 9"):
        make([s for s in mixed() if s.has_energy()], DESCRIPTOR, tmp_path, max_energy=-1000.0)


@every_dataset
def test_an_unknown_species_is_named(make, tmp_path):
    frames = [*mixed(), Structure([[0, 0, 0]], ["Zr"], energy=0.0, name="odd one")]
    with pytest.raises(DataError, match=r"species 'Zr' of atom 0 in odd one is not one of the descriptor's.*Ti, O"):
        make(frames, DESCRIPTOR, tmp_path)
    with pytest.raises(DataError, match=r"atomic_energies lacks O, the species of atom 1 in crystal 0"):
        make(mixed(), DESCRIPTOR, tmp_path, atomic_energies={"Ti": 0.0})


@pytest.mark.parametrize("bad", [{"Ti": "x"}, [1.0], {"Ti": float("nan")}])
def test_atomic_energies_must_be_numbers_by_species(bad):
    with pytest.raises(ConfigError, match="atomic_energies"):
        StructureDataset(mixed(), DESCRIPTOR, atomic_energies=bad)


def test_identifiers_count_what_came_before_the_filter():
    frames = [Structure([[0, 0, 0]], ["O"], energy=float(k % 2), name=["a", None][k > 2]) for k in range(6)]
    dataset = StructureDataset(frames, DESCRIPTOR, max_energy=0.5)
    names = ["a", "a", "structure_000004"]
    assert [dataset.get_structure_identifier(k) for k in range(3)] == names
    parts = train_test_split(dataset, 0.4, seed=3)
    kept = {part.get_structure_identifier(k) for part in parts for k in range(len(part))}
    assert kept == set(names)


def test_files_are_named_by_path(tmp_path):
    path = tmp_path / "two.xsf"
    write_xsf(path, small_data.frames()[:1])
    dataset = StructureDataset([path, small_data.frames()[1]], DESCRIPTOR)
    assert dataset.get_structure_identifier(0) == str(path)
    assert [s.n_atoms for s in convert_to_structures([path, small_data.frames()[1]])] == [2, 4]


def test_structures_with_and_without_forces():
    dataset = StructureDataset(mixed(), DESCRIPTOR)
    assert (len(dataset.force_structures), len(dataset.energy_only_structures)) == (8, 2)
    assert all(s.has_forces() for s in dataset.force_structures)


def test_cached_features_are_not_computed_again(monkeypatch):
    dataset = CachedStructureDataset(mixed(), DESCRIPTOR, show_progress=False)
    expected = StructureDataset(mixed(), DESCRIPTOR).featurised([3, 1], [False, False])
    part, _ = train_test_split(dataset, 0.5, seed=1)

    def fail(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(ChebyshevDescriptor, "features", fail)
    monkeypatch.setattr(ChebyshevDescriptor, "geometry", fail)
    assert_same_bits(dataset.featurised([3, 1], [False, False]), expected)
    assert dataset[0]["use_forces"] is False
    assert len([sample["features"] for sample in part]) == 5


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.29, 0.5])
@pytest.mark.filterwarnings("ignore:.*test structures are nearly in the training part")
def test_both_splits_are_that_of_a_training(fraction):
    structures = [Structure([[0, 0, 0.001 * k]], ["O"], energy=0.001 * k) for k in range(100)]
    dataset = StructureDataset(structures, DESCRIPTOR, atomic_energies={"Ti": 0.0, "O": 0.0})
    percent = round(100 * fraction)
    settings = {"iterations": 0, "testpercent": percent, "split_seed": 7, "atomic_energies": None}
    out = small_data.fresh().train(dataset=dataset, config=small_data.config(**settings))
    train, test = train_test_split(dataset, fraction, seed=7)
    assert [round(1000 * s.energy) for s in train.structures] == out.train_indices
    assert [round(1000 * s.energy) for s in test.structures] == out.test_indices
    subsets = train_test_split_dataset(dataset, fraction, seed=7)
    assert [list(subset.indices) for subset in subsets] == [out.train_indices, out.test_indices]
    assert len(test) == percent
    assert isinstance(subsets[0].dataset, PotentialDataset)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_structures_in_another_order_are_split_into_the_same_parts(seed):
    there, back = (StructureDataset(frames, DESCRIPTOR) for frames in (mixed(), mixed()[::-1]))
    held_out = train_test_split_dataset(there, 0.3, seed=seed)[1].indices
    for reversed_order in (back, Subset(there, range(9, -1, -1))):
        assert [9 - k for k in train_test_split_dataset(reversed_order, 0.3, seed=seed)[1].indices][::-1] == held_out


def test_what_is_no_structure_is_split_by_its_place():
    numbers = Subset(TensorDataset(torch.arange(10)), range(10))
    expected = holdout(10, 30, seed=5)
    assert [list(s.indices) for s in train_test_split_dataset(numbers, 0.3, seed=5)] == [
        expected.train.tolist(),
        expected.test.tolist(),
    ]


@pytest.mark.parametrize("groups", ["kind", "file", "composition", [k % 4 for k in range(40)]], ids=str)
@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5])
def test_no_group_is_in_two_parts_and_the_seed_decides(groups, fraction):
    structures = [
        replace(s, info={"kind": k % 5}, source=f"{k % 6}.xyz, frame {k // 6}")
        for k, s in enumerate(small_data.frames(40))
    ]
    dataset = StructureDataset(structures, DESCRIPTOR)
    labels = {
        "kind": [k % 5 for k in range(40)],
        "file": [k % 6 for k in range(40)],
        "composition": ["".join(sorted(s.species)) for s in structures],
    }.get(groups if isinstance(groups, str) else "", groups)
    train, test = (part.indices for part in train_test_split_dataset(dataset, fraction, seed=3, groups=groups))
    assert sorted([*train, *test]) == list(range(40))
    assert not {labels[k] for k in train} & {labels[k] for k in test}
    smallest = min(labels.count(label) for label in labels)
    assert abs(len(test) - 40 * fraction) <= smallest / 2 or fraction == 0 == len(test)
    parts = [part.structures for part in train_test_split(dataset, fraction, seed=3, groups=groups)]
    assert [[s.name for s in part] for part in parts] == [[structures[k].name for k in p] for p in (train, test)]
    back = train_test_split_dataset(Subset(dataset, range(39, -1, -1)), fraction, 3, groups=_reversed(groups))
    assert sorted(39 - k for k in back[1].indices) == test
    others = {tuple(train_test_split_dataset(dataset, 0.5, s, groups=groups)[1].indices) for s in range(9)}
    assert len(others) > 1


def _reversed(groups):
    return groups if isinstance(groups, str) else groups[::-1]


def test_groups_by_file_are_those_of_a_training():
    structures = [replace(s, source=f"{k % 5}.xyz, frame {k}") for k, s in enumerate(small_data.frames(20))]
    dataset = StructureDataset(structures, DESCRIPTOR, atomic_energies=FREE)
    settings = {"iterations": 0, "split_by": "group", "group_key": "file", "atomic_energies": None}
    out = small_data.fresh().train(dataset=dataset, config=small_data.config(**settings))
    assert train_test_split_dataset(dataset, 0.2, seed=1, groups="file")[1].indices == out.test_indices
    assert all(f"{k}.xyz" in out.errors_by_group().to_string() for k in range(5))


@pytest.mark.parametrize(
    ("dataset", "groups", "error", "message"),
    [
        (list(range(4)), "file", DataError, "names groups of structures, which this data set has not"),
        (list(range(4)), [1, 2], DataError, "a label for each of 4 samples, got 2"),
        (list(range(4)), [1, 1, 1, 1], ConfigError, "all 4 samples are of one group"),
        (StructureDataset(small_data.frames(), DESCRIPTOR), "file", DataError, r"groups\[0\] is None"),
    ],
)
def test_groups_that_cannot_be(dataset, groups, error, message):
    with pytest.raises(error, match=message):
        train_test_split_dataset(dataset, 0.5, seed=1, groups=groups)


def test_the_seed_of_a_data_set_is_that_of_its_splits():
    dataset = StructureDataset(mixed(), DESCRIPTOR, seed=5)
    assert train_test_split_dataset(dataset, 0.3)[1].indices == train_test_split_dataset(dataset, 0.3, 5)[1].indices
    unseeded = StructureDataset(mixed(), DESCRIPTOR)
    draws = {tuple(train_test_split_dataset(unseeded, 0.5)[1].indices) for _ in range(20)}
    assert len(draws) > 1


@pytest.mark.parametrize(("fraction", "message"), [(1.0, "leaves nothing"), (1.5, "between 0.0 and 1.0"), ("x", "num")])
def test_fractions_that_cannot_be(fraction, message):
    for split in (train_test_split, train_test_split_dataset):
        with pytest.raises(ConfigError, match=rf"test_fraction.*{message}"):
            split(StructureDataset(mixed(), DESCRIPTOR), fraction)


def test_only_data_sets_in_memory_split_into_such(tmp_path):
    with pytest.raises(ConfigError, match="HDF5StructureDataset is not: use train_test_split_dataset"):
        train_test_split(in_file(mixed(), DESCRIPTOR, tmp_path))


def test_what_was_used_least_lately_is_forgotten_first():
    made = []

    def get(key):
        return kept.get(key, lambda: made.append(key) or key)

    kept = LRU[int](2)
    for key in (1, 2, 1, 3, 1, 2):
        get(key)
    assert made == [1, 2, 3, 2]
    assert kept.keys() == [1, 2]
    for size, expected in ((0, 4), (None, 2)):
        kept, made[:] = LRU[int](size), []
        for key in (1, 2, 1, 2):
            get(key)
        assert len(made) == expected
