"""Laws of building a database: the same by several processes, and an older file stays until the new one is whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from potentia import (
    FilePathSourceCollection,
    HDF5StructureDataset,
    RecordSourceCollection,
    SourceCapabilities,
    SourceRecord,
    Structure,
    StructureDataset,
)
from potentia.errors import ConfigError, DataError, FileFormatError, PotentiaWarning
from potentia.potentials.datasets import DatasetError
from potentia.potentials.datasets.build import SOURCES_AT_ONCE, STRUCTURES_AT_ONCE
from potentia.potentials.formats.xsf import write_xsf
from potentials import killed_builds, small_data
from potentials.small_data import DESCRIPTOR, FREE

TIO2 = Path(__file__).parents[2] / "../shared/referee/tio2"
EVERYTHING = {"persist_features": True, "persist_force_derivatives": True}


def structures_of(k):
    """Return some structures; of source 7, atoms that are too near each other."""
    if k == 7:
        return [Structure([[0, 0, 0], [0.3, 0, 0]], ["O", "O"], energy=-7.0)]
    return [small_data.crystal(k, 2 + k % 3), small_data.molecule(k, 3 + k % 3)][: 1 + k % 2]


def failing(k):
    if k == 21:
        raise ValueError("nothing here")
    return structures_of(k)


def records(n, loader=structures_of):
    return [SourceRecord(f"source {k}", partial(loader, k)) for k in range(n)]


def database(path, sources, descriptor=DESCRIPTOR, **settings):
    return HDF5StructureDataset(descriptor, path, sources, mode="build", **settings)


def arrays(path):
    """Return the bytes of everything in a file."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, node: found.update({name: node[()].tobytes()}) if isinstance(node, h5py.Dataset) else None
        )
        return found, {name: str(value) for name, value in file.attrs.items()}


@pytest.mark.slow
def test_several_processes_build_the_same_file(tmp_path):
    n = 2 * SOURCES_AT_ONCE + 3
    files = []
    for workers in (0, 2):
        dataset = database(tmp_path / f"{workers}.h5", records(n), max_energy=-0.1, atomic_energies=FREE)
        with pytest.warns(PotentiaWarning, match="in source 7, frame 0 are closer than min_cutoff"):
            dataset.build_database(show_progress=False, build_workers=workers, **EVERYTHING)
        files.append(arrays(tmp_path / f"{workers}.h5"))
    assert files[0] == files[1]
    given = [structure for k in range(n) for structure in structures_of(k)]
    in_memory = StructureDataset(given, DESCRIPTOR, max_energy=-0.1, atomic_energies=FREE)
    assert [s.name for s in dataset.labels(range(len(dataset)))] == [s.name for s in in_memory.structures]
    assert 0 < len(dataset) < len(given)


@pytest.mark.slow
def test_several_processes_name_the_source_that_failed(tmp_path):
    database(tmp_path / "a.h5", records(5)).build_database(show_progress=False)
    before = (tmp_path / "a.h5").read_bytes()
    with pytest.raises(RuntimeError, match=r"Failed to load build source 'source 21'\. ValueError: nothing here"):
        database(tmp_path / "a.h5", records(40, failing)).build_database(False, build_workers=2)
    assert (tmp_path / "a.h5").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "a.h5"]


@pytest.mark.slow
def test_a_process_that_dies_is_one_clear_error(tmp_path):
    dying = [SourceRecord("dying", partial(os._exit, 3))]
    with pytest.raises(DatasetError, match=r"a process of the build has died: it was killed, .*build_workers=0"):
        database(tmp_path / "a.h5", dying).build_database(False, build_workers=2)
    assert list(tmp_path.iterdir()) == []


def test_more_structures_than_are_laid_out_at_a_time(tmp_path):
    atoms = [Structure([[0, 0, 0]], ["O"], energy=float(k)) for k in range(2 * STRUCTURES_AT_ONCE + 3)]
    dataset = database(tmp_path / "a.h5", [SourceRecord("all", lambda: iter(atoms))], max_energy=200.0)
    dataset.build_database(show_progress=False, persist_features=True)
    assert dataset.summary().energy.tolist() == [float(k) for k in range(201)]
    assert dataset.get_entry_metadata(200)["frame_idx"] == 200
    assert dataset.load_persisted_features(200).shape == (1, DESCRIPTOR.n_features)


def test_a_generator_is_not_collected(tmp_path):
    taken = []

    def stream():
        for k in range(STRUCTURES_AT_ONCE + 10):
            taken.append(k)
            yield Structure([[0, 0, 0]], ["O" if k < STRUCTURES_AT_ONCE else "Zr"])

    with pytest.raises(DataError, match="species 'Zr' of atom 0 in stream, frame 128 is not one"):
        database(tmp_path / "a.h5", [SourceRecord("stream", stream)]).build_database(show_progress=False)
    assert len(taken) == STRUCTURES_AT_ONCE + 10


@pytest.mark.parametrize(
    ("settings", "call", "error", "message"),
    [
        ({"sources": None}, {}, ValueError, r"sources must be provided to build_database\(\)"),
        ({}, {"build_workers": -1}, ValueError, "build_workers must be >= 0, got -1"),
        ({}, {"build_workers": 1.5}, ConfigError, "build_workers must be an integer"),
        (
            {"sources": RecordSourceCollection([], SourceCapabilities(supports_parallel_build=False))},
            {"build_workers": 2},
            ValueError,
            "RecordSourceCollection do not support build_workers > 1",
        ),
        ({"descriptor": None}, {"persist_features": True}, RuntimeError, "Persisting features requires a descriptor"),
        (
            {"descriptor": None},
            {"persist_force_derivatives": True},
            RuntimeError,
            "Persisting force derivatives requires a descriptor",
        ),
        ({"descriptor": None}, {"persist_descriptor": True}, RuntimeError, "Persisting a descriptor requires a desc"),
        (
            {"sources": [SourceRecord("mine", lambda: [])]},
            {"build_workers": 2},
            ConfigError,
            "the loader of source 'mi",
        ),
    ],
)
def test_builds_that_cannot_be(settings, call, error, message, tmp_path):
    given = {"descriptor": DESCRIPTOR, "sources": records(3)} | settings
    with pytest.raises(error, match=message):
        database(tmp_path / "a.h5", **given).build_database(show_progress=False, **call)
    assert list(tmp_path.iterdir()) == []


