"""Reading: anything that holds structures, with a table of what was found and one remark for each kind of trouble."""

from __future__ import annotations

import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from potentia.errors import DataError, FileFormatError, PotentiaWarning
from potentia.potentials.ase_labels import LabelKeys
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.formats.xsf import write_xsf
from potentia.potentials.structure import Structure

DATA = Path(__file__).parents[2] / "../shared/data"
PLAIN = """2
energy=-1.5 pbc="F F F"
H 0.0 0.0 0.0
H 0.0 0.0 0.7
"""


def labelled(k=0, **results):
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.rattle(0.02, seed=k)
    results = {"energy": -7.0 - k, "forces": np.full((2, 3), 0.1 * k), "stress": np.arange(6.0) / 100} | results
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def written(path, frames, **settings):
    ase.io.write(path, frames, **settings)
    return path


def assert_same_labels(one, other):
    assert one.energy == pytest.approx(other.energy, rel=1e-12)
    for name in ("positions", "forces", "stress", "cell"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-7)


@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz", "a.traj", "a@2.xyz", "a.xyz.gz", "a.json"])
def test_all_frames_and_labels_of_a_file_are_read(tmp_path, name):
    frames = [labelled(k) for k in range(3)]
    reading = read_structures(written(tmp_path / name, frames))
    for k, (structure, atoms) in enumerate(zip(reading.structures, frames, strict=True)):
        assert_same_labels(structure, Structure.from_atoms(atoms))
        assert structure.source == f"{tmp_path / name}, frame {k}"
    assert str(reading) == "reading: 3 frames, 6 atoms; energy 3, forces 3, stress 3"


def test_a_file_of_one_frame_is_called_by_its_path_alone(tmp_path):
    path = written(tmp_path / "POSCAR", labelled(), format="vasp")
    (structure,) = read_structures(str(path)).structures
    assert structure.label == str(path)
    assert not structure.has_energy()


def test_xsf_goes_to_our_own_reader(tmp_path):
    structure = Structure.from_atoms(labelled())
    write_xsf(tmp_path / "a.XSF", structure)
    (again,) = read_structures(tmp_path / "a.XSF").structures
    np.testing.assert_array_equal(again.forces, structure.forces)
    assert again.energy == structure.energy


def test_items_may_be_mixed_and_the_table_has_a_row_for_each_source(tmp_path):
    bare = Structure([[0, 0, 0]], ["H"], energy=1.0)
    path = written(tmp_path / "a.xyz", [labelled(), Atoms("H")])
    reading = read_structures([bare, path, labelled(), path])
    assert reading.structures[0] is bare
    table = reading.table.set_index("source")
    assert table.loc["in memory"].tolist() == [2, 3, 2, 1, 1]
    assert table.loc[str(path)].tolist() == [4, 6, 2, 2, 2]
    assert table.columns.tolist() == ["frames", "atoms", "energy", "forces", "stress"]
    assert str(reading) == "reading: 6 frames, 9 atoms; energy 4, forces 3, stress 3"


def test_one_item_is_as_good_as_a_list_of_one(tmp_path):
    atoms = labelled()
    for item in (atoms, Structure.from_atoms(atoms), written(tmp_path / "a.xyz", atoms), str(tmp_path / "a.xyz")):
        assert_same_labels(*read_structures(item).structures, *read_structures([item]).structures)


def test_nothing_gives_an_empty_reading():
    reading = read_structures([])
    assert reading.structures == []
    assert reading.table.empty
    assert str(reading) == "reading: 0 frames, 0 atoms; energy 0, forces 0, stress 0"


def test_name_weight_and_the_rest_of_info_are_kept(tmp_path):
    (tmp_path / "a.xyz").write_text(PLAIN.replace("energy", "name=dimer weight=2.5 config_type=gas energy"))
    (structure,) = read_structures(tmp_path / "a.xyz").structures
    assert (structure.label, structure.weight, structure.info) == ("dimer", 2.5, {"config_type": "gas"})
    assert not structure.is_periodic()
    assert structure.cell is None


