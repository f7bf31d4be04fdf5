"""Which structures are trained on, which of them with forces, and which are left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from potentia.data import shuffled
from potentia.errors import DataError
from potentia.potentials.batches import gradient_subset, structure_batches
from potentials import small_data
from potentials.small_data import FREE

CANDIDATES = np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29])


def subset(epoch=0, seed=1, candidates=CANDIDATES, **changes):
    config = small_data.config(**({"force_weight": 0.5} | changes))
    return gradient_subset(candidates, config, seed, epoch).tolist()


def subsets(**changes):
    return [subset(epoch, **changes) for epoch in range(6)]


@pytest.mark.parametrize(
    ("fraction", "least", "size"),
    [(1.0, 1, 10), (0.5, 1, 5), (0.39, 1, 3), (0.0, 1, 1), (0.0, 0, 0), (0.2, 7, 7), (0.2, 99, 10)],
)
def test_the_subset_has_the_size_that_is_asked_for(fraction, least, size):
    found = subset(force_fraction=fraction, force_min_structures_per_epoch=least)
    assert len(found) == size
    assert len(set(found)) == size
    assert set(found) <= set(CANDIDATES.tolist())


def test_there_may_be_no_candidates():
    assert subset(candidates=CANDIDATES[:0], force_fraction=0.5) == []


def test_without_weight_on_forces_or_stress_there_is_no_subset():
    assert subset(force_weight=0.0) == []
    assert subset(force_weight=0.0, stress_weight=0.1) == CANDIDATES.tolist()


def test_it_is_drawn_once_by_default():
    assert len({tuple(found) for found in subsets(force_fraction=0.4)}) == 1


def test_a_fixed_subset_is_never_drawn_again():
    fixed = subsets(force_fraction=0.4, force_sampling="fixed", force_resample_num_epochs=1)
    assert len({tuple(found) for found in fixed}) == 1


def test_it_is_drawn_again_every_so_many_epochs():
    each = subsets(force_fraction=0.4, force_resample_num_epochs=1)
    assert len({tuple(found) for found in each}) > 3
    second = subsets(force_fraction=0.4, force_resample_num_epochs=2)
    assert second[0] == second[1] != second[2] == second[3] != second[4] == second[5]


def test_it_depends_on_the_seed_and_the_epoch_alone():
    options = {"force_fraction": 0.4, "force_resample_num_epochs": 1}
    assert subset(3, 1, **options) == subset(3, 1, **options)
    assert subset(3, 1, **options) != subset(3, 2, **options)


def test_in_the_long_run_every_candidate_is_drawn():
    drawn = [subset(epoch, force_fraction=0.2, force_resample_num_epochs=1) for epoch in range(60)]
    counts = [sum(k in found for found in drawn) for k in CANDIDATES]
    assert sum(counts) == 120
    assert min(counts) > 3


def test_each_structure_is_in_one_batch_of_an_epoch_and_the_supervised_come_first():
    train, labelled = np.array([0, 2, 3, 4, 6, 7, 9]), np.arange(10) % 2 == 0
    config = small_data.config(force_weight=0.5, force_fraction=0.5, force_resample_num_epochs=1)
    plans = [structure_batches(shuffled(7, 4, 1), train, labelled, config, 1)(epoch) for epoch in range(4)]
    for epoch, plan in enumerate(plans):
        assert [len(batch.structures) for batch in plan] == [4, 3]
        assert sorted(k for batch in plan for k in batch.structures.tolist()) == train.tolist()
        supervised = sorted(k for batch in plan for k in batch.structures[: batch.n_gradients].tolist())
        assert supervised == gradient_subset(np.array([0, 2, 4, 6]), config, 1, epoch).tolist()
        assert len(supervised) == 2
    assert len({tuple(plan[0].structures.tolist()) for plan in plans}) > 1


def parts(structures=None, **changes):
    out = small_data.fresh().train(structures or small_data.frames(20), small_data.config(iterations=0, **changes))
    return set(out.train_indices), set(out.test_indices)


def energies_per_atom():
    return [(s.energy - sum(FREE[name] for name in s.species)) / s.n_atoms for s in small_data.frames(20)]


def largest_forces():
    return [np.linalg.norm(s.forces, axis=1).max() for s in small_data.frames(20)]


@pytest.mark.parametrize(("name", "values"), [("max_energy", energies_per_atom), ("max_forces", largest_forces)])
def test_a_filter_leaves_the_split_as_it_is(name, values):
    train, test = parts()
    limit = float(np.sort(values())[12]) + 1e-9
    kept = {k for k, value in enumerate(values()) if value <= limit}
    assert len(kept) == 13
    assert parts(**{name: limit}) == (train & kept, test & kept)


def test_both_filters_hold_together():
    low, weak = float(np.median(energies_per_atom())), float(np.median(largest_forces()))
    only = [parts(max_energy=low), parts(max_forces=weak)]
    assert parts(max_energy=low, max_forces=weak) == (only[0][0] & only[1][0], only[0][1] & only[1][1])


def test_the_force_filter_goes_by_length_not_by_component():
    diagonal = [replace(s, forces=np.full((s.n_atoms, 3), 0.9)) for s in small_data.frames()]
    train, test = parts(diagonal, max_forces=0.9 * 3**0.5 + 1e-9)
    assert len(train | test) == 10
    with pytest.raises(DataError, match=r"max_forces=1\.5 leave none of 8"):
        parts(diagonal, max_forces=1.5)


def test_structures_without_forces_pass_the_force_filter():
    bare = [small_data.without(s, "forces", "stress") for s in small_data.frames()]
    assert parts(bare, max_forces=1e-6) == parts(bare)


def test_only_the_training_part_is_normalised_on_after_filtering():
    potential, limit = small_data.fresh(), float(np.median(energies_per_atom()))
    out = potential.train(small_data.frames(20), small_data.config(iterations=0, max_energy=limit))
    kept = [energies_per_atom()[k] for k in out.train_indices]
    assert potential.learned()["model"]["e_shift"].item() == pytest.approx((max(kept) + min(kept)) / 2, abs=1e-12)
