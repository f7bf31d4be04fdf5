"""Streamed structures: however they are read, kept and prepared ahead, the numbers are the same bits."""

from __future__ import annotations

import itertools
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from crossings import crossed
from potentia import Adam, ChebyshevDescriptor, Structure, StructureDataset
from potentia.errors import ConfigError, DataError, FileFormatError, PotentiaWarning
from potentia.potentials.datasets.memory import bytes_of, machine_memory
from potentia.potentials.datasets.streamed import PIECE
from potentia.potentials.formats.xsf import write_xsf
from potentia.potentials.surface import Featurised
from potentials import small_data
from potentials.runs import database, in_memory, result, train
from potentials.small_data import GRADIENTS, without

SOME = [without(s, *(["forces", "stress"] if k % 4 == 1 else [])) for k, s in enumerate(small_data.frames(12))]
CACHES = {"cache_features": True, "cache_neighbors": True, "cache_force_triplets": True}
DATA = in_memory(SOME)
DRAWN = {"force_fraction": 0.5, "force_resample_num_epochs": 1, **GRADIENTS}


@pytest.fixture(scope="module")
def expected():
    return {"energies": result(*train(SOME)), "forces": result(*train(SOME, **DRAWN))}


def streamed(**changes):
    return result(*train(SOME, memory_limit=0, **changes))


@pytest.mark.parametrize(("workers", "prefetch", "persistent"), crossed([0, 1, 3], [1, 4], [True, False]))
def test_workers_change_no_bit(workers, prefetch, persistent, expected):
    ahead = {"num_workers": workers, "prefetch_factor": prefetch, "persistent_workers": persistent}
    assert streamed(**ahead, **DRAWN) == expected["forces"]


@pytest.mark.parametrize(
    ("caches", "size"), crossed([c for n in range(1, 4) for c in itertools.combinations(CACHES, n)], [0, 1, 3, None])
)
def test_caches_change_no_bit(caches, size, expected):
    sizes = {"cache_feature_max_entries", "cache_neighbor_max_entries", "cache_force_triplet_max_entries"}
    settings = dict.fromkeys(caches, True) | dict.fromkeys(sizes, size)
    assert streamed(**settings, **DRAWN) == expected["forces"]


@pytest.mark.parametrize(("scope", "warmup"), crossed(["all", "train", "val"], [True, False]))
def test_scope_and_warm_up_change_no_bit(scope, warmup, expected):
    settings = {**CACHES, "cache_scope": scope, "cache_warmup": warmup}
    assert streamed(**settings) == expected["energies"]
    assert streamed(**settings, **DRAWN) == expected["forces"]


def featurisations(monkeypatch, **changes):
    """Return how many structures were featurised in a streamed training."""
    counts = []
    make = StructureDataset.featurised

    def counting(dataset, indices, differentiated):
        counts.append(len(indices))
        return make(dataset, indices, differentiated)

    with monkeypatch.context() as patch:
        patch.setattr(StructureDataset, "featurised", counting)
        train(SOME, **{"memory_limit": 0, **changes})
    return sum(counts)


def test_what_is_cached_is_not_made_again(monkeypatch):
    """Epochs cost nothing more once everything is kept; each part of the data can be kept without the other."""
    cost = {
        name: [featurisations(monkeypatch, iterations=n, **settings) for n in (1, 3)]
        for name, settings in {
            "none": {},
            "all": CACHES,
            "train": {**CACHES, "cache_scope": "train"},
            "val": {**CACHES, "cache_scope": "val"},
            "few": {**CACHES, "cache_feature_max_entries": 1},
        }.items()
    }
    more = {name: after - before for name, (before, after) in cost.items()}
    assert more == {"none": 24, "all": 0, "train": 4, "val": 20, "few": more["few"]}
    assert 0 < more["few"] <= 24


