"""Training on data sets: wherever the structures are, the split, the history and the weights are the same bits."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import Subset

from crossings import crossed
from potentia import CachedStructureDataset, ChebyshevDescriptor, StructureDataset, TorchANNPotential
from potentia.errors import ConfigError, DataError, NotFittedError, PotentiaWarning
from potentials import small_data
from potentials.runs import database, in_memory, of_every_kind, result, train
from potentials.small_data import DESCRIPTOR, FREE, GRADIENTS, without

SOME = [without(s, *(["forces", "stress"] if k % 4 == 1 else [])) for k, s in enumerate(small_data.frames(12))]
"""Frames of which some have energies alone."""
KINDS = ["in memory", "cached", "database", "features", "pairs", "subset", "subset of a subset"]
WEIGHTS = {"energies": {}, "gradients": GRADIENTS}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    yield of_every_kind(tmp_path_factory.mktemp("datasets"), SOME)
    gc.collect()


@pytest.fixture(scope="module")
def expected():
    return {name: result(*train(SOME, **weights)) for name, weights in WEIGHTS.items()}


@pytest.mark.parametrize(
    ("kind", "how"), crossed(KINDS, [(weights, limit) for limit in (None, 0) for weights in WEIGHTS])
)
def test_every_data_set_trains_to_the_same_bits(kind, how, datasets, expected):
    weights, limit = how
    found = train(
        datasets={"dataset": datasets[kind]}, memory_limit=limit, **WEIGHTS[weights] | {"atomic_energies": None}
    )
    assert result(*found) == expected[weights]


@pytest.mark.parametrize("kind", ["in memory", "cached", "features", "pairs"])
def test_two_data_sets_train_as_the_one_that_was_split_so(kind, datasets, expected):
    whole = datasets[kind]
    train_indices, test_indices = expected["gradients"][2:4]
    parts = {"train_dataset": Subset(whole, train_indices), "test_dataset": Subset(whole, test_indices)}
    potential, out = train(datasets=parts, **GRADIENTS)
    n = len(train_indices)
    assert (out.train_indices, out.test_indices) == (list(range(n)), list(range(n, len(whole))))
    assert (small_data.weights(potential), result(potential, out)[1]) == expected["gradients"][:2]


def test_the_two_data_sets_may_be_of_different_kinds(datasets, expected):
    train_indices, test_indices = expected["energies"][2:4]
    parts = {
        "train_dataset": Subset(datasets["features"], train_indices),
        "test_dataset": in_memory([SOME[k] for k in test_indices]),
    }
    potential, out = train(datasets=parts)
    assert (small_data.weights(potential), result(potential, out)[1]) == expected["energies"][:2]


def test_nothing_need_be_held_out(datasets):
    potential, out = train(datasets={"train_dataset": datasets["cached"]}, testpercent=50)
    assert (len(out.train_indices), out.test_indices, out.test_parity) == (12, [], None)
    assert result(potential, out) == result(*train(SOME, testpercent=0))


def test_persisted_features_and_pairs_are_used_not_made_again(tmp_path, monkeypatch):
    dataset = database(tmp_path / "a.h5", SOME, persist_features=True, persist_force_derivatives=True)

    def forbidden(*_):
        raise AssertionError("made again")

    expected = result(*train(SOME, **GRADIENTS))
    monkeypatch.setattr(ChebyshevDescriptor, "features", forbidden)
    monkeypatch.setattr(ChebyshevDescriptor, "geometry", forbidden)
    assert result(*train(datasets={"dataset": dataset}, **GRADIENTS)) == expected


def test_a_subset_is_what_its_structures_are():
    indices = [7, 2, 9, 4, 1, 11, 0]
    subset = Subset(in_memory(SOME), indices)
    assert result(*train(datasets={"dataset": subset})) == result(*train([SOME[k] for k in indices]))


# ------------------------------------------------------------------------------- what data sets decide themselves


def test_the_data_set_owns_the_energies_of_free_atoms():
    free = {"Ti": -4.5, "O": -3.25}
    dataset = in_memory(SOME, free=free)
    for given in (None, free, {**free, "Zr": 1.0}):
        potential, _ = train(datasets={"dataset": dataset}, atomic_energies=given)
        assert potential.learned()["atomic_energies"] == free
    with pytest.raises(ConfigError, match=r"dataset atomic_energies do not match config.atomic_energies: .*-4\.5"):
        train(datasets={"dataset": dataset})


def test_energies_of_free_atoms_that_come_too_late_are_ignored_loudly():
    dataset, potential = in_memory(SOME, free=None), small_data.fresh()
    with pytest.warns(PotentiaWarning, match=r"config\.atomic_energies is ignored") as caught:
        potential.train(dataset=dataset, config=small_data.config())
    assert potential.learned()["atomic_energies"] == {"Ti": 0.0, "O": 0.0}
    assert [Path(w.filename).name for w in caught] == [Path(__file__).name]


def test_no_energies_of_free_atoms_are_warned_of():
    with pytest.warns(PotentiaWarning, match="No atomic_energies provided"):
        train(datasets={"dataset": in_memory(SOME, free=None)}, atomic_energies=None)


def test_two_data_sets_must_agree():
    parts = {"train_dataset": in_memory(SOME[:8]), "test_dataset": in_memory(SOME[8:], free={**FREE, "O": -2.0})}
    with pytest.raises(ValueError, match="Training and validation datasets expose conflicting atomic_energies"):
        train(datasets=parts)


@pytest.mark.parametrize("name", ["max_energy", "max_forces"])
def test_filters_come_too_late_for_a_data_set(name):
    expected = result(*train(SOME))
    with pytest.warns(PotentiaWarning, match=f"{name} is ignored when using prebuilt dataset objects"):
        found = train(datasets={"dataset": in_memory(SOME)}, **{name: 0.0})
    assert result(*found) == expected


def test_a_data_set_that_was_filtered_is_trained_on_as_it_is():
    energies = [(s.energy - sum(FREE[name] for name in s.species)) / s.n_atoms for s in SOME]
    limit = float(np.median(energies))
    dataset = in_memory(SOME, max_energy=limit)
    kept = [s for s, energy in zip(SOME, energies, strict=True) if energy <= limit]
    assert 0 < len(dataset) == len(kept) < len(SOME)
    assert result(*train(datasets={"dataset": dataset})) == result(*train(kept))


@pytest.mark.parametrize("cached", [False, True])
def test_caching_changes_no_split(cached):
    energies = sorted((s.energy - sum(FREE[name] for name in s.species)) / s.n_atoms for s in SOME)
    settings = {"max_energy": energies[8], "cache_features": cached}
    _, out = train(SOME, **settings)
    _, whole = train(SOME)
    assert set(out.train_indices) < set(whole.train_indices)
    assert set(out.test_indices) <= set(whole.test_indices)


# ----------------------------------------------------------------------------------------------------- wrong input


def test_data_are_given_in_one_way():
    one = in_memory(SOME)
    for datasets in ({"dataset": one, "train_dataset": one}, {"test_dataset": one}):
        with pytest.raises(ValueError, match=f"Provide either .* got {' and '.join(datasets)}"):
            train(datasets=datasets)
    with pytest.raises(DataError, match="got structures and dataset"):
        small_data.fresh().train(SOME, small_data.config(), dataset=one)


def test_what_is_no_data_set_is_told():
    for wrong in ([1, 2], Subset([1, 2], [0]), SOME):
        with pytest.raises(DataError, match=r"a data set must be a StructureDataset, .* got list"):
            train(datasets={"dataset": wrong})


def test_an_empty_data_set_is_told():
    with pytest.raises(DataError, match="there are no structures to train on: the data set is empty"):
        train(datasets={"dataset": Subset(in_memory(SOME), [])})


def test_another_descriptor_is_refused():
    other = ChebyshevDescriptor(DESCRIPTOR.species, 4, 3.8, 3, 3.4)
    dataset = StructureDataset(SOME, other, atomic_energies=FREE)
    with pytest.raises(ConfigError, match=r"another descriptor than the potential: ang_order: 3 → 2"):
        train(datasets={"dataset": dataset})
    with pytest.raises(ConfigError, match="another descriptor"):
        small_data.trained().predict_dataset(dataset)
    with pytest.raises(ConfigError, match="different descriptors"):
        train(datasets={"train_dataset": in_memory(SOME), "test_dataset": dataset})


def test_an_entry_without_energy_is_named():
    dataset = in_memory([*SOME[:5], without(SOME[5], "energy"), *SOME[6:]])
    with pytest.raises(DataError, match=r"1 of 12 structures have no energy, the first is number 5 \(molecule 5\)"):
        train(datasets={"dataset": dataset})


# ------------------------------------------------------------------------------------------------- predict_dataset


def same_predictions(found, expected):
    assert found.total_energy == expected.total_energy
    assert found.cohesive_energy == expected.cohesive_energy
    for name in ("forces", "stress", "atom_energies"):
        pairs = zip(getattr(found, name), getattr(expected, name), strict=True)
        for one, other in pairs:
            assert (one is None and other is None) or np.asarray(one).tobytes() == np.asarray(other).tobytes()


@pytest.mark.parametrize(("kind", "batch_size"), crossed(KINDS, [1, 5, 32]))
def test_entries_are_predicted_like_their_structures(kind, batch_size, datasets):
    potential = small_data.trained()
    settings = {"eval_forces": True, "eval_stress": True, "batch_size": batch_size}
    same_predictions(potential.predict_dataset(datasets[kind], **settings), potential.predict(SOME, **settings))


def test_predictions_of_entries_carry_their_names(datasets):
    potential = small_data.trained()
    out = potential.predict_dataset(Subset(datasets["features"], [4, 0]))
    assert out.structure_paths == ["source 1#frame=1", "source 0#frame=0"]
    assert out.total_energy == potential.predict([SOME[4], SOME[0]]).total_energy
    assert out.forces is None
    assert len(potential.predict_dataset(Subset(datasets["cached"], []))) == 0


def test_only_a_trained_potential_predicts_and_only_data_sets():
    with pytest.raises(NotFittedError, match="call `train` first"):
        small_data.fresh().predict_dataset(in_memory(SOME))
    with pytest.raises(DataError, match="a data set must be"):
        small_data.trained().predict_dataset(SOME)
    with pytest.raises(ConfigError, match="batch_size must be"):
        small_data.trained().predict_dataset(in_memory(SOME), batch_size=0)


# ---------------------------------------------------------------------------------------------------- going on


def test_a_checkpoint_of_structures_goes_on_with_the_same_data_in_a_data_set(datasets, tmp_path):
    settings = {**GRADIENTS, "checkpoint_batches": 1, "save_best": False}
    train(SOME, checkpoint_dir=tmp_path, iterations=1, **settings)
    resumed = train(
        None, tmp_path / "checkpoint_epoch_0000_batch_000002.pt", datasets={"dataset": datasets["pairs"]}, **settings
    )
    assert result(*resumed) == result(*train(SOME, **GRADIENTS))


def test_a_potential_on_disk_predicts_a_data_set(datasets, tmp_path):
    potential, _ = train(SOME)
    potential.save(tmp_path / "a.pt")
    loaded = TorchANNPotential.from_file(tmp_path / "a.pt")
    same = [p.predict_dataset(datasets["cached"]).total_energy for p in (potential, loaded)]
    assert same[0] == same[1]


def test_structures_with_the_same_labels_but_other_names_are_the_same_data():
    renamed = [replace(s, name=f"other {k}") for k, s in enumerate(SOME)]
    assert result(*train(renamed)) == result(*train(SOME))
    dataset = in_memory(renamed, CachedStructureDataset, show_progress=False)
    assert result(*train(datasets={"dataset": dataset})) == result(*train(SOME))
