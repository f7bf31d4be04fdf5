"""Laws of sources: in their order, by names that stay, and nothing that goes wrong without the name of its source."""

from __future__ import annotations

import io
import sys
import tarfile

import pytest
from ase import Atoms

from potentia import (
    FilePathSourceCollection,
    HDF5StructureDataset,
    RecordSourceCollection,
    SourceCapabilities,
    SourceRecord,
    Structure,
    TarArchiveXSFSourceCollection,
)
from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.potentials.datasets import DatasetError
from potentia.potentials.datasets.sources import as_source_collection
from potentia.potentials.formats.xsf import format_xsf, write_xsf
from potentials import small_data

DIMER = Structure([[0, 0, 0], [0.8, 0, 0]], ["Ti", "O"], energy=-1.0)


def archive(path, members):
    with tarfile.open(path, "w:" + path.suffix[1:] if path.suffix != ".tar" else "w") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def xsf(energy):
    return format_xsf(Structure([[0, 0, 0], [0.8, 0, 0]], ["Ti", "O"], energy=energy)).encode()


@pytest.mark.parametrize("loaded", [DIMER, [DIMER], (DIMER,), iter([DIMER])], ids=["one", "list", "tuple", "iterator"])
def test_a_loader_returns_one_structure_or_many(loaded):
    assert SourceRecord("a", lambda: loaded).load_structures() == [DIMER]


def test_a_loader_may_return_ase_atoms_and_paths(tmp_path):
    write_xsf(tmp_path / "a.xsf", [DIMER, DIMER])
    mixed = [Atoms("H"), DIMER, tmp_path / "a.xsf"]
    assert [s.n_atoms for s in SourceRecord("a", lambda: mixed).load_structures()] == [1, 2, 2, 2]
    assert [s.n_atoms for s in SourceRecord("a", lambda: Atoms("H2", [[0, 0, 0], [1, 0, 0]])).load_structures()] == [2]


def test_a_stream_of_structures_is_not_collected():
    taken = []

    def stream():
        for k in range(3):
            taken.append(k)
            yield DIMER

    next(SourceRecord("a", stream).iter_structures())
    assert taken == [0]


def leave():
    sys.exit("bad input")


class OddError(Exception):
    pass


def odd():
    raise OddError("seven")


