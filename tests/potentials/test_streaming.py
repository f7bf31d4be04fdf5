"""Streamed structures: however they are read, kept and prepared ahead, the numbers are the same bits."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest

from potentia import ChebyshevDescriptor, StructureDataset
from potentia.errors import PotentiaWarning
from potentia.potentials.surface import Featurised
from potentials import small_data
from potentials.runs import result, train
from potentials.small_data import GRADIENTS, without

pytestmark = pytest.mark.usefixtures("one_thread")

SOME = [without(s, *(["forces", "stress"] if k % 4 == 1 else [])) for k, s in enumerate(small_data.frames(12))]
CACHES = {"cache_features": True, "cache_neighbors": True, "cache_force_triplets": True}
DRAWN = {"force_fraction": 0.5, "force_resample_num_epochs": 1, **GRADIENTS}


@pytest.fixture(scope="module")
def expected():
    return {"energies": result(*train(SOME)), "forces": result(*train(SOME, **DRAWN))}


def streamed(**changes):
    return result(*train(SOME, memory_limit=0, **changes))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("prefetch", [1, 4])
@pytest.mark.parametrize("persistent", [True, False])
def test_workers_change_no_bit(workers, prefetch, persistent, expected):
    ahead = {"num_workers": workers, "prefetch_factor": prefetch, "persistent_workers": persistent}
    assert streamed(**ahead, **DRAWN) == expected["forces"]


@pytest.mark.parametrize("size", [0, 1, 3, None])
@pytest.mark.parametrize("caches", [c for n in range(1, 4) for c in itertools.combinations(CACHES, n)], ids="-".join)
def test_caches_change_no_bit(caches, size, expected):
    sizes = {"cache_feature_max_entries", "cache_neighbor_max_entries", "cache_force_triplet_max_entries"}
    settings = dict.fromkeys(caches, True) | dict.fromkeys(sizes, size)
    assert streamed(**settings, **DRAWN) == expected["forces"]


@pytest.mark.parametrize("scope", ["all", "train", "val"])
@pytest.mark.parametrize("warmup", [True, False])
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
        train(SOME, memory_limit=0, **changes)
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


def peak_held(monkeypatch, structures, **changes):
    """Return the largest number of featurised structures that were held at a time in the loop."""
    import weakref

    alive, peak, lock = {}, [0], threading.Lock()
    init = Featurised.__init__

    def counting(self, *parts):
        init(self, *parts)
        with lock:
            key = id(self)
            alive[key] = self.geometry.n_structures
            weakref.finalize(self, alive.pop, key, None)
            peak[0] = max(peak[0], sum(alive.values()))

    with monkeypatch.context() as patch:
        patch.setattr(Featurised, "__init__", counting)
        train(structures, **changes)
    return peak[0]


def test_the_memory_of_streaming_does_not_grow_with_the_data(monkeypatch):
    """128 structures are featurised at a time where all are looked at: copies of one object are alive for a moment."""
    many = [replace(s, name=f"{k}") for k, s in enumerate(small_data.frames(400, ("O",)))]
    descriptor = ChebyshevDescriptor(("O",), 1, 3.0, 0, 3.0)
    for workers in (0, 2):
        peaks = []
        for n in (200, 400):
            potential = small_data.fresh(descriptor=descriptor)
            peaks.append(_peak_of(monkeypatch, potential, many[:n], num_workers=workers))
        assert peaks[1] <= 4 * 128 < 1.5 * 400
        assert peaks[1] <= peaks[0] + 16


def _peak_of(monkeypatch, potential, structures, **changes):
    config = small_data.config(memory_limit=0, iterations=1, atomic_energies={"O": -3.0}, **changes)
    monkeypatch.setattr("potentials.test_streaming.train", lambda s, **_: potential.train(s, config))
    return peak_held(monkeypatch, structures)
