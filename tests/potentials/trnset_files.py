"""Training sets of ænet, written byte by byte."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import h5py
import numpy as np
import pytest

from potentia import FeaturizedAtomicStructure, Structure
from potentials.small_data import FREE, frames

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