def test_a_full_warm_up_leaves_nothing_to_do(monkeypatch):
    settings = {**CACHES, "cache_warmup": True, **GRADIENTS}
    assert featurisations(monkeypatch, iterations=1, **settings) == featurisations(
        monkeypatch, iterations=3, **settings
    )


def test_warm_up_is_skipped_where_workers_prepare(expected):
    with pytest.warns(PotentiaWarning, match="Skipping trainer-owned runtime cache warmup"):
        assert streamed(**CACHES, cache_warmup=True, num_workers=2) == expected["energies"]


# ---------------------------------------------------------------------------------------------------------- memory


@pytest.fixture
def held(monkeypatch):
    """Return the numbers of featurised structures that were alive whenever a new one was made."""
    alive, seen, lock, make = {}, [], threading.Lock(), Featurised.__init__

    def counting(self, *parts):
        make(self, *parts)
        with lock:
            alive[id(self)] = self.geometry.n_structures
            seen.append(sum(alive.values()))
        weakref.finalize(self, alive.pop, id(self), None)

    monkeypatch.setattr(Featurised, "__init__", counting)
    return seen


@pytest.mark.parametrize("workers", [0, 2])
def test_the_memory_of_streaming_does_not_grow_with_the_data(workers, held):
    """The most is held where all are looked at once before the first epoch, some at a time."""
    many = [
        Structure([[0, 0, 0], [1.2 + 0.001 * k, 0, 0]], ["O", "O"], energy=-6.0 - 0.001 * k) for k in range(12 * PIECE)
    ]
    descriptor = ChebyshevDescriptor(("O",), 1, 3.0, 0, 3.0)
    settings = {"memory_limit": 0, "iterations": 1, "num_workers": workers, "atomic_energies": {"O": -3.0}}
    settings |= {"method": Adam(batchsize=32), "testpercent": 0}
    small_data.fresh(descriptor=descriptor).train(many, small_data.config(**settings))
    assert max(held) <= 7 * PIECE  # those ahead, the present one, and the one before


def test_what_fits_into_memory_is_not_streamed(monkeypatch):
    monkeypatch.setattr("potentia.potentials.training_data.AMPLE", 10**9)
    tried = 12
    for limit, made in ((None, 0), ("1GB", 0), ("1kB", 2 * 12 + 12 + 3 * 12)):
        found = featurisations(monkeypatch, iterations=3, memory_limit=limit)
        assert found >= tried + 12
        assert (found > tried + 12) == (made > 0)


def test_the_limit_counts_pairs_where_derivatives_need_them(monkeypatch, held):
    monkeypatch.setattr("potentia.potentials.training_data.AMPLE", 10**9)
    sizes = [DATA.featurised(range(len(SOME)), [wanted] * len(SOME)).nbytes for wanted in (False, True)]
    limit = sum(sizes) // 2
    train(SOME, memory_limit=limit)
    assert max(held) >= len(SOME)
    held.clear()
    energies = featurisations(monkeypatch, memory_limit=limit, iterations=3)
    assert featurisations(monkeypatch, memory_limit=limit, iterations=3, **GRADIENTS) > 2 * energies


@pytest.mark.parametrize(
    ("text", "size"), [("1kB", 1024), ("2 MB", 2 * 2**20), ("1.5GiB", 3 * 2**29), ("100", 100), (7, 7), (0, 0)]
)
def test_sizes_are_read(text, size):
    assert bytes_of(text) == size


def test_half_of_the_machine_is_the_limit_by_default():
    assert bytes_of(None) == machine_memory() // 2 > 2**26


# ------------------------------------------------------------------------------------------------- features on disk


def forbid_kernels(monkeypatch):
    def forbidden(*_):
        raise AssertionError("features were made again")

    monkeypatch.setattr(ChebyshevDescriptor, "features", forbidden)
    monkeypatch.setattr(ChebyshevDescriptor, "geometry", forbidden)


