"""XSF: read as ænet writes it, written and read again without loss, and wrong files told by line."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from potentia.errors import DataError, FileFormatError, PotentiaWarning
from potentia.potentials.formats.xsf import format_xsf, parse_xsf, read_xsf, write_xsf
from potentia.potentials.structure import Structure

REFEREE = Path(__file__).parents[2] / "../shared/referee/tio2"
CRYSTAL = """# total energy = -19517.5 eV

CRYSTAL
PRIMVEC
  5.0 0.0 0.0
  0.0 6.0 0.0
  0.1 0.0 7.0
PRIMCOORD
2 1
Ti  0.5 -1.5 2.5  0.1 0.2 0.3
 8  1.0  2.0 3.0D0 -0.1 -0.2 -0.3
"""
MOVIE = """ANIMSTEPS 3
CRYSTAL
PRIMVEC
5 0 0
0 6 0
0 0 7
# total energy = -1.0 eV
PRIMCOORD 1
1 1
H 0 0 0
# total energy = -2.0 eV
PRIMCOORD 2
1 1
H 0 0 1
# total energy = -3.0 eV
PRIMCOORD 3
1 1
H 0 0 2
"""
MOLECULES = """# total energy = -1.0 eV
ATOMS 1
H 0 0 0
H 0 0 0.7
# total energy = -2.0 eV
ATOMS 2
H 0 0 0
H 0 0 0.8
"""


def one(text):
    (structure,) = parse_xsf(text, "a.xsf")
    return structure


def random_structure(seed, pbc, *, energy=True, forces=True):
    rng = np.random.default_rng(seed)
    return Structure(
        rng.normal(size=(3, 3)) * 10.0 ** rng.integers(-8, 8, (3, 3)),
        ["Ti", "O", "X"],
        rng.normal() * 1e4 if energy else None,
        rng.normal(size=(3, 3)) if forces else None,
        cell=4 * np.eye(3) + rng.uniform(-1, 1, (3, 3)) if any(pbc) else None,
        pbc=pbc,
    )


def test_a_crystal_with_energy_and_forces():
    structure = one(CRYSTAL)
    assert structure.energy == -19517.5
    assert structure.species == ["Ti", "O"]
    np.testing.assert_array_equal(structure.positions, [[0.5, -1.5, 2.5], [1, 2, 3]])
    np.testing.assert_array_equal(structure.forces, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    np.testing.assert_array_equal(structure.cell, [[5, 0, 0], [0, 6, 0], [0.1, 0, 7]])
    assert structure.label == structure.source == "a.xsf"


@pytest.mark.parametrize(
    ("word", "pbc"),
    [
        ("CRYSTAL", (True, True, True)),
        ("SLAB", (True, True, False)),
        ("POLYMER", (True, False, False)),
        ("MOLECULE", (False, False, False)),
        ("DIM-GROUP\n2 1", (True, True, False)),
    ],
)
def test_the_first_word_says_where_it_repeats(word, pbc):
    assert tuple(one(CRYSTAL.replace("CRYSTAL", word)).pbc) == pbc


def test_every_frame_has_its_own_energy():
    frames = parse_xsf(MOVIE, "a.xsf")
    assert [frame.energy for frame in frames] == [-1.0, -2.0, -3.0]
    assert [frame.positions[0, 2] for frame in frames] == [0, 1, 2]
    assert all(np.array_equal(frame.cell, np.diag([5, 6, 7])) for frame in frames)
    assert [frame.source for frame in frames] == ["a.xsf, frame 0", "a.xsf, frame 1", "a.xsf, frame 2"]
    assert [frame.energy for frame in parse_xsf(MOLECULES, "a.xsf")] == [-1.0, -2.0]


def test_a_cell_may_change_from_frame_to_frame():
    second = "PRIMVEC 2\n8 0 0\n0 8 0\n0 0 8\nPRIMCOORD 2"
    cells = [frame.cell[0, 0] for frame in parse_xsf(MOVIE.replace("PRIMCOORD 2", second), "a.xsf")]
    assert cells == [5, 8, 8]


def test_no_energy_is_none_and_an_energy_may_follow_a_single_frame():
    assert one("ATOMS\nH 0 0 0").energy is None
    assert one("ATOMS\nH 0 0 0\n# total energy = -3 eV").energy == -3.0
    assert one("# The total energy is below\n#total energy = -3\nATOMS\n1 0 0 0").energy == -3.0


def test_conventional_cells_and_grids_are_passed_over():
    conventional = "CONVVEC\n9 0 0\n0 9 0\n0 0 9\nPRIMCOORD"
    grid = "BEGIN_BLOCK_DATAGRID_3D\nrho\nBEGIN_DATAGRID_3D_a\n1 1 1\n0.5\nEND_DATAGRID_3D\nEND_BLOCK_DATAGRID_3D\n"
    changed = one(CRYSTAL.replace("PRIMCOORD", conventional) + grid)
    np.testing.assert_array_equal(changed.cell, one(CRYSTAL).cell)


def test_forces_without_energy_may_be_in_hartree():
    with pytest.warns(PotentiaWarning, match="if ASE wrote them they are Hartree/Å"):
        one("ATOMS\nH 0 0 0 1 1 1")


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (True, False, False), (False, False, False)])
@pytest.mark.parametrize(("count", "forces"), [(1, True), (3, True), (2, False)])
def test_written_and_read_is_the_same_to_the_last_bit(tmp_path, pbc, count, forces):
    frames = [random_structure(seed, pbc, forces=forces) for seed in range(count)]
    write_xsf(tmp_path / "a.xsf", frames)
    again = read_xsf(tmp_path / "a.xsf")
    for before, after in zip(frames, again, strict=True):
        assert before.energy == after.energy
        assert before.species == after.species
        for name in ("positions", "forces", "cell", "pbc"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert format_xsf(again) == (tmp_path / "a.xsf").read_text()


def test_a_compressed_file_is_read(tmp_path):
    with gzip.open(tmp_path / "a.xsf.gz", "wt") as file:
        file.write(CRYSTAL)
    assert read_xsf(tmp_path / "a.xsf.gz")[0].energy == -19517.5


@pytest.mark.parametrize("text", [CRYSTAL, MOVIE], ids=["crystal", "movie"])
def test_a_file_cut_after_any_line_is_an_error(text):
    lines = text.splitlines()
    assert parse_xsf("\n".join(lines), "a.xsf")
    for kept in range(len(lines)):
        with pytest.raises(FileFormatError, match=r"a\.xsf"):
            parse_xsf("\n".join(lines[:kept]), "a.xsf")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("6.0 0.0", "6.0", "frame 0, line 7: PRIMVEC must be followed by three lines of three numbers"),
        ("6.0", "six", "line 6: expected numbers, got '0.0 six 0.0'"),
        ("2 1\n", "two 1\n", "line 9: expected the number of atoms, got 'two 1'"),
        ("2 1\n", "3 1\n", "the file ends early, at atom 2 of 3"),
        ("2 1\n", "1 1\n", "line 11: expected a keyword of XSF, got '8"),
        ("-0.2 -0.3", "", "line 11: an atom has 7 columns like those before"),
        ("-1.5 2.5  0.1 0.2 0.3", "-1.5", "line 10: an atom has 4 or 7 columns"),
        ("Ti ", "? ", "line 10: expected a chemical symbol or atomic number, got '?'"),
        (" 8 ", " 200 ", "line 11: expected a chemical symbol"),
        ("CRYSTAL", "", "line 8: PRIMCOORD must come after one of CRYSTAL"),
        ("CRYSTAL", "CRYSTALS", "line 3: .* did you mean 'CRYSTAL'"),
        ("CRYSTAL", "DIM-GROUP\n5 1", "from 0 to 3, got 5"),
        ("-19517.5 eV", "-19517.5 Ry", "line 1: the energy must be in eV"),
        ("-19517.5 eV", "", "line 1: expected numbers"),
        ("PRIMCOORD\n2 1", "ATOMS", "ATOMS is for molecules"),
        ("CRYSTAL\n", "# total energy = 1 eV\nCRYSTAL\n", "2 different energies before one frame, in lines 1, 3"),
    ],
)
def test_a_wrong_line_is_named(old, new, message):
    with pytest.raises(FileFormatError, match=message) as error:
        parse_xsf(CRYSTAL.replace(old, new, 1), "dir/a.xsf")
    assert "dir/a.xsf" in str(error.value)


def test_wrong_numbers_name_frame_and_atom():
    with pytest.raises(DataError, match=r"`positions` is not finite at atom 0 in a\.xsf, frame 1"):
        parse_xsf(MOVIE.replace("0 0 1\n", "0 0 nan\n"), "a.xsf")
    with pytest.raises(FileFormatError, match="expected frame number 2, got 'PRIMCOORD 3': a frame is missing"):
        parse_xsf(MOVIE.replace("PRIMCOORD 2", "PRIMCOORD 3"), "a.xsf")
    with pytest.raises(FileFormatError, match="3 frames announced, 2 found"):
        parse_xsf(MOVIE[: MOVIE.index("# total energy = -3.0")], "a.xsf")
    with pytest.raises(FileFormatError, match="the energy in line 10 has no frame: it must stand before the atoms"):
        parse_xsf(MOLECULES + "#\n# total energy = -3.0 eV", "a.xsf")


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.xsf").write_bytes(bytes(range(256)))
    with pytest.raises(FileFormatError, match=r"a\.xsf cannot be read as text"):
        read_xsf(tmp_path / "a.xsf")
    (tmp_path / "b.xsf").write_text("")
    with pytest.raises(FileFormatError, match=r"b\.xsf has no atoms"):
        read_xsf(tmp_path / "b.xsf")


@pytest.mark.parametrize(
    ("structures", "message"),
    [
        ([], "at least one structure"),
        ([random_structure(0, (True, True, True)), random_structure(1, (False,) * 3)], "must have one pbc"),
        ([random_structure(0, (False, False, True))], "order the cell vectors"),
        ([Structure([[0, 0, 0]], ["a b"])], "must be one word"),
    ],
)
def test_what_xsf_cannot_hold_is_not_written(tmp_path, structures, message):
    with pytest.raises(DataError, match=message):
        write_xsf(tmp_path / "a.xsf", structures)
    assert not (tmp_path / "a.xsf").exists()


@pytest.mark.skipif(not REFEREE.exists(), reason="the reference data is not beside this checkout")
def test_the_files_of_the_reference_are_read_whole():
    files = sorted(REFEREE.glob("*.xsf"))
    assert len(files) == 11
    for file in files:
        text = file.read_text()
        structure = one(text)
        numbers = [float(word) for line in text.splitlines()[-structure.n_atoms :] for word in line.split()[1:]]
        columns = [structure.positions] if structure.forces is None else [structure.positions, structure.forces]
        np.testing.assert_array_equal(np.hstack(columns).ravel(), numbers)
        assert format_xsf(one(format_xsf(structure))) == format_xsf(structure)
    energies = [read_xsf(file)[0].energy for file in itertools.islice(files, 1, 3)]
    assert energies == [-19517.09425849, -39038.85426649]
