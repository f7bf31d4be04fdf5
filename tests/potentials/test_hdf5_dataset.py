"""Laws of databases: all that was put in comes out, and what was persisted is not computed again."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from potentia import ChebyshevDescriptor, HDF5StructureDataset, SourceRecord, Structure
from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.potentials.datasets import DatasetError
from potentia.potentials.formats.xsf import write_xsf
from potentia.potentials.surface import featurise
from potentials import small_data
from potentials.small_data import CUTOFF, DESCRIPTOR, FREE, SPECIES, without
from potentials.test_datasets import assert_same_bits, mixed

EVERYTHING = {"persist_features": True, "persist_force_derivatives": True}


def odd_ones() -> list[Structure]:
    """Structures with everything and with almost nothing."""
    full = replace(
        small_data.crystal(1),
        name="",
        source="a.xyz, frame 3",
        weight=0.25,
        info={"kind": "slab", "k": [1, 2.5, None], "deep": {"Å": True}, "": ""},
    )
    bare = Structure([[1e-300, -0.0, 1e300]], ["X-12"])
    cell = Structure([[0, 0, 0]], ["O"], cell=np.diag([3.0, 4.0, 0.0]), pbc=[True, True, False], energy=0.0)
    apart = Structure([[0, 0, 0]], ["Ti"], cell=np.eye(3) * 5, pbc=[False] * 3, name="Ångström")
    return [full, bare, cell, apart]


def built(structures, path, descriptor=DESCRIPTOR, *, records=None, **settings):
    """Return a database of ``structures``; settings go to where they belong."""
    persist = {k: settings.pop(k) for k in list(settings) if k.startswith("persist")}
    sources = [SourceRecord("all", lambda: structures)] if records is None else records
    dataset = HDF5StructureDataset(descriptor, path, sources, mode="build", **settings)
    dataset.build_database(show_progress=False, **persist)
    return dataset


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.h5"


def test_everything_comes_back(path):
    structures = odd_ones()
    built(structures, path, None)
    for found, expected in zip(HDF5StructureDataset(None, path, mode="load").labels(range(4)), structures, strict=True):
        for name in ("species", "energy", "name", "weight", "info", "source"):
            assert getattr(found, name) == getattr(expected, name), name
        for name in ("positions", "forces", "cell", "pbc", "stress"):
            one, other = getattr(found, name), getattr(expected, name)
            assert (one is None) == (other is None)
            assert one is None or (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())


@pytest.mark.parametrize("compression", ["zlib", "lzf", "none", None])
def test_however_it_is_compressed(compression, path):
    dataset = built(mixed(), path, compression=compression, compression_level=1)
    assert [s.energy for s in dataset.labels(range(10))] == [s.energy for s in mixed()]


def test_arrays_in_info_become_lists(path):
    structure = replace(small_data.crystal(), info={"a": np.arange(2), "b": (np.float64(1.5), "x")})
    assert built([structure], path).get_structure(0).info == {"a": [0, 1], "b": [1.5, "x"]}


@pytest.mark.parametrize(
    "value", [np.nan, [1.0, np.inf], {1: 2}, object(), 1j, b"bytes"], ids=lambda value: type(value).__name__
)
def test_info_that_is_no_json_is_named(value, path):
    structure = replace(small_data.crystal(), info={"fine": 1, "odd": value})
    with pytest.raises(DataError, match=r"info\['odd'\] of all, frame 1 cannot be written as JSON"):
        built([small_data.crystal(), structure], path)
    assert not path.exists()


def test_a_name_is_never_cut(path):
    built([replace(small_data.crystal(), name="x" * 1024)], path)
    with pytest.raises(ValueError, match="the name of the structure in all, frame 0 has 1025 bytes"):
        built([replace(small_data.crystal(), name="x" * 1025)], path)


def test_identifiers_are_the_first_name_there_is(path):
    atom = Structure([[0, 0, 0]], ["O"], energy=0.0)
    high, named = replace(atom, energy=9.0), replace(atom, name="own")
    records = [
        SourceRecord("first", lambda: [high, atom], display_name="shown"),
        SourceRecord("second", lambda: [atom]),
        SourceRecord("", lambda: [named, atom, high, atom]),
    ]
    dataset = built(None, path, records=records, max_energy=1.0)
    expected = [
        "shown#frame=1",
        "second#frame=0",
        "own#frame=0",
        "structure_000004#frame=1",
        "structure_000006#frame=3",
    ]
    assert [dataset.get_structure_identifier(k) for k in range(5)] == expected
    assert dataset.get_entry_metadata(-1) == {
        "source_id": "",
        "source_kind": "record",
        "display_name": "",
        "frame_idx": 3,
        "number": 6,
        "name": None,
        "energy": 0.0,
        "n_atoms": 1,
        "has_forces": False,
        "has_stress": False,
    }


def test_a_file_is_known_by_its_path(path, tmp_path):
    write_xsf(tmp_path / "a.xsf", small_data.crystal())
    dataset = built(None, path, records=[tmp_path / "a.xsf"])
    known = dataset.get_entry_metadata(0)
    assert (known["source_id"], known["source_kind"], known["display_name"]) == (str(tmp_path / "a.xsf"), "file", "")
    assert dataset.get_structure_identifier(0) == f"{tmp_path / 'a.xsf'}#frame=0"


@pytest.mark.parametrize(
    ("energies", "max_energy", "mode", "text"),
    [({"H": 2.0}, 0.5, "explicit_atomic_references", '{"H":2.0}'), (None, None, "zero_reference_fallback", "")],
)
def test_the_filter_is_written_down(energies, max_energy, mode, text, path):
    atoms = [Structure([[0, 0, 0]], ["H"], energy=e) for e in (0.0, 2.4, 2.6)]
    hydrogen = ChebyshevDescriptor(["H"], 1, 2.0, 0, 2.0)
    built(atoms, path, hydrogen, max_energy=max_energy, atomic_energies=energies)
    with h5py.File(path) as file:
        attributes = dict(file.attrs)
    assert attributes["energy_filter_semantics"] == "referenced_energy_per_atom"
    assert attributes["energy_filter_enabled"] == (max_energy is not None)
    assert attributes["energy_filter_reference_mode"] == mode
    assert attributes["energy_filter_atomic_energies_json"] == text
    limit = attributes["energy_filter_max_referenced_energy_per_atom"]
    assert limit == max_energy if max_energy else np.isnan(limit)
    loaded = HDF5StructureDataset(hydrogen, path, mode="load")
    assert (loaded.atomic_energies, loaded.max_energy, len(loaded)) == (energies, max_energy, 3 - bool(max_energy))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_energy": 3.0}, r"max_energy=3\.0 is not the 2\.0 that .*data\.h5 was built with"),
        ({"atomic_energies": {"Ti": -5.0, "O": 1.0}}, "atomic_energies=.*'O': 1.0.* is not the .*'O': -3.0.*data"),
        ({"max_forces": 1.0}, r"max_forces=1\.0 is not the None that"),
    ],
)
def test_the_file_owns_its_limits(given, message, path):
    built(mixed(), path, max_energy=2.0, atomic_energies=FREE)
    assert HDF5StructureDataset(DESCRIPTOR, path, max_energy=2.0, atomic_energies=FREE).max_energy == 2.0
    with pytest.raises(ConfigError, match=message):
        HDF5StructureDataset(DESCRIPTOR, path, **given)


def fail(*_):
    raise AssertionError("computed again")


@pytest.mark.parametrize("which", [False, True], ids=["energies", "derivatives"])
def test_what_was_persisted_is_not_computed_again(which, path, monkeypatch):
    labelled = small_data.frames()
    built(labelled, path, **EVERYTHING)
    expected = featurise(labelled, DESCRIPTOR, [which] * 10)
    for name in ("features", "geometry"):
        monkeypatch.setattr(ChebyshevDescriptor, name, fail)
    loaded = HDF5StructureDataset(None, path, mode="load")
    assert_same_bits(loaded.featurised(range(10), [which] * 10), expected)
    assert torch.equal(loaded[3]["features"], loaded.load_persisted_features(3))


@pytest.mark.parametrize("persist", ["persist_features", "persist_force_derivatives"])
def test_half_of_it_is_used_and_the_rest_computed(persist, path, monkeypatch):
    built(mixed(), path, **{persist: True})
    marks = [True, False] * 5
    expected = featurise(mixed(), DESCRIPTOR, marks)
    loaded = HDF5StructureDataset(None, path, mode="load")
    assert_same_bits(loaded.featurised(range(10), marks), expected)
    monkeypatch.setattr(ChebyshevDescriptor, "features" if persist == "persist_features" else "geometry", fail)
    supervised = [k for k in range(10) if mixed()[k].has_forces() or mixed()[k].has_stress()]
    loaded.featurised(supervised, [True] * len(supervised))


def test_pairs_and_moments_are_what_derivatives_need(path):
    dataset = built(mixed(), path, **EVERYTHING)
    expected = featurise([mixed()[3]], DESCRIPTOR, [True])
    geometry, moments = dataset.load_persisted_force_derivatives(3)
    cotangent = torch.ones_like(expected.features.values)
    found = DESCRIPTOR.vjp(geometry, moments, geometry.everything, cotangent)
    kept = expected.geometry
    for a, b in zip(found, DESCRIPTOR.vjp(kept, expected.features.moments, kept.everything, cotangent), strict=True):
        assert torch.equal(a, b)
    assert dataset.load_persisted_force_derivatives(4) is None  # it has neither forces nor stress


def test_what_is_there_can_be_asked(path):
    full = built(mixed(), path, **EVERYTHING)
    assert (full.has_persisted_descriptor(), full.has_persisted_features(), full.has_persisted_force_derivatives()) == (
        True,
        True,
        True,
    )
    for info in (full.get_persisted_feature_cache_info(), full.get_force_derivative_cache_info()):
        assert (info["n_entries"], info["n_features"], info["dtype"]) == (10, DESCRIPTOR.n_features, "float64")
        assert info["descriptor_sha256"] == full.get_descriptor_manifest()["sha256"]
    empty = built(mixed(), path)
    assert not empty.has_persisted_descriptor()
    assert not empty.has_persisted_features()
    assert not empty.has_persisted_force_derivatives()
    assert empty.get_descriptor_manifest() is None
    assert empty.load_persisted_descriptor() is None
    assert empty.get_persisted_feature_cache_info() is None
    assert empty.get_force_derivative_cache_info() is None
    with pytest.raises(DatasetError, match="has no features: build it with persist_features=True"):
        empty.load_persisted_features(0)
    with pytest.raises(DatasetError, match="has no pairs: build it with persist_force_derivatives=True"):
        empty.load_persisted_force_derivatives(0)


def test_a_persisted_descriptor_is_recovered(path):
    built(mixed(), path, persist_descriptor=True)
    loaded = HDF5StructureDataset(None, path, mode="load")
    assert repr(loaded.descriptor) == repr(DESCRIPTOR) == repr(loaded.load_persisted_descriptor())
    assert not loaded.has_persisted_features()
    assert torch.equal(loaded[0]["features"], HDF5StructureDataset(DESCRIPTOR, path)[0]["features"])


def test_without_a_descriptor_there_are_structures_but_no_features(path):
    loaded = built(mixed(), path, None)
    assert loaded.get_structure(0).n_atoms == mixed()[0].n_atoms
    assert loaded.summary().species == tuple(dict.fromkeys(n for s in mixed() for n in s.species))
    with pytest.raises(RuntimeError, match="requires a descriptor"):
        loaded[0]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (ChebyshevDescriptor(SPECIES, 5, CUTOFF, 2, 3.4), "rad_order: 4 → 5"),
        (ChebyshevDescriptor(SPECIES[::-1], 4, CUTOFF, 2, 3.4), "species: .*'Ti', 'O'.* → .*'O', 'Ti'"),
        (ChebyshevDescriptor(SPECIES, 4, CUTOFF, 2, 3.0, 0.1), "ang_cutoff: 3.4 → 3.0; .*min_cutoff: 0.55 → 0.1"),
    ],
)
def test_another_descriptor_is_refused(other, message, path):
    built(mixed(), path, persist_descriptor=True)
    with pytest.raises(RuntimeError, match=rf"incompatible with the one that .*data\.h5 was built with: .*{message}"):
        HDF5StructureDataset(other, path)


def test_numbers_are_cast_to_the_type_of_the_descriptor(path):
    built(mixed(), path, **EVERYTHING)
    single = ChebyshevDescriptor(SPECIES, 4, CUTOFF, 2, 3.4, dtype=torch.float32, kernels="torch")
    loaded = HDF5StructureDataset(single, path)
    found = loaded.featurised([0, 3], [True, True])
    expected = featurise([mixed()[0], mixed()[3]], single, [True, True])
    assert found.features.values.dtype == found.geometry.vector.dtype == torch.float32
    assert torch.equal(found.geometry.vector, expected.geometry.vector)
    assert torch.allclose(found.features.values, expected.features.values, rtol=1e-5, atol=1e-5)


def test_an_unknown_species_is_named_when_it_is_used(path):
    odd = Structure([[0, 0, 0]], ["Zr"], energy=0.0)
    records = [SourceRecord("good", mixed), SourceRecord("bad", lambda: [mixed()[0], odd])]
    built(None, path, None, records=records)
    loaded = HDF5StructureDataset(DESCRIPTOR, path)
    message = r"species 'Zr' in bad, frame 1 \(entry 11\) is not one of the descriptor's.*Ti, O"
    for ask in (loaded.summary, loaded.get_statistics):
        with pytest.raises(DataError, match=message):
            ask()
    with pytest.raises(DataError, match="species 'Zr' of atom 0"):
        loaded.featurised([3, 11], [False, False])
    assert loaded.featurised([3, 10], [False, False]).geometry.n_structures == 2
    with pytest.raises(DataError, match="species 'Zr' of atom 0 in bad, frame 1 is not one"):
        built(None, path, records=records)


def test_structures_are_read_when_they_are_asked_for(path):
    built(mixed(), path)
    loaded = HDF5StructureDataset(DESCRIPTOR, path, in_memory_cache_size=2)
    first = loaded.get_structure(0)
    assert loaded.get_structure(0) is first
    loaded.get_structure(1)
    loaded.get_structure(0)
    loaded.get_structure(2)
    assert loaded.get_structure(0) is first  # it was used later than 1
    loaded.get_structure(3), loaded.get_structure(4)
    assert loaded.get_structure(0) is not first


def test_it_can_be_closed_as_often_as_wanted(path):
    dataset = built(mixed(), path)
    with dataset as same:
        assert same is dataset
    dataset.close()
    dataset.close()
    assert dataset.get_structure(0).n_atoms == 2  # and it opens again
    HDF5StructureDataset(DESCRIPTOR, path.with_name("other.h5"), mode="build").close()


def read_elsewhere(dataset):
    features = dataset.require_descriptor().features(dataset.require_descriptor().geometry(dataset.labels([3])))
    return dataset.summary().energy, dataset.get_structure(3).positions, features.moments.numpy()


@pytest.mark.slow
def test_another_process_reads_the_same(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    dataset = built(mixed(), "data.h5", persist_features=True)  # with a loader that no pickle knows
    expected = read_elsewhere(dataset)
    monkeypatch.chdir("/")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(read_elsewhere, dataset).result()
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()
    small_data.fill_free_memory_with_nan()
    again = read_elsewhere(HDF5StructureDataset(DESCRIPTOR, dataset.database_file))
    for one, other in zip(again, expected, strict=True):
        assert one.tobytes() == other.tobytes()  # also here, where torch has sent its tensors away
    assert pickle.loads(pickle.dumps(dataset)).get_structure_identifier(0) == "all#frame=0"


def test_modes(path):
    with pytest.raises(ConfigError, match=r"mode must be one of .*, got 'laod'; did you mean 'load'"):
        HDF5StructureDataset(DESCRIPTOR, path, mode="laod")
    with pytest.raises(FileFormatError, match=r"no such file: .*data\.h5"):
        HDF5StructureDataset(DESCRIPTOR, path, mode="load")
    waiting = HDF5StructureDataset(DESCRIPTOR, path, [SourceRecord("a", mixed)])
    with pytest.raises(RuntimeError, match=r"data\.h5 is not built yet: call build_database\(\) first"):
        len(waiting)
    waiting.build_database(show_progress=False)
    assert len(waiting) == len(HDF5StructureDataset(DESCRIPTOR, path)) == 10
    reader = HDF5StructureDataset(DESCRIPTOR, path, [SourceRecord("a", mixed)], mode="load")
    with pytest.raises(DatasetError, match="mode='load' only reads"):
        reader.build_database()


@pytest.mark.parametrize("change", [{"in_memory_cache_size": -1}, {"compression": "blosc"}, {"compression_level": 11}])
def test_settings_that_cannot_be(change, path):
    with pytest.raises(ConfigError, match=next(iter(change))):
        HDF5StructureDataset(DESCRIPTOR, path, **change)


def test_files_of_others_and_newer_ones_are_refused(path):
    built(mixed(), path)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 9
    with pytest.raises(FileFormatError, match=r"data\.h5 is a structure database of version 9, .*update potentia"):
        HDF5StructureDataset(DESCRIPTOR, path)
    path.write_text(json.dumps({"entries": []}))
    with pytest.raises(FileFormatError, match=r"data\.h5 cannot be opened"):
        HDF5StructureDataset(DESCRIPTOR, path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"data\.h5 cannot be opened"):
        HDF5StructureDataset(DESCRIPTOR, path)


def test_labels_that_are_missing_stay_missing(path):
    bare = [without(s, "energy", "forces", "stress") for s in small_data.frames()]
    loaded = built(bare, path, **EVERYTHING)
    assert not any(s.has_energy() or s.has_forces() or s.has_stress() for s in loaded.labels(range(10)))
    assert loaded.get_statistics()["n_energy_only"] == 10
    assert_same_bits(loaded.featurised([1, 2], [True, False]), featurise(bare[1:3], DESCRIPTOR, [True, False]))
