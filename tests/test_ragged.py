"""Laws of the ragged store: what was written is read, by any rows, in no time, whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from potentia.data.ragged import Column, Ragged, RaggedFile
from potentia.data.ragged_writer import COMPRESSIONS, write_ragged
from potentia.errors import ConfigError, DataError, FileFormatError
from potentia.storage import remove_leftovers

TABLES = {
    "rows": {
        "single": Column("<f8"),
        "vector": Column("<f4", (3,)),
        "flag": Column("|b1"),
        "ragged": Column("<f8", (2,), ragged=True),
        "bytes": Column("|u1", ragged=True),
        "nothing": Column("<f8", (0,), ragged=True),
    },
    "empty": {"ragged": Column("<i4", ragged=True)},
}


def block(n, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 6, n)
    return {
        "single": rng.normal(size=n),
        "vector": rng.normal(size=(n, 3)).astype(np.float32),
        "flag": rng.random(n) > 0.5,
        "ragged": Ragged(rng.normal(size=(lengths.sum(), 2)), lengths),
        "bytes": Ragged.of([np.full(k, k, dtype=np.uint8) for k in lengths[::-1]], TABLES["rows"]["bytes"]),
        "nothing": Ragged(np.zeros((lengths.sum(), 0)), lengths),
    }


def write(path, n_blocks=4, size=25, **settings):
    with write_ragged(path, "thing", TABLES, version=2, **settings) as writer:
        for k in range(n_blocks):
            writer.append("rows", block(size, k))
        writer.settings["answer"] = 42
    return path


def same(one, other):
    if isinstance(one, Ragged):
        return np.array_equal(one.lengths, other.lengths) and np.array_equal(one.values, other.values)
    return one.dtype == other.dtype and np.array_equal(one, other)


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "a.h5")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_was_written_is_read(compression, tmp_path):
    file = RaggedFile(write(tmp_path / "a.h5", compression=compression), "thing", version=2)
    assert (file.header.kind, file.header.version, file.header.settings) == ("thing", 2, {"answer": 42})
    assert (file.n_rows("rows"), file.n_rows("empty")) == (100, 0)
    for k in range(4):
        found, expected = file.read("rows", tuple(TABLES["rows"]), 25 * k, 25 * (k + 1)), block(25, k)
        assert all(same(found[name], expected[name]) for name in expected)
    assert len(file.read("empty", ["ragged"], 0, 0)["ragged"].lengths) == 0


@pytest.mark.parametrize("rows", [[], [7], [99, 0, 99, 98, 3], range(100), [5, 80, 13, 14, 12], [-0, 50, 61, 71]])
def test_any_rows_at_once_are_the_rows_one_by_one(rows, path):
    file, names = RaggedFile(path, "thing", version=2), tuple(TABLES["rows"])
    together = file.gather("rows", names, list(rows))
    for at, row in enumerate(rows):
        alone = file.read("rows", names, row, row + 1)
        assert np.array_equal(together["vector"][at], alone["vector"][0])
        assert np.array_equal(together["ragged"].rows()[at], alone["ragged"].values)
    assert len(together["single"]) == len(together["bytes"].lengths) == len(rows)


@pytest.mark.parametrize("row", [-1, 100])
def test_a_row_that_is_not_there_is_named(row, path):
    with pytest.raises(DataError, match=rf"has 100 rows, counted from 0; there is no number {row}"):
        RaggedFile(path, "thing", version=2).gather("rows", ["single"], [3, row])


def test_the_mark_is_that_of_the_content_and_not_of_its_blocks(tmp_path):
    marks = []
    for sizes in ([10], [3, 7]):
        with write_ragged(tmp_path / "a.h5", "thing", {"rows": {"x": Column("<f8")}}) as writer:
            start = 0
            for size in sizes:
                writer.append("rows", {"x": np.arange(start, start + size, dtype=float)})
                start += size
        marks.append(RaggedFile(tmp_path / "a.h5", "thing").header.sha256)
    assert marks[0] == marks[1]
    assert RaggedFile(write(tmp_path / "b.h5", 1), "thing", version=2).header.sha256 not in marks


def test_blocks_larger_than_the_buffer(tmp_path):
    many = Ragged(np.arange(2_000_000, dtype=np.int32), np.full(1000, 2000))
    with write_ragged(tmp_path / "a.h5", "thing", {"rows": {"x": TABLES["empty"]["ragged"]}}) as writer:
        for _ in range(3):
            writer.append("rows", {"x": many})
    found = RaggedFile(tmp_path / "a.h5", "thing").gather("rows", ["x"], [0, 1001, 2999])["x"]
    assert [row[0] for row in found.rows()] == [0, 2000, 999 * 2000]


def reads_of_opening(path):
    def count():
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(fields["syscr"]), int(fields["rchar"])

    RaggedFile(path, "thing", version=2).close()
    before = count()
    RaggedFile(path, "thing", version=2).close()
    after = count()
    return [b - a for a, b in zip(before, after, strict=True)]


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="reads are counted by Linux")
def test_opening_reads_no_more_from_a_long_file(tmp_path):
    few, many = (reads_of_opening(write(tmp_path / f"{n}.h5", n, 500)) for n in (1, 200))
    assert many[0] <= few[0] + 4
    assert many[1] <= few[1] + 8192


def test_truncated_files_are_refused_wherever_they_end(path):
    whole = path.read_bytes()
    for length in (*range(0, len(whole) - 1, 997), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match=r"a\.h5 cannot be opened: it is truncated .* build it, or copy it"):
            RaggedFile(path, "thing", version=2)


def test_damaged_files_are_noticed(path):
    whole = path.read_bytes()
    expected = RaggedFile(path, "thing", version=2).read("rows", tuple(TABLES["rows"]), 0, 100)
    refused = 0
    for at in range(5, len(whole), len(whole) // 150):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            found = RaggedFile(path, "thing", version=2).read("rows", tuple(TABLES["rows"]), 0, 100)
        except FileFormatError:
            refused += 1
        else:
            assert all(same(found[name], expected[name]) for name in expected)
    assert refused > 10


def test_foreign_files_are_refused(path):
    with h5py.File(path.with_name("b.h5"), "w") as file:
        file["x"] = np.arange(3)
    with pytest.raises(FileFormatError, match=r"b\.h5 is an HDF5 file, but potentia did not write it"):
        RaggedFile(path.with_name("b.h5"), "thing")
    with pytest.raises(FileFormatError, match=r"a\.h5 holds a thing, not a database or table"):
        RaggedFile(path, "database", "table", version=2)
    with pytest.raises(FileFormatError, match=r"thing of version 2, written by .* up to version 1: update potentia"):
        RaggedFile(path, "thing")
    with pytest.raises(FileFormatError, match=r"no such file: .*nowhere\.h5"):
        RaggedFile(path.with_name("nowhere.h5"), "thing")


@pytest.mark.parametrize("change", ["column missing", "rows missing", "other type"])
def test_a_file_that_does_not_add_up_is_refused(change, path):
    with h5py.File(path, "r+") as file:
        if change == "column missing":
            del file["rows/flag"]
        elif change == "rows missing":
            file["rows/single"].resize(99, axis=0)
        else:
            del file["rows/single"]
            file["rows/single"] = np.zeros(100, dtype="<f4")
    with pytest.raises(FileFormatError, match=r"a\.h5 is damaged: .* build it, or copy it, again"):
        RaggedFile(path, "thing", version=2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_build_that_fails_leaves_the_old_file(error, path):
    def fail():
        with write_ragged(path, "thing", TABLES) as writer:
            writer.append("rows", block(10, 0))
            raise error

    before = path.read_bytes()
    with pytest.raises(error):
        fail()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.fixture
def small_disk(request):
    """Let no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [10, 1500, 30_000, 100_000])