def test_a_virial_becomes_a_stress_of_the_other_sign(tmp_path):
    lattice = 'Lattice="2 0 0 0 3 0 0 0 4" virial="1 0.5 0 0.5 2 0 0 0 3"'
    (tmp_path / "a.xyz").write_text(PLAIN.replace('pbc="F F F"', lattice))
    (structure,) = read_structures(tmp_path / "a.xyz").structures
    np.testing.assert_allclose(structure.stress, [[-1 / 24, -0.5 / 24, 0], [-0.5 / 24, -2 / 24, 0], [0, 0, -3 / 24]])


def test_constrained_frames_keep_their_forces(tmp_path):
    atoms = labelled(3)
    atoms.set_constraint(FixAtoms([0]))
    path = written(tmp_path / "a.traj", atoms)
    np.testing.assert_allclose(read_structures([path, atoms]).structures[0].forces, 0.3)
    np.testing.assert_allclose(read_structures([path, atoms]).structures[1].forces, 0.3)


def test_a_remark_is_made_once_for_many_frames(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(PLAIN.replace("energy", "REF_energy=-2.5 energy") * 5)
    with pytest.warns(PotentiaWarning, match="'REF_energy' differ") as caught:
        reading = read_structures(path)
    assert len(caught) == 1
    assert f"(5 frames, the first is {path}, frame 0)" in str(caught[0].message)
    assert Path(caught[0].filename).name == "test_reading.py"
    assert {s.energy for s in reading.structures} == {-1.5}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_structures(path, keys=LabelKeys(energy=("REF_energy",)))
    assert {s.energy for s in read.structures} == {-2.5}


def test_a_label_of_unknown_name_is_pointed_out(tmp_path):
    (tmp_path / "a.xyz").write_text(PLAIN.replace("energy", "my_energy"))
    with pytest.warns(PotentiaWarning, match=r"no energy label is read, although there is 'my_energy'"):
        assert "energy 0" in str(read_structures(tmp_path / "a.xyz"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.xyz", PLAIN * 2 + "2\nenergy=1\nH 0 0 0\n", r"ASE cannot read .*cut\.xyz"),
        ("bad.xyz", PLAIN.replace("0.7", "zero"), r"ASE cannot read .*bad\.xyz"),
        ("noise.traj", "no trajectory", r"ASE cannot read .*noise\.traj"),
        ("what.zzz", "what", r"ASE cannot read .*what\.zzz .*UnknownFileType"),
        ("vasprun.xml", "<modeling><calc", r"ASE cannot read .*vasprun\.xml"),
        ("CONTCAR", "only a title\n", r"ASE cannot read .*CONTCAR"),
        ("empty.xyz", "", r"empty\.xyz"),
        ("empty.xsf", "", r"empty\.xsf"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(FileFormatError, match=message):
        read_structures(tmp_path / name)


def test_wrong_labels_name_file_frame_and_atom(tmp_path):
    frames = PLAIN + PLAIN.replace("0.7", "nan")
    (tmp_path / "a.xyz").write_text(frames)
    with pytest.raises(DataError, match=r"`positions` is not finite at atom 1 in .*a\.xyz, frame 1"):
        read_structures(tmp_path / "a.xyz")
    with pytest.raises(DataError, match=r"energy .* not finite, .* in item 1"):
        read_structures([labelled(), labelled(energy=np.nan)])


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        ("nowhere/a.xsf", FileFormatError, "no such file: nowhere/a.xsf .looked in"),
        ("*.xsf", FileFormatError, r"patterns are not expanded: give sorted\(Path\('.'\).glob\('\*.xsf'\)\)"),
        (".", FileFormatError, "is a directory"),
        (3, DataError, "got int"),
        (None, DataError, "got NoneType"),
        ([Atoms("H"), 3.0], DataError, "item 1 must be a path, an ase.Atoms or a Structure, got float"),
        ([["a.xyz"]], DataError, "item 0 must be .* got list"),
    ],
)
def test_what_holds_no_structure_is_refused(item, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        read_structures(item)


@pytest.mark.skipif(not DATA.exists(), reason="the reference data is not beside this checkout")
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(
            "tio2/structures.xyz",
            "reading: 7,815 frames, 165,229 atoms; energy 7,815, forces 7,815, stress 0",
            marks=pytest.mark.slow,
        ),
        ("mlearn/Si_test.xyz", "reading: 25 frames, 1,525 atoms; energy 25, forces 25, stress 25"),
    ],
)
def test_published_sets_are_read_whole(file, expected):
    assert str(read_structures(DATA / file)) == expected
