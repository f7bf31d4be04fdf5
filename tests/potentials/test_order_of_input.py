"""The order of the input does not matter: the same structures in another order train to the same bits."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import Subset

from crossings import crossed
from potentia import SGD, Adam, HDF5StructureDataset, Structure
from potentia.errors import ConfigError, PotentiaWarning
from potentia.potentials.datasets.contents import Contents
from potentia.potentials.formats.xsf import write_xsf
from potentia.train import Cosine, ExponentialAverage, Kalman
from potentials import small_data
from potentials.runs import database, in_memory, of_every_kind, result, train
from potentials.small_data import DESCRIPTOR, FREE, GRADIENTS, without

LACKING = {1: ["forces", "stress"], 5: ["forces"], 8: ["stress"]}
FRAMES = [
    replace(without(s, *LACKING.get(k, [])), info={"config_type": "abca"[k % 4], "run": k}, weight=1.0 + k % 2)
    for k, s in enumerate(small_data.frames(12))
]
"""Frames of which some lack labels, of three groups."""
ORDER = [7, 0, 10, 3, 11, 2, 6, 8, 1, 9, 5, 4]
"""Which frame stands at each place of the other input."""
SHUFFLED = [FRAMES[k] for k in ORDER]
FEW = {"force_fraction": 0.5, "force_resample_num_epochs": 1, **GRADIENTS}
SETTINGS = {
    "energies": {},
    "gradients": GRADIENTS,
    "some forces": FEW,
    "low energies": {"sampling_policy": "energy_weighted", **FEW},
    "large errors": {"sampling_policy": "error_weighted", **FEW},
    "groups": {"split_by": "group", "testpercent": 25, "group_weights": {"b": 3.0}, **GRADIENTS},
    "filtered": {"max_forces": 1.7, **GRADIENTS},
    "single precision": {"precision": "float32", **GRADIENTS},
    "kalman": {"method": Kalman(batchsize=4), **GRADIENTS},
    "all together": {
        "method": SGD(lr=0.02, batchsize=3, momentum=0.9),
        "sampling_policy": "error_weighted",
        "schedule": Cosine(total_epochs=4, warmup_epochs=1),
        "average": ExponentialAverage(decay=0.8),
        **FEW,
    },
}
whole_and_streamed = pytest.mark.parametrize("limit", [None, 0], ids=["whole", "streamed"])


def frames_of(trained, order=range(12)):
    """Return `result` with the frames that the places mean."""
    weights, history, *parts, seed, split_seed = result(*trained)
    return weights, history, [sorted(order[k] for k in part) for part in parts], seed, split_seed


@functools.cache
def in_order(name, iterations):
    """Return what a training with the frames in their own order ends in, which all compare with."""
    return frames_of(train(FRAMES, iterations=iterations, **SETTINGS[name]))


@pytest.mark.parametrize(("name", "limit"), crossed([*SETTINGS], [None, 0]))
def test_another_order_trains_to_the_same_bits(name, limit):
    found = train(SHUFFLED, iterations=3, memory_limit=limit, **SETTINGS[name])
    assert frames_of(found, ORDER) == in_order(name, 3)


@whole_and_streamed
def test_many_structures_are_summed_in_one_order_however_they_are_read(limit):
    """More than are featurised, evaluated or summed at a time; as many are found to be nearly alike."""
    many = [
        small_data.morse(Structure([[0, 0, 0], [1.5 + 0.003 * k, 0.1 * (k % 3), 0]], ["Ti", "O"])) for k in range(300)
    ]
    order = np.random.default_rng(0).permutation(300).tolist()
    settings = {"iterations": 1, "testpercent": 50, "memory_limit": limit, "force_weight": 0.2}
    alike = " of 150 test structures are nearly in the training part"
    with pytest.warns(PotentiaWarning, match=alike) as there:
        expected = train(many, method=Adam(batchsize=50), **settings)
    with pytest.warns(PotentiaWarning, match=alike) as back:
        found = train([many[k] for k in order], method=Adam(batchsize=50), **settings)
    assert frames_of(found, order) == frames_of(expected, range(300))
    assert str(there[0].message).split(" of ")[0] == str(back[0].message).split(" of ")[0]


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_are_those_of_the_structures_not_of_the_places(seed):
    _, out = train(FRAMES, iterations=0, split_seed=seed, testpercent=40)
    _, other = train(SHUFFLED, iterations=0, split_seed=seed, testpercent=40)
    assert out.test_indices == sorted(ORDER[k] for k in other.test_indices)
    assert other.test_indices == sorted(other.test_indices) != out.test_indices


@pytest.mark.parametrize(
    ("kind", "limit"),
    crossed(["in memory", "cached", "database", "features", "pairs", "subset", "subset of a subset"], [0, None]),
)
def test_every_data_set_in_another_order_trains_to_the_same_bits(kind, limit, shuffled_datasets):
    datasets = {"dataset": shuffled_datasets[kind]}
    found = train(datasets=datasets, memory_limit=limit, iterations=2, **SETTINGS["large errors"])
    assert frames_of(found, ORDER) == in_order("large errors", 2)


@pytest.fixture(scope="module")
def shuffled_datasets(tmp_path_factory):
    return of_every_kind(tmp_path_factory.mktemp("shuffled"), SHUFFLED)


def test_sources_of_a_database_may_come_in_any_order(tmp_path):
    there = database(tmp_path / "a.h5", FRAMES, persist_features=True)
    back = database(tmp_path / "b.h5", [s for k in (9, 0, 6, 3) for s in FRAMES[k : k + 3]], persist_features=True)
    order = [k + i for k in (9, 0, 6, 3) for i in range(3)]
    found = train(datasets={"dataset": back}, **FEW)
    assert frames_of(found, order) == frames_of(train(datasets={"dataset": there}, **FEW))


def test_files_may_be_listed_in_any_order(tmp_path):
    paths = [tmp_path / f"{name}.xsf" for name in "cbafed"]
    for path, structure in zip(paths, small_data.frames(6), strict=True):
        write_xsf(path, structure)
    settings = {"testpercent": 34, "force_weight": 0.3, "iterations": 3}
    potential, out = train(paths, **settings)
    other, by_name = train(sorted(paths), **settings)
    assert small_data.weights(other) == small_data.weights(potential)
    assert {sorted(paths)[k] for k in by_name.test_indices} == {paths[k] for k in out.test_indices}
    sources = [HDF5StructureDataset(DESCRIPTOR, tmp_path / f"{k}.h5", p, atomic_energies=FREE) for k, p in
               enumerate((paths, sorted(paths)))]  # fmt: skip
    for dataset in sources:
        dataset.build_database(show_progress=False)
        built, _ = train(datasets={"dataset": dataset}, **settings)
        assert small_data.weights(built) == small_data.weights(potential)


def test_two_data_sets_are_each_taken_in_any_order():
    held_out, learned = [2, 5, 9], [0, 1, 3, 4, 6, 7, 8, 10, 11]
    whole = in_memory(FRAMES)
    settings = {"sampling_policy": "error_weighted", **FEW}
    found = [
        train(datasets={"train_dataset": Subset(whole, one), "test_dataset": Subset(whole, two)}, **settings)
        for one, two in ((learned, held_out), (learned[::-1], [9, 2, 5]))
    ]
    assert result(*found[0]) == result(*found[1])
    mixed = {"train_dataset": Subset(whole, learned[::-1]), "test_dataset": in_memory([FRAMES[k] for k in held_out])}
    assert result(*train(datasets=mixed, **settings)) == result(*found[0])


# ------------------------------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize(
    ("settings", "limit"),
    crossed([SETTINGS["large errors"], SETTINGS["groups"], {"group_weights": {"b": 3.0}, "testpercent": 0}], [None, 0]),
)
@pytest.mark.filterwarnings("ignore:.*test structures are nearly in the training part")
def test_copies_are_interchangeable(settings, limit):
    """Also where they differ in what counts besides their content: another group, or another label."""
    copies = [
        *(FRAMES[k] for k in (0, 0, 4, 7)),
        replace(FRAMES[2], info={"config_type": "b"}),
        replace(FRAMES[3], energy=FRAMES[3].energy + 0.1),
        without(FRAMES[6], "forces", "stress"),
    ]
    settings = {"iterations": 3, "memory_limit": limit, **settings}
    both = [*FRAMES, *copies]
    there, back = train(both, **settings), train(both[::-1], **settings)
    assert small_data.weights(there[0]) == small_data.weights(back[0])
    assert frames_of(there, range(20))[1] == frames_of(back, range(20))[1]


def test_the_marks_stay_what_they_are_because_splits_go_by_them():
    structure = Structure([[0, 0, 0], [0.75, 0, 0]], ["H", "H"], energy=-31.5)
    known = "e104f2575a636d6f9f34ddf770fc21ad164c215feaf0bf26da17eb782200af87"
    assert Contents.of([structure]).mark(np.arange(1)) == known


@pytest.mark.parametrize("change", [{"energy": -20.0}, {"weight": 7.0}, {"forces": None, "stress": None}], ids=str)
def test_other_labels_leave_the_parts_as_they_are(change):
    relabelled = [replace(s, **change) if k % 3 == 0 else s for k, s in enumerate(FRAMES)]
    parts = [train(frames, iterations=0, testpercent=40)[1].test_indices for frames in (FRAMES, relabelled)]
    assert parts[0] == parts[1]


# ------------------------------------------------------------------------------------------------------- what is told


def test_tables_go_by_the_places_of_the_input(tmp_path):
    settings = {"save_energies": True, "save_forces": True, **GRADIENTS}
    unnamed = [replace(s, name=None) for s in SHUFFLED]
    potential, out = train(unnamed, output_dir=str(tmp_path), **settings)
    for parity, places in ((out.train_parity, out.train_indices), (out.test_parity, out.test_indices)):
        assert parity.rows.places.tolist() == places == sorted(places)
        assert parity.rows.identifiers == [f"structure_{k:06d}" for k in places]
        there = [unnamed[k] for k in places]
        np.testing.assert_allclose(potential.predict(there).total_energy_per_atom - parity.energy_pred,
                                   [sum(FREE[n] for n in s.species) / s.n_atoms for s in there])  # fmt: skip
        forces = np.concatenate([s.forces for s in there if s.has_forces()])
        np.testing.assert_array_equal(parity.force_ref.reshape(-1, 3), forces)
        stress = np.stack([s.stress for s in there if s.has_stress()])
        np.testing.assert_array_equal(parity.stress_ref.reshape(-1, 3, 3), stress)
    assert out.energies.energies_train["Ref(eV)"].tolist() == [unnamed[k].energy for k in out.train_indices]


def test_errors_by_group_and_species_are_the_same_bits():
    one, other = (train(frames, **GRADIENTS)[1] for frames in (FRAMES, SHUFFLED))
    pd.testing.assert_frame_equal(one.errors_by_group(), other.errors_by_group(), check_exact=True)
    pd.testing.assert_frame_equal(one.errors_by_species(), other.errors_by_species(), check_exact=True)


def test_data_sets_name_their_entries_by_the_place_before_any_split():
    dataset = in_memory([replace(s, name=None) for s in SHUFFLED])
    _, out = train(datasets={"dataset": dataset})
    assert out.test_parity.rows.identifiers == [f"structure_{k:06d}" for k in out.test_indices]


# ----------------------------------------------------------------------------------------------------------- going on


@pytest.mark.parametrize(
    ("name", "limit"), crossed(["some forces", "large errors", "groups", "all together"], [None, 0])
)
def test_a_training_goes_on_with_files_in_another_order(name, limit, tmp_path):
    settings = {"memory_limit": limit, "save_best": False, **SETTINGS[name]}
    whole = train(FRAMES, checkpoint_dir=tmp_path, checkpoint_batches=1, iterations=3, **settings)
    for point in ("0000_batch_000001", "0001", "0001_batch_000002"):
        path = tmp_path / f"checkpoint_epoch_{point}.pt"
        resumed = train(SHUFFLED, path, iterations=3 - int(point[:4]), **settings)
        assert frames_of(resumed, ORDER) == frames_of(whole)


def test_other_structures_are_other_data_in_any_order(tmp_path):
    train(FRAMES, checkpoint_dir=tmp_path, iterations=1, save_best=False)
    path = tmp_path / "checkpoint_epoch_0001.pt"
    for changed in ({"energy": -20.0}, {"positions": FRAMES[3].positions + 1e-9}, {"weight": 5.0}):
        other = [replace(s, **changed) if s is FRAMES[3] else s for s in SHUFFLED]
        with pytest.raises(ConfigError, match=r"data\.sha256: '.* → '"):
            train(other, path)


def test_structures_that_change_sides_are_other_data(tmp_path):
    whole = in_memory(FRAMES)

    def sides(held_out):
        learned = [k for k in range(12) if k not in held_out]
        return {"train_dataset": Subset(whole, learned), "test_dataset": Subset(whole, held_out)}

    train(datasets=sides([2, 5]), checkpoint_dir=tmp_path, iterations=1, save_best=False)
    path = tmp_path / "checkpoint_epoch_0001.pt"
    train(None, path, datasets=sides([5, 2]))
    with pytest.raises(ConfigError, match=r"data\.sha256: '.* → '"):
        train(None, path, datasets=sides([2, 6]))


def test_stretches_of_a_trajectory_need_its_order(tmp_path):
    settings = {"split_by": "block", "split_block": 3, "testpercent": 25, "save_best": False}
    train(FRAMES, checkpoint_dir=tmp_path, iterations=1, **settings)
    with pytest.raises(ConfigError, match=r"data\.order_sha256: '.* → '"):
        train(SHUFFLED, tmp_path / "checkpoint_epoch_0001.pt", **settings)


def test_features_on_disk_are_those_of_the_order_that_is_given(tmp_path):
    settings = {"cache_persist_dir": str(tmp_path), **GRADIENTS}
    expected = frames_of(train(FRAMES, **GRADIENTS))
    for _ in range(2):
        assert frames_of(train(FRAMES, **settings)) == expected
        assert frames_of(train(SHUFFLED, **settings), ORDER) == expected
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("method", [Adam(mu=0.01, batchsize=4), Kalman(batchsize=4)], ids=["adam", "kalman"])
def test_the_laws_above_mean_something(method):
    """Another order of the draws does change the weights."""
    one, other = (small_data.weights(train(FRAMES, method=method, seed=k, split_seed=1)[0]) for k in (1, 2))
    assert one != other
