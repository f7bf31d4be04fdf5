"""The two kinds of files of ænet: read as Fortran reads them, and errors that name file and record."""

from __future__ import annotations

import dataclasses
import struct

import pytest

from potentia import TorchANNPotential
from potentia.errors import FileFormatError
from potentia.potentials.formats.aenet_network import AenetNetwork, read_aenet_network
from potentials.aenet_files import binaries, drawn


@pytest.fixture
def files(tmp_path):
    return drawn().to_aenet_ascii(tmp_path)


@pytest.fixture
def text(files):
    return files["Ti"].read_text()


def reading(content, tmp_path) -> AenetNetwork:
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_aenet_network(path)


def test_text_is_read_as_fortran_reads_it(text, tmp_path):
    """Wrapped lines, repeats, D exponents, commas, quotes; of a bare text the first word counts."""
    expected = reading(text, tmp_path).to_binary()
    lines = text.splitlines()
    at = lines.index("Chebyshev")
    assert lines[at + 3] == "0 0 0 0 0 0 0 0 0 0"  # sf
    lines[at + 3 : at + 5] = ["10*0,", "", "  4*0"]
    lines[at] = "'Chebyshev' basis"
    place = lines.index("potentia")
    lines[place] = "potentia of two elements / and more"
    content = "\n".join(lines).replace("E+00", "D+00").replace("\nT\n", "\n .TRUE.\n") + "\n\n"
    assert reading(content, tmp_path).to_binary() == expected


@pytest.mark.parametrize("description", ["two words", "it's", "a/b,c;d", "", "3*4", '"', "Å"])
def test_texts_come_back(description, files, tmp_path):
    network = dataclasses.replace(read_aenet_network(files["O"]), description=description, training_set=description)
    for content in (network.to_text(), network.to_binary()):
        found = reading(content, tmp_path)
        assert (found.description, found.training_set) == (description, description)
        assert found.to_binary() == network.to_binary()


def test_a_text_that_was_cut_off_anywhere(text, tmp_path):
    lines = text.splitlines(keepends=True)
    for n in range(len(lines)):
        with pytest.raises(FileFormatError, match=r"file, record \d+ \(.*\): expected .*, but the file ends|must be"):
            reading("".join(lines[:n]), tmp_path)


def test_a_binary_that_was_cut_off_anywhere(files, tmp_path):
    content = binaries(files)["O"].read_bytes()
    for n in [*range(0, 400, 3), *range(400, len(content), 97), len(content) - 1]:
        with pytest.raises(FileFormatError, match=r"file.*record \d+"):
            reading(content[:n], tmp_path)


def replaced(text, old, new):
    assert text.count(old) >= 1
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Chebyshev", "Behler2011", r"record 16 \(sftype\): expected the descriptor Chebyshev.* got 'Behler2011'"),
        ("14 5 4 3 4 2 1", "14 5 4 3 4 1 1", r"record 5 \(nnodes\): layers of \(14, 5, 4, 3, 4, 1, 1\) nodes give"),
        ("14 5 4 3 4 2 1", "14 5 4 3 4 2 2", r"the last of just one"),
        (
            "14 5 4 3 4 2 1",
            "14 5 4 3 4 2",
            r"record 5 \(nnodes\): expected 7 value\(s\), but the line goes on",
        ),
        ("14 5 4 3 4 2 1", "14 5 4 3 4 2 x", r"value 7 of 7 must be an integer, got 'x'"),
        ("1 2 3 4 0 0", "1 2 3 5 0 0", r"record 6 \(f_a\): activation 5 is unknown: 0 linear, 1 tanh"),
        ("0 75 99", "0 75 98", r"record 7 \(iw\): expected \[0, 75, 99, .*\], which follows from the nodes"),
        ("\nTi O\n", "\nTi Oxy\n", r"record 13 \(envtypes\): 'Oxy' has more than 2 characters"),
        ("\n2\nTi O\n", "\n1\nTi O\n", r"orders 3 and 2 with 1 species give 7 features, but there are 14"),
        ("\n2\nTi O\n", "\n-2\nTi O\n", r"record 12 \(nenv\): expected an integer of at least 1, got -2"),
        ("\n14\n4\n", "\n15\n4\n", r"record 17 \(nsf\): expected 14, which follows from the records before, got 15"),
        ("\nT\n", "\nyes\n", r"record 28 \(normalized\): expected T or F, got 'YES'"),
        ("\nT\n  6.99", "\nT\n  nan 6.99", r"record 29 \(scale\)"),
        ("3.6000000000000001E+00   3.0", "nan   3.0", r"record 20 \(sfparam\): value 1 is not finite"),
        ("3.6000000000000001E+00   3.0", "3.6000000000000001E+00   3.5", r"record 20 \(sfparam\): expected rad_cutoff"),
    ],
)
def test_text_with_a_fault(old, new, message, text, tmp_path):
    with pytest.raises(FileFormatError, match=message):
        reading(replaced(text, old, new), tmp_path)


def test_what_comes_after_the_last_record(text, files, tmp_path):
    with pytest.raises(FileFormatError, match=r"record 36 .* but 'rubbish' comes after it"):
        reading(text + "\nrubbish\n", tmp_path)
    with pytest.raises(FileFormatError, match=r"record 36 .* but 3 bytes come after it"):
        reading(binaries(files)["Ti"].read_bytes() + b"abc", tmp_path)


def test_binary_of_another_kind(files, tmp_path):
    content = binaries(files)["Ti"].read_bytes()
    wide = struct.pack("<q", 4) + content[4:8] + struct.pack("<q", 4)
    for other, message in (
        (struct.pack(">3i", 4, 7, 4) + content[12:], "is big-endian"),
        (wide, "has record marks of 8 bytes"),
        (
            content[:8] + struct.pack("<i", 5) + content[12:],
            r"record 1 \(nlayers\).* lengths before and after it differ",
        ),
        (
            content[:12] + struct.pack("<i", 8) + content[16:],
            r"record 2 .*expected 1 integer\(s\) \(4 bytes\).* has 8 bytes",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0", r"record 1 \(nlayers\)"),
        ("é".encode("latin-1"), "neither text nor a binary potential"),
        (b"", r"record 1 \(nlayers\): expected 1 value"),
    ):
        with pytest.raises(FileFormatError, match=message):
            reading(other, tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileFormatError, match=r"no such file: .*Ti\.nn \(looked in"):
        TorchANNPotential.from_aenet({"Ti": tmp_path / "Ti.nn"})