def test_a_full_disk_is_one_clear_error(size, path, small_disk):
    before = path.read_bytes()
    small_disk(size)
    with pytest.raises(OSError, match=r"what stood there before is untouched.*a\.h5"):
        write(path, 20, 5000)
    small_disk(resource.RLIM_INFINITY)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    write(path, 2)  # and HDF5 is as it was


def test_a_directory_that_is_none_is_one_clear_error(path):
    with pytest.raises(OSError, match=r"Not a directory; what stood there before is untouched"):
        write(path / "b.h5")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_directory_that_is_read_only_is_one_clear_error(path):
    path.parent.chmod(0o500)
    try:
        with pytest.raises(OSError, match="Permission denied; what stood there before is untouched"):
            write(path)
    finally:
        path.parent.chmod(0o700)
    assert RaggedFile(path, "thing", version=2).n_rows("rows") == 100


@pytest.mark.parametrize(
    ("settings", "message"), [({"compression": "zlip"}, "mean 'zlib'"), ({"level": 10}, "0 and 9")]
)
def test_there_is_no_such_compression(settings, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        write(tmp_path / "a.h5", **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["asked how it ended", "not asked yet"])
def dead_process(request):
    """Return the number of a process that has ended; until its parent asks how, the system keeps the number for it."""
    process = multiprocessing.get_context("fork").Process(target=os._exit, args=(0,))
    process.start()
    if request.param == "asked how it ended" or not hasattr(os, "waitid"):
        process.join()
    else:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.join()


def test_leftovers_of_dead_processes_are_removed_and_no_others(path, tmp_path, dead_process):
    with write_ragged(path, "thing", {}):
        (alive,) = [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]
        dead = alive.with_name(alive.name.replace(f"-{os.getpid()}-", f"-{dead_process}-"))
        elsewhere = alive.with_name(f".a.h5.00000000-{dead_process}-abc.tmp")
        other = alive.with_name(dead.name.replace("a.h5", "b.h5"))
        for left in (dead, elsewhere, other):
            left.touch()
        remove_leftovers(path)
        assert not dead.exists()
        assert alive.exists()
        assert elsewhere.exists()
        assert other.exists()


def test_a_relative_path_is_that_of_its_time(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = RaggedFile("a.h5", "thing", version=2)
    file.close()
    monkeypatch.chdir("/")
    assert len(file.read("rows", ["single"], 0, 3)["single"]) == 3


def test_it_goes_through_pickle_and_threads(path):
    file = pickle.loads(pickle.dumps(RaggedFile(path, "thing", version=2)))
    expected = file.read("rows", ["ragged"], 0, 100)["ragged"].values
    found = []

    def read():
        found.extend(file.gather("rows", ["ragged"], range(100))["ragged"].values for _ in range(10))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(np.array_equal(one, expected) for one in found)


def test_a_forked_process_opens_the_file_for_itself(path):
    file = RaggedFile(path, "thing", version=2)
    expected = file.read("rows", ["single"], 0, 100)["single"]
    child = os.fork()
    if not child:
        same_there = np.array_equal(file.read("rows", ["single"], 0, 100)["single"], expected)
        os._exit(0 if same_there else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(file.read("rows", ["single"], 0, 100)["single"], expected)


def test_a_file_that_was_built_again_is_not_taken_for_the_old_one(path):
    file = RaggedFile(path, "thing", version=2)
    write(path, 3)
    assert len(file.read("rows", ["single"], 0, 100)["single"]) == 100  # the old one, as long as it is open
    file.close()
    with pytest.raises(FileFormatError, match="was built again with other content since it was opened"):
        file.read("rows", ["single"], 0, 1)