@pytest.mark.parametrize("weights", ["energies", "forces"])
def test_features_are_kept_for_the_next_training(weights, expected, tmp_path, monkeypatch):
    settings = {"cache_persist_dir": tmp_path / "kept"} | (DRAWN if weights == "forces" else {})
    assert result(*train(SOME, **settings)) == expected[weights]
    assert len(list((tmp_path / "kept").iterdir())) == 1
    forbid_kernels(monkeypatch)
    assert result(*train(SOME, **settings)) == expected[weights]
    assert result(*train(SOME, **{**settings, "cache_persist_dir": str(tmp_path / "kept")})) == expected[weights]


def test_other_data_or_pairs_are_another_file(tmp_path):
    settings = {"cache_persist_dir": tmp_path}
    train(SOME, **settings)
    train(SOME, **settings, **GRADIENTS)
    train(SOME[::-1], **settings)
    train(small_data.frames(), **settings)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_file_is_named_and_not_believed(tmp_path):
    train(SOME, cache_persist_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match=path.name):
        train(SOME, cache_persist_dir=tmp_path)


def test_features_of_streamed_data_are_kept_in_databases(tmp_path):
    with pytest.raises(ConfigError, match="build an HDF5StructureDataset with persist_features=True"):
        train(SOME, memory_limit=0, cache_persist_dir=tmp_path)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------- order and threads


def test_the_order_of_files_is_the_order_of_tables_and_no_more(tmp_path):
    for k, s in enumerate(SOME):
        write_xsf(tmp_path / f"{k:02d}.xsf", without(s, "stress"))
    paths = sorted(tmp_path.iterdir())
    order = np.random.default_rng(0).permutation(len(paths)).tolist()
    potential, out = train([paths[k] for k in order], force_weight=0.3)
    other, same = train([tmp_path / f"{k:02d}.xsf" for k in order], force_weight=0.3, memory_limit=0)
    assert result(potential, out) == result(other, same)
    parts = {
        f"{name}_dataset": in_memory([paths[order[k]] for k in sorted(indices, key=lambda k: order[k])])
        for name, indices in (("train", out.train_indices), ("test", out.test_indices))
    }
    _, sorted_out = train(datasets=parts, iterations=0, force_weight=0.3)
    _, none = train([paths[k] for k in order], iterations=0, force_weight=0.3)
    for one, another in ((sorted_out.train_parity, none.train_parity), (sorted_out.test_parity, none.test_parity)):
        assert sorted(one.energy_ref) == sorted(another.energy_ref)
        np.testing.assert_allclose(sorted(one.energy_pred), sorted(another.energy_pred), rtol=1e-12)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_source_ends_the_training(workers, monkeypatch):
    calls = []
    make = StructureDataset.featurised

    def failing(dataset, indices, differentiated):
        calls.append(indices)
        if len(calls) > 5:
            raise DataError("the disk is gone")
        return make(dataset, indices, differentiated)

    monkeypatch.setattr(StructureDataset, "featurised", failing)
    potential = small_data.fresh()
    with pytest.raises(DataError, match="the disk is gone"):
        potential.train(SOME, small_data.config(memory_limit=0, num_workers=workers))
    assert not potential.is_trained()


def test_threads_end_with_the_training():
    before = threading.active_count()
    for persistent in (True, False):
        streamed(num_workers=3, persistent_workers=persistent)
    assert threading.active_count() <= before


@pytest.mark.slow
def test_threads_may_featurise_predict_and_train_at_once(tmp_path):
    potential = small_data.trained()
    frames = small_data.frames(10)
    alone = potential.predict(frames, eval_forces=True).total_energy
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: potential.predict(frames, eval_forces=True).total_energy, range(40)))
    assert many == [alone] * 40
    dataset = database(tmp_path / "plain.h5", SOME)
    settings = {"datasets": {"dataset": dataset}, "memory_limit": 0, **GRADIENTS}
    assert result(*train(num_workers=3, **settings)) == result(*train(**settings))