def test_sources_that_can_only_be_read_here_are(tmp_path):
    sources = RecordSourceCollection(records(3), SourceCapabilities(supports_parallel_build=False))
    dataset = database(tmp_path / "a.h5", sources)
    dataset.build_database(show_progress=False, build_workers=1)
    assert len(dataset) == 4


def test_a_build_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.h5"
    old = database(path, records(5))
    old.build_database(show_progress=False)
    before = path.read_bytes()
    for sources, message in (
        (records(30, failing), r"Failed to load build source 'source 21'\. ValueError: nothing here"),
        ([*records(3), SourceRecord("none", lambda: tmp_path / "nowhere.xsf")], "'none'.*no such file"),
    ):
        with pytest.raises(RuntimeError, match=message) as caught:
            database(path, sources).build_database(show_progress=False)
        assert isinstance(caught.value.__cause__, ValueError | FileFormatError)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]
    assert old.get_structure(0).n_atoms == 2


def test_a_build_takes_the_place_of_the_old_file(tmp_path):
    path = tmp_path / "a.h5"
    dataset = database(path, records(5))
    dataset.build_database(show_progress=False)
    reader = HDF5StructureDataset(DESCRIPTOR, path)
    assert dataset.get_structure(0).n_atoms == reader.get_structure(0).n_atoms == 2
    HDF5StructureDataset(DESCRIPTOR, path, records(9)[1:], mode="build").build_database(show_progress=False)
    assert reader.labels([0])[0].n_atoms == 2  # what was open stays what it was
    assert HDF5StructureDataset(DESCRIPTOR, path).get_structure(0).n_atoms == 3


def test_a_relative_path_is_that_of_its_time(tmp_path, monkeypatch):
    write_xsf(tmp_path / "a.xsf", small_data.crystal())
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path)
    dataset = database("a.h5", ["a.xsf"])
    monkeypatch.chdir("else")
    dataset.build_database(show_progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "a.xsf", "else"]
    assert dataset.get_structure(0).n_atoms == 4


def test_a_warning_is_heard_once(tmp_path):
    def loader():
        warnings.warn("twice", PotentiaWarning, stacklevel=1)
        return structures_of(0)

    dataset = database(tmp_path / "a.h5", [SourceRecord("a", loader), SourceRecord("b", loader)])
    with pytest.warns(PotentiaWarning, match="twice") as caught:
        dataset.build_database(show_progress=False)
    assert len(caught) == 1


def test_a_warning_that_is_an_error_stops_the_build(tmp_path):
    with pytest.raises(PotentiaWarning, match="min_cutoff"):
        database(tmp_path / "a.h5", records(9)).build_database(show_progress=False, persist_features=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n", [0, 1])
def test_a_database_of_nothing_and_of_one(n, tmp_path):
    dataset = database(tmp_path / "a.h5", records(n))
    dataset.build_database(show_progress=False, persist_features=True)
    assert len(dataset) == n
    assert dataset.get_statistics()["n_total"] == n


@pytest.mark.skipif(not hasattr(os, "fork"), reason="killed builds are forked")
@pytest.mark.parametrize("kills", [pytest.param(50, marks=pytest.mark.slow)])
def test_a_killed_build_leaves_the_old_file_whole(kills, tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, killed_builds.__file__, str(tmp_path), str(kills), str(kills)]
    out = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=30 + 10 * kills).stdout
    assert max(json.loads(out)) <= 1  # the one that was being written
    found = [killed_builds.state(tmp_path / f"{k}.h5") for k in range(kills)]
    assert all(state["whole"] for state in found)
    assert len({state["version"] for state in found}) > 1  # they were killed at different moments
    path = tmp_path / "build/a.h5"
    killed_builds.build(path, -1)
    assert killed_builds.state(path) == {"whole": True, "version": -1.0}
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_one_clear_error(small_disk):
    path = small_disk / "a.h5"
    with contextlib.closing(database(path, records(3))) as dataset:
        dataset.build_database(show_progress=False)
    before = path.read_bytes()
    large = SourceRecord("large", lambda: [Structure(np.random.default_rng(k).normal(size=(5000, 3)), ["O"] * 5000)
                                           for k in range(20)])  # fmt: skip
    with pytest.raises(OSError, match=r"No space left on device; what stood there before is untouched") as caught:
        database(path, [large]).build_database(show_progress=False)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert list(small_disk.iterdir()) == [path]


@pytest.mark.skipif(not TIO2.is_dir(), reason="the reference structures are not here")
def test_reference_structures_go_through_a_database(tmp_path):
    paths = sorted(TIO2.glob("structure-*.xsf"))
    dataset = database(tmp_path / "a.h5", FilePathSourceCollection(paths))
    dataset.build_database(show_progress=False, persist_features=True)
    in_memory = StructureDataset(paths, DESCRIPTOR)
    for found, expected in zip(dataset.labels(range(10)), in_memory.structures, strict=True):
        assert found.forces.tobytes() == expected.forces.tobytes()
        assert (found.name, found.energy) == (expected.name, expected.energy)
    assert dataset[4]["features"].numpy().tobytes() == in_memory[4]["features"].numpy().tobytes()
