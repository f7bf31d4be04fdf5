"""Training sets of ænet: text, binary and HDF5 hold the same, in eV, and files that are cut off or foreign are told."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import h5py
import numpy as np
import pytest

from potentia import FeaturizedAtomicStructure, Structure, TrnSet
from potentia.errors import DataError, FileFormatError
from potentials.small_data import FREE, config, frames, fresh

TYPES = ("Ti", "O")
FORMATS = ("ascii", "binary", "trnset_hdf5")
every_format = pytest.mark.parametrize("kind", FORMATS)


@dataclass
class Given:
    """What a file is made of; energies in eV, relative to free atoms."""

    structures: list[Structure]
    features: list[list[np.ndarray]]
    normalized: bool = False
    scale: float = 1.0
    shift: float = 0.0
    name: str = "data.train"
    paths: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, structures, n_features=(7, 7), **settings):
        rng = np.random.default_rng(5)
        sizes = dict(zip(TYPES, n_features, strict=True))
        features = [[rng.normal(size=sizes[name]) for name in s.species] for s in structures]
        paths = [f"../xsf/structure {k}.xsf" for k in range(len(structures))]
        return cls(structures, features, paths=paths, **settings)

    @property
    def cohesive(self):
        return [s.energy - sum(FREE[name] for name in s.species) for s in self.structures]

    @property
    def stored(self):
        """Energies as they stand in the file."""
        if not self.normalized:
            return self.cohesive
        n_atoms = [s.n_atoms for s in self.structures]
        return [self.scale * (e - n * self.shift) for e, n in zip(self.cohesive, n_atoms, strict=True)]

    @property
    def stored_forces(self):
        return [s.forces * (self.scale if self.normalized else 1.0) for s in self.structures]

    @property
    def stored_per_atom(self):
        return np.array([e / s.n_atoms for e, s in zip(self.stored, self.structures, strict=True)])

    @property
    def n_atoms(self):
        return sum(s.n_atoms for s in self.structures)


PLAIN = Given.of(frames()[:4])
SCALED = Given.of(frames()[:4], normalized=True, scale=0.37, shift=-1.25)
BEHLER = Given.of(frames()[:3], n_features=(3, 5))
"""Species with different numbers of features."""


def record(layout, *values):
    content = struct.pack("<" + layout, *values)
    return struct.pack("<i", len(content)) + content + struct.pack("<i", len(content))


def text_record(raw):
    return record(f"{len(raw)}s", raw)


def binary(given, n_structures=None):
    """Write as Fortran does; the number of structures may be one that is not true."""
    parts = [record("i", len(TYPES)), record("i", n_structures or len(given.structures)), text_record(b"TiO ")]
    parts += [record("2d", *FREE.values()), record("i", given.normalized)]
    parts += [record("d", given.scale), record("d", given.shift)]
    for s, path, e, forces, features in zip(
        given.structures, given.paths, given.stored, given.stored_forces, given.features, strict=True
    ):
        parts += [record("i", len(path)), text_record(path.encode())]
        parts += [record("2i", s.n_atoms, len(set(s.species))), record("d", e)]
        for name, x, f, values in zip(s.species, s.positions, forces, features, strict=True):
            parts += [record("i", TYPES.index(name) + 1), record("3d", *x), record("3d", *f)]
            parts += [record("i", len(values)), record(f"{len(values)}d", *values)]
    per_atom = given.stored_per_atom
    parts += [record("i", given.n_atoms), record("3d", per_atom.mean(), per_atom.min(), per_atom.max())]
    return b"".join([*parts, record("i", 1), record("i", 1), text_record(b"settings of a descriptor")])


def ascii_text(given):
    """Write as trnset2ASCII.x does, with numbers of 17 digits."""
    per_atom = given.stored_per_atom

    def row(*numbers):
        return "".join(f" {x:24.16E}" for x in numbers) + "\n"

    text = given.name + "\n" + (" T\n" if given.normalized else " F\n") + row(given.scale) + row(given.shift)
    text += "           2\nTi\nO \n" + row(*FREE.values())
    text += f" {given.n_atoms:11d}\n {len(given.structures):11d}\n" + row(
        per_atom.min(), per_atom.max(), per_atom.mean()
    )
    for s, path, e, forces, features in zip(
        given.structures, given.paths, given.stored, given.stored_forces, given.features, strict=True
    ):
        text += f"{path}\n {s.n_atoms:11d} {len(set(s.species)):11d}\n" + row(e)
        for name, x, f, values in zip(s.species, s.positions, forces, features, strict=True):
            text += f" {TYPES.index(name) + 1:11d}\n" + row(*x) + row(*f) + f" {len(values):11d}\n"
            text += row(*values).rstrip("\n") + " \n"
    return text


def hdf5(given, path, cells=False):
    """Write as aenet-python does, down to the type that PyTables has for booleans."""
    with h5py.File(path, "w") as file:
        b8, f8, u8 = h5py.h5t.STD_B8LE, h5py.h5t.IEEE_F64LE, h5py.h5t.STD_U64LE
        text = h5py.h5t.py_create(np.dtype("S64"))
        columns = {"name": h5py.h5t.py_create(np.dtype("S1024")), "normalized": b8, "scale": f8, "shift": f8}
        columns |= {"atom_types": h5py.h5t.array_create(text, (2,)), "atomic_energy": h5py.h5t.array_create(f8, (2,))}
        columns |= {"num_atoms_tot": u8, "num_structures": u8, "E_min": f8, "E_max": f8, "E_av": f8}
        kind = h5py.h5t.create(h5py.h5t.COMPOUND, sum(column.get_size() for column in columns.values()))
        at = 0
        for name, column in columns.items():
            kind.insert(name.encode(), at, column)
            at += column.get_size()
        per_atom = given.stored_per_atom
        raw = given.name.encode().ljust(1024, b"\0") + struct.pack("<B2d", given.normalized, given.scale, given.shift)
        raw += b"Ti".ljust(64, b"\0") + b"O".ljust(64, b"\0") + struct.pack("<2d", *FREE.values())
        raw += struct.pack(
            "<2Q3d", given.n_atoms, len(given.structures), per_atom.min(), per_atom.max(), per_atom.mean()
        )
        table = h5py.h5d.create(file.id, b"metadata", kind, h5py.h5s.create_simple((1,)))
        table.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(raw, dtype=f"V{at}"), mtype=kind)

        first = np.cumsum([0, *(s.n_atoms for s in given.structures)])
        rows = zip(given.paths, first, [s.n_atoms for s in given.structures], given.stored, strict=False)
        info = [("path", "S1024"), ("first_atom", "u8"), ("num_atoms", "u4"), ("energy", "f8")]
        file["structures/info"] = np.array([(p.encode(), a, n, e) for p, a, n, e in rows], dtype=info)
        atoms = [("structure", "u8"), ("type", "S64"), ("coords", "f8", 3), ("forces", "f8", 3)]
        file["structures/atoms"] = np.array(
            [
                (k, name.encode(), x, f)
                for k, (s, forces) in enumerate(zip(given.structures, given.stored_forces, strict=True))
                for name, x, f in zip(s.species, s.positions, forces, strict=True)
            ],
            dtype=atoms,
        )
        features = file.create_dataset("structures/features", (given.n_atoms,), dtype=h5py.vlen_dtype(np.float64))
        for k, values in enumerate(v for per_structure in given.features for v in per_structure):
            features[k] = values
        for k, s in enumerate(given.structures if cells else ()):
            if s.cell is not None:
                file[f"structures/cells/structure_{k:06d}/lattice_vectors"] = s.cell
                file[f"structures/cells/structure_{k:06d}/pbc"] = True


def written(folder, kind, given=PLAIN, **settings):
    path = folder / {"ascii": "data.train.ascii", "binary": "data.train", "trnset_hdf5": "data.h5"}[kind]
    if kind == "ascii":
        path.write_text(ascii_text(given))
    elif kind == "binary":
        path.write_bytes(binary(given))
    else:
        hdf5(given, path, **settings)
    return path


def assert_same(one: FeaturizedAtomicStructure, other: FeaturizedAtomicStructure):
    assert (one.path, one.energy, one.types) == (other.path, other.energy, other.types)
    np.testing.assert_array_equal(one.coords, other.coords)
    np.testing.assert_array_equal(one.forces, other.forces)
    for a, b in zip(one.features, other.features, strict=True):
        np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------------------------------- what a file holds


@every_format
@pytest.mark.parametrize("given", [PLAIN, SCALED, BEHLER], ids=["plain", "scaled", "behler"])
def test_what_was_written_is_read_in_electronvolts(tmp_path, kind, given):
    with TrnSet.from_file(written(tmp_path, kind, given)) as trnset:
        assert trnset.schema == kind
        assert (trnset.normalized, trnset.scale, trnset.shift) == (given.normalized, given.scale, given.shift)
        assert (trnset.atom_types, trnset.num_types) == (["Ti", "O"], 2)
        assert trnset.atomic_energy == list(FREE.values())
        assert (trnset.num_structures, trnset.num_atoms_tot) == (len(given.structures), given.n_atoms)
        for k, found in enumerate(trnset):
            wanted = given.structures[k]
            assert found.path == given.paths[k]
            assert found.types == wanted.species
            assert found.energy == pytest.approx(given.cohesive[k], rel=1e-12)
            assert found.total_energy == pytest.approx(wanted.energy, rel=1e-12)
            np.testing.assert_array_equal(found.coords, wanted.positions)
            np.testing.assert_allclose(found.forces, wanted.forces, rtol=1e-12, atol=1e-14)
            for values, expected in zip(found.features, given.features[k], strict=True):
                np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("given", [PLAIN, SCALED, BEHLER], ids=["plain", "scaled", "behler"])
def test_text_binary_and_hdf5_hold_the_same_numbers_to_the_last_bit(tmp_path, given):
    sets = [TrnSet.from_file(written(tmp_path, kind, given)) for kind in FORMATS]
    copies = []
    for kind, trnset in zip(FORMATS, sets, strict=True):
        trnset.to_hdf5(tmp_path / f"{kind}.h5")
        copies.append(TrnSet.from_file(tmp_path / f"{kind}.h5"))
    for other in (*sets[1:], *copies):
        assert (other.E_min, other.E_max, other.E_av) == (sets[0].E_min, sets[0].E_max, sets[0].E_av)
        assert other.atomic_energy == sets[0].atomic_energy
        for one, two in zip(sets[0], other, strict=True):
            assert_same(one, two)
    assert copies[0].name == "data.train"
    assert copies[1].name == str(tmp_path / "data.train")  # a binary file does not tell its name


@every_format
@pytest.mark.parametrize("given", [PLAIN, SCALED], ids=["plain", "scaled"])
def test_the_header_tells_lowest_highest_and_mean_energy_per_atom(tmp_path, kind, given):
    trnset = TrnSet.from_file(written(tmp_path, kind, given))
    per_atom = [s.energy / s.num_atoms for s in trnset]
    assert trnset.E_min == pytest.approx(min(per_atom))
    assert trnset.E_max == pytest.approx(max(per_atom))
    assert trnset.E_av == pytest.approx(np.mean(per_atom))


def test_only_a_file_that_says_so_is_scaled_back(tmp_path):
    """The tools of ænet write a shift of 1 into headers of sets that were never normalised."""
    given = Given.of(frames()[:2], normalized=False, scale=1.0, shift=1.0)
    trnset = TrnSet.from_file(written(tmp_path, "ascii", given))
    assert [s.energy for s in trnset] == pytest.approx(given.cohesive, rel=1e-15)
    assert trnset.shift == 1.0


def test_a_structure_tells_its_composition_and_features(tmp_path):
    found = TrnSet.from_file(written(tmp_path, "binary"))[0]
    wanted = PLAIN.structures[0]
    assert found.composition == {name: wanted.species.count(name) for name in TYPES}
    assert found.num_atoms == wanted.n_atoms
    np.testing.assert_array_equal(found.atom_features, np.stack(PLAIN.features[0]))
    titanium = [v for v, name in zip(PLAIN.features[0], wanted.species, strict=True) if name == "Ti"]
    np.testing.assert_array_equal(found.atom_features_for_type("Ti"), np.stack(titanium))
    assert found.atom_features_for_type("H").shape == (0, 0)
    assert not found.has_neighbor_info
    assert "structure 0.xsf" in repr(found)


def test_features_of_different_lengths_are_no_matrix(tmp_path):
    found = TrnSet.from_file(written(tmp_path, "ascii", BEHLER))[0]
    with pytest.raises(DataError, match=r"numbers of features differ \(\{'Ti': 3, 'O': 5\}\).*atom_features_for_type"):
        found.atom_features  # noqa: B018
    assert found.atom_features_for_type("O").shape[1] == 5


# ----------------------------------------------------------------------------------------------- as a sequence


@every_format
def test_a_set_is_a_sequence(tmp_path, kind):
    trnset = TrnSet.from_file(written(tmp_path, kind))
    paths = [s.path for s in trnset]
    assert len(trnset) == 4
    assert trnset[2].path == paths[2]  # backwards after the end was read
    assert trnset[-1].path == paths[-1]
    assert [s.path for s in trnset[1:3]] == paths[1:3]
    assert [s.path for s in trnset[::-2]] == paths[::-2]
    assert [s.path for s in reversed(trnset)] == paths[::-1]
    for outside in (4, -5):
        with pytest.raises(IndexError, match=rf"structure {outside} of 4"):
            trnset[outside]


@every_format
def test_coordinates_and_forces_are_read_when_asked_for(tmp_path, kind):
    trnset = TrnSet.from_file(written(tmp_path, kind))
    bare = trnset.read_structure(1)
    assert bare.coords is None
    assert bare.forces is None
    assert bare.energy == trnset[1].energy
    assert trnset.read_structure(1, read_forces=True).forces is not None
    assert trnset.read_structure(1, read_coords=True).coords is not None


@every_format
def test_a_closed_set_says_so(tmp_path, kind):
    with TrnSet.from_file(written(tmp_path, kind)) as trnset:
        first = trnset[0]
    trnset.close()
    assert first.types == PLAIN.structures[0].species  # what was read stays
    assert trnset.num_structures == 4
    with pytest.raises(DataError, match=r"data\..* was closed: open it again"):
        trnset[0]


# -------------------------------------------------------------------------------------------------- structures


def test_structures_of_a_file_with_cells_can_be_trained_on(tmp_path):
    given = Given.of(frames())
    trnset = TrnSet.from_file(written(tmp_path, "trnset_hdf5", given, cells=True))
    structures = trnset.to_structures()
    for found, wanted in zip(structures, given.structures, strict=True):
        assert found.energy == pytest.approx(wanted.energy, rel=1e-12)
        assert found.species == wanted.species
        assert found.pbc.tolist() == wanted.pbc.tolist()
        np.testing.assert_array_equal(found.forces, wanted.forces)
        if wanted.cell is not None:
            np.testing.assert_array_equal(found.cell, wanted.cell)
    assert structures[0].source.endswith("data.h5, structure 0")
    potential = fresh()
    potential.train(structures, config(iterations=1))
    trnset.to_hdf5(tmp_path / "copy.h5")
    again = TrnSet.from_file(tmp_path / "copy.h5").to_structures()
    assert [s.is_periodic() for s in again] == [s.is_periodic() for s in given.structures]


@every_format
def test_without_cells_structures_are_not_taken_for_molecules(tmp_path, kind):
    trnset = TrnSet.from_file(written(tmp_path, kind))
    with pytest.raises(DataError, match=r"structure 0: the file does not hold cells.*give `cells`"):
        trnset.to_structures()
    cells = [s.cell for s in PLAIN.structures]
    for found, wanted in zip(trnset.to_structures(cells), PLAIN.structures, strict=True):
        assert found.is_periodic() == wanted.is_periodic()
        assert found.energy == pytest.approx(wanted.energy, rel=1e-12)
    with pytest.raises(DataError, match="cells must be one for each of 4 structures, got 1"):
        trnset.to_structures(cells[:1])


# ------------------------------------------------------------------------------------------------ what is HDF5's


def test_neighbours_of_a_file_are_read_and_written(tmp_path):
    path = written(tmp_path, "trnset_hdf5")
    n_atoms = PLAIN.structures[1].n_atoms
    with h5py.File(path, "a") as file:
        group = file.create_group("structures/neighbor_info/structure_000001")
        group["neighbor_counts"] = np.arange(n_atoms)
        lists = group.create_dataset("neighbor_lists", (n_atoms,), dtype=h5py.vlen_dtype(np.int32))
        vectors = group.create_dataset("neighbor_vectors", (n_atoms,), dtype=h5py.vlen_dtype(np.float64))
        for k in range(n_atoms):
            lists[k], vectors[k] = np.arange(k), np.arange(3.0 * k)
    TrnSet.from_file(path).to_hdf5(tmp_path / "copy.h5")
    for name in (path, tmp_path / "copy.h5"):
        trnset = TrnSet.from_file(name)
        assert trnset.has_neighbor_info()
        assert not trnset[0].has_neighbor_info
        found = trnset[1].neighbor_info
        assert found.counts.tolist() == list(range(n_atoms))
        assert [len(atoms) for atoms in found.lists] == list(range(n_atoms))
        np.testing.assert_array_equal(found.vectors[2], [[0, 1, 2], [3, 4, 5]])
    assert not TrnSet.from_file(written(tmp_path, "ascii")).has_neighbor_info()


def test_a_copy_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "old.h5").write_text("what was there")
    cut = written(tmp_path, "trnset_hdf5")
    with h5py.File(cut, "a") as file:
        atoms = file["structures/atoms"][()]
        atoms["type"][-1] = b"Zr"
        file["structures/atoms"][...] = atoms
    with pytest.raises(FileFormatError, match=r"structure 3 has species \['Zr'\]"):
        TrnSet.from_file(cut).to_hdf5(tmp_path / "old.h5")
    assert (tmp_path / "old.h5").read_text() == "what was there"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.h5", "old.h5"]


def test_pickles_of_the_reference_are_never_read(tmp_path):
    with h5py.File(tmp_path / "torch.h5", "w") as file:
        file["entries/structures"] = np.zeros(3, np.uint8)
    with pytest.raises(FileFormatError, match=r"torch\.h5 .* pickles: these could run code"):
        TrnSet.from_file(tmp_path / "torch.h5")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.__delitem__("structures/features"), "has no table /structures/features"),
        (lambda f: f.__delitem__("metadata"), "has no table /metadata"),
        (lambda f: f.move("structures/info", "structures/old"), "has no table /structures/info"),
        (lambda f: replace_table(f, "structures/atoms", ["type", "coords"]), "has no column forces"),
        (lambda f: replace_table(f, "structures/info", ..., -1), "should have 4 rows in /structures/info, but has 3"),
    ],
)
def test_hdf5_files_laid_out_otherwise_are_told(tmp_path, damage, message):
    path = written(tmp_path, "trnset_hdf5")
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(FileFormatError, match=rf"data\.h5 .*{message}"):
        TrnSet.from_file(path)


def replace_table(file, name, columns, stop=None):
    rows = file[name][()][:stop]
    del file[name]
    file[name] = rows if columns is ... else rows[columns].copy()


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
