"""Training sets of ænet: text, binary and HDF5 hold the same, in eV, and files that are cut off or foreign are told."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from potentia import TrnSet
from potentia.errors import DataError, FileFormatError
from potentials.small_data import FREE, config, frames, fresh
from potentials.trnset_files import FORMATS, PLAIN, TYPES, Given, assert_same, every_format, written

SCALED = Given.of(frames()[:4], normalized=True, scale=0.37, shift=-1.25)
BEHLER = Given.of(frames()[:3], n_features=(3, 5))
"""Species with different numbers of features."""


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
