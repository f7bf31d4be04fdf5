"""Training sets of ænet as Fortran may write them, cut off, damaged or foreign: what cannot be read is told."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from potentia import Structure, TrnSet
from potentia.errors import FileFormatError
from potentials.small_data import frames
from potentials.trnset_files import (
    FORMATS,
    PLAIN,
    Given,
    ascii_text,
    assert_same,
    binary,
    every_format,
    record,
    text_record,
    written,
)

# ------------------------------------------------------------------------------------ what Fortran may write


def test_numbers_may_look_as_fortran_writes_them(tmp_path):
    given = Given.of([Structure([[0, 0, 0]], ["O"], energy=-2.5, forces=[[1e-110, 2e-3, 3]])], n_features=(2, 2))
    given.features = [[np.array([1e-110, -2.5e150])]]
    text = ascii_text(given).replace("E-110", "-110").replace("E+150", "+150").replace("E-03", "D-03")
    assert "-110" in text
    assert "D-03" in text
    (tmp_path / "a").write_text(text)
    found = TrnSet.from_file(tmp_path / "a")[0]
    assert found.forces.tolist() == [[1e-110, 2e-3, 3.0]]
    assert found.atom_features.tolist() == [[1e-110, -2.5e150]]


def test_a_record_may_go_on_over_several_lines(tmp_path):
    lines = [line.rsplit(None, 1) for line in ascii_text(PLAIN).splitlines()]
    broken = ["\n".join(parts) if "E" in parts[-1] else " ".join(parts) for parts in lines]
    (tmp_path / "a").write_text("\n".join(broken) + "\n")
    for one, two in zip(TrnSet.from_file(tmp_path / "a"), TrnSet.from_file(written(tmp_path, "binary")), strict=True):
        assert_same(one, two)


def test_paths_are_kept_byte_by_byte(tmp_path):
    given = Given.of(frames()[:1])
    given.paths = ["Å/x.xsf".encode().decode()]
    raw = binary(Given(given.structures, given.features, paths=["??/x.xsf"])).replace(b"??", b"\xc5\xff")
    (tmp_path / "a.train").write_bytes(raw)
    trnset = TrnSet.from_file(tmp_path / "a.train")
    trnset.to_hdf5(tmp_path / "a.h5")
    assert TrnSet.from_file(tmp_path / "a.h5")[0].path == trnset[0].path
    assert trnset[0].path.encode(errors="surrogateescape") == b"\xc5\xff/x.xsf"


# ------------------------------------------------------------------------------------- cut off, or something else


@pytest.mark.parametrize("part", [0.02, 0.2, 0.5, 0.9, 0.96])
@every_format
def test_a_file_cut_off_anywhere_is_told(tmp_path, kind, part):
    path = written(tmp_path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    place = {"ascii": r", line \d+ \((header|structure \d)", "binary": r", record \d+ \((header|structure \d|footer)"}
    with pytest.raises(FileFormatError, match=rf"data\..*{place.get(kind, 'cut off')}"):
        TrnSet.from_file(path)


def test_every_byte_that_is_lacking_at_the_end_is_missed(tmp_path):
    small = Given.of(frames()[:1], n_features=(1, 1))
    whole = binary(small)
    end = whole.index(record("i", 1) + record("i", 1) + text_record(b"settings of a descriptor"))
    for length in range(1, end):
        (tmp_path / "a.train").write_bytes(whole[:length])
        with pytest.raises(FileFormatError):
            TrnSet.from_file(tmp_path / "a.train")
    (tmp_path / "a.train").write_bytes(whole[:end])
    assert len(TrnSet.from_file(tmp_path / "a.train")) == 1
    text = ascii_text(small)
    for length in range(1, len(text)):
        (tmp_path / "a").write_text(text[:length])
        with pytest.raises(FileFormatError):
            TrnSet.from_file(tmp_path / "a")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (text_record(b"TiO "), text_record(b"TiO"), "3 bytes cannot be the names of 2 species"),
        (record("i", 2), record("i", -2), "-2 species and 4 structures cannot be"),
        (record("i", PLAIN.n_atoms), record("i", 1), rf"it should hold 1 atoms, but has {PLAIN.n_atoms}"),
    ],
)
def test_binary_files_that_cannot_be_are_told(tmp_path, old, new, message):
    path = tmp_path / "a.train"
    whole = binary(PLAIN)
    at = whole.rindex(old) if "hold" in message else whole.index(old)
    path.write_bytes(whole[:at] + new + whole[at + len(old) :])
    with pytest.raises(FileFormatError, match=message):
        TrnSet.from_file(path)


def test_structures_left_out_by_generate_are_told(tmp_path):
    """Its header keeps the number of files asked for."""
    (tmp_path / "a.train").write_bytes(binary(PLAIN, n_structures=5))
    with pytest.raises(FileFormatError, match=r"structure 4 of 5.* got 24; has generate.x left out structures"):
        TrnSet.from_file(tmp_path / "a.train")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" F\n", " maybe\n", r"line 2 \(header\): expected T or F"),
        ("           2\nTi", "         2.0\nTi", r"line 5 \(header\): expected the number of species, got '2\.0'"),
        ("           2\nTi", "           3\nTi", r"header"),
        (f" {PLAIN.n_atoms:11d}\n", "           1\n", f"should hold 1 atoms by its header, but has {PLAIN.n_atoms}"),
        ("           7\n", "           6\n", r"structure 0 of 4\): expected 6 of features, got 7"),
    ],
)
def test_texts_that_cannot_be_are_told_by_line(tmp_path, old, new, message):
    (tmp_path / "a").write_text(ascii_text(PLAIN).replace(old, new, 1))
    with pytest.raises(FileFormatError, match=message):
        TrnSet.from_file(tmp_path / "a")


def test_numbers_that_are_none_are_told_when_the_structure_is_read(tmp_path):
    text = ascii_text(PLAIN)
    first = f" {PLAIN.features[0][0][0]:24.16E}"
    (tmp_path / "a").write_text(text.replace(first, " ************************", 1))
    trnset = TrnSet.from_file(tmp_path / "a")
    with pytest.raises(FileFormatError, match=r"line 19: expected numbers for features, got '\*\*\*\*"):
        trnset[0]
    assert trnset[1].path == PLAIN.paths[1]


@pytest.mark.parametrize("kind", ["ascii", "binary"])
def test_a_species_that_no_header_names_is_told(tmp_path, kind):
    given = Given.of(frames()[:2])
    path = written(tmp_path, kind, given)
    one, three = (record("i", 1), record("i", 3)) if kind == "binary" else (b"           1\n", b"           3\n")
    whole = path.read_bytes()
    at = whole.index(one, whole.index(b"structure 0"))
    path.write_bytes(whole[:at] + three + whole[at + len(one) :])
    with pytest.raises(FileFormatError, match=r"the species is number 3, but there are 2"):
        TrnSet.from_file(path)[0]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_scale_of_zero_cannot_be_undone(tmp_path, kind):
    path = written(tmp_path, kind, Given.of(frames()[:1], normalized=True, scale=0.0))
    with pytest.raises(FileFormatError, match=r"normalised by a scale of 0\.0"):
        TrnSet.from_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04\0\0\0\0 torch.save", "neither text, nor Fortran records, nor HDF5"),
        (struct.pack(">3i", 4, 2, 4), "big-endian"),
        (b"# a readme\n", r"line 1 \(header\): expected T or F .*, but the file ends"),
    ],
)
def test_foreign_files_are_told(tmp_path, content, message):
    (tmp_path / "a.train").write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"a\.train.*{message}"):
        TrnSet.from_file(tmp_path / "a.train")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileFormatError, match=r"no such file: .*none\.train"):
        TrnSet.from_file(tmp_path / "none.train")