def late():
    yield DIMER
    raise ValueError("after one")


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (leave, "SystemExit: bad input"),
        (odd, "OddError: seven"),
        (late, "ValueError: after one"),
        (lambda: [3], "DataError: item 0 must be a path"),
        (lambda: None, "DataError: item 0 must be a path"),
        (lambda: "nowhere.xsf", r"FileFormatError: no such file: nowhere\.xsf"),
    ],
)
def test_whatever_a_loader_raises_is_named(loader, message):
    with pytest.raises(DatasetError, match=rf"Failed to load build source 'the bad one'\. {message}") as caught:
        SourceRecord("the bad one", loader).load_structures()
    assert caught.value.__cause__ is not None
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize(("name", "most"), [("source_id", 2048), ("source_kind", 64), ("display_name", 2048)])
def test_labels_are_never_cut(name, most):
    labels = {"source_id": "a", "source_kind": "b", "display_name": "c"}
    SourceRecord(loader=list, **(labels | {name: "x" * most}))
    for long in ("x" * (most + 1), "Å" * (most // 2 + 1)):
        with pytest.raises(ValueError, match=rf"{name} has {len(long.encode())} bytes in UTF-8, at most {most}"):
            SourceRecord(loader=list, **(labels | {name: long}))


@pytest.mark.parametrize("bad", [{"source_id": 3}, {"loader": "file.xsf"}, {"display_name": None}])
def test_a_record_is_made_of_texts_and_a_loader(bad):
    with pytest.raises(ConfigError, match=r"must be (text|callable)"):
        SourceRecord(**({"source_id": "a", "loader": list} | bad))


def test_files_are_sources_by_absolute_path(tmp_path, monkeypatch):
    write_xsf(tmp_path / "a.xsf", DIMER)
    monkeypatch.chdir(tmp_path)
    collection = FilePathSourceCollection(["a.xsf"])
    monkeypatch.chdir("/")
    (record,) = collection.iter_records()
    assert (record.source_id, record.source_kind) == (str(tmp_path / "a.xsf"), "file")
    assert record.load_structures()[0].energy == -1.0
    assert (len(collection), collection.capabilities) == (1, SourceCapabilities(True, True, True))


def test_paths_and_records_are_collections(tmp_path):
    assert isinstance(as_source_collection([tmp_path]), FilePathSourceCollection)
    assert isinstance(as_source_collection(str(tmp_path)), FilePathSourceCollection)
    assert isinstance(as_source_collection([SourceRecord("a", list)]), RecordSourceCollection)
    own = FilePathSourceCollection([])
    assert as_source_collection(own) is own
    for bad in (3, [3], [SourceRecord("a", list), "a.xsf"]):
        with pytest.raises(DataError, match="sources must be"):
            as_source_collection(bad)
    with pytest.raises(DataError, match="record 1 must be a SourceRecord, got str"):
        RecordSourceCollection([SourceRecord("a", list), "a.xsf"])


@pytest.mark.parametrize("suffix", [".tar", ".gz", ".bz2", ".xz"])
def test_members_of_an_archive_are_sources_in_their_order(suffix, tmp_path):
    members = [("d/b.xsf", xsf(-1.5)), ("readme.txt", b"?"), ("d/a.XSF", xsf(-2.5))]
    path = archive(tmp_path / f"many{suffix}", members)
    collection = TarArchiveXSFSourceCollection(path)
    records = list(collection.iter_records())
    assert [record.source_id for record in records] == [f"{path}::member=0:d/b.xsf", f"{path}::member=1:d/a.XSF"]
    assert [record.display_name for record in records] == [f"{path.name}:d/b.xsf", f"{path.name}:d/a.XSF"]
    assert {record.source_kind for record in records} == {"tar_xsf_member"}
    assert [record.load_structures()[0].energy for record in records] == [-1.5, -2.5]
    assert len(collection) == 2
    assert collection.capabilities == SourceCapabilities(True, False, True)
    assert list(tmp_path.iterdir()) == [path]  # nothing is unpacked


def test_members_of_one_name_are_told_apart(tmp_path):
    path = archive(tmp_path / "a.tar", [("x.xsf", xsf(-1.0)), ("x.xsf", xsf(-2.0)), ("y.xsf", xsf(-3.0))])
    records = list(TarArchiveXSFSourceCollection(path).iter_records())
    assert [r.display_name for r in records] == ["a.tar:x.xsf@member=0", "a.tar:x.xsf@member=1", "a.tar:y.xsf"]
    assert [r.load_structures()[0].energy for r in records] == [-1.0, -2.0, -3.0]
    assert len({r.source_id for r in records}) == 3


def test_other_suffixes_can_be_asked_for(tmp_path):
    path = archive(tmp_path / "a.tar", [("x.xsf", xsf(-1.0)), ("x.axsf", xsf(-2.0))])
    assert len(TarArchiveXSFSourceCollection(path, ".axsf")) == 1


@pytest.mark.parametrize("suffix", [".tar", ".gz", ".bz2", ".xz"])
def test_a_truncated_archive_is_one_clear_error(suffix, tmp_path):
    path = archive(tmp_path / f"a{suffix}", [(f"{k}.xsf", xsf(-1.0) * 40) for k in range(20)])
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 3, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match=rf"a\{suffix} cannot be read as a tar archive"):
            list(TarArchiveXSFSourceCollection(path).iter_records())


def test_archives_that_hold_nothing_are_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"no such file: .*nowhere\.tar"):
        len(TarArchiveXSFSourceCollection(tmp_path / "nowhere.tar"))
    path = archive(tmp_path / "a.tar", [("x.txt", b"?")])
    with pytest.raises(DataError, match=r"a\.tar has no member that ends in \.xsf"):
        list(TarArchiveXSFSourceCollection(path).iter_records())


@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff\xfe", "cannot be read as text"), (b"nonsense", "FileFormatError")]
)
def test_a_bad_member_is_named_and_does_not_end_the_program(content, message, tmp_path):
    path = archive(tmp_path / "a.tar", [("x.xsf", xsf(-1.0)), ("y.xsf", content)])
    dataset = HDF5StructureDataset(None, tmp_path / "a.h5", TarArchiveXSFSourceCollection(path))
    with pytest.raises(RuntimeError, match=rf"Failed to load build source '.*::member=1:y\.xsf'.*{message}"):
        dataset.build_database(show_progress=False)
    assert not (tmp_path / "a.h5").exists()


def test_a_database_knows_the_members_of_its_archive(tmp_path):
    path = archive(tmp_path / "a.tar.gz", [("x.xsf", xsf(-1.0)), ("y.xsf", xsf(-2.0))])
    with HDF5StructureDataset(small_data.DESCRIPTOR, tmp_path / "a.h5", TarArchiveXSFSourceCollection(path)) as dataset:
        dataset.build_database(show_progress=False)
        assert dataset.get_structure_identifier(1) == "a.tar.gz:y.xsf#frame=0"
        assert dataset.get_entry_metadata(1)["source_kind"] == "tar_xsf_member"
