"""Training sets in HDF5, laid out as aenet-python does: read with h5py, and written whole or not at all.

``/metadata`` is a table of one row. ``/structures/info`` has a row for each structure (path, first_atom, num_atoms,
energy), ``/structures/atoms`` one for each atom (structure, type, coords, forces), and ``/structures/features`` a
ragged array for each atom. Where cells are known, ``/structures/cells/structure_%06d`` holds lattice_vectors and pbc,
and where neighbours are, ``/structures/neighbor_info/structure_%06d`` neighbor_counts, neighbor_lists and
neighbor_vectors.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from potentia.errors import FileFormatError
from potentia.potentials.formats.trnset_record import (
    NeighborInfo,
    TrnSetEntry,
    TrnSetHeader,
    TrnSetReader,
    bytes_of,
    text_of,
)
from potentia.storage import write_bytes

__all__ = ["HDF5TrnSet", "write_hdf5"]

_INFO = ("path", "first_atom", "num_atoms", "energy")
_ATOMS = ("type", "coords", "forces")
_NUMBERS = ("scale", "shift", "E_min", "E_max", "E_av")
_COUNTS = ("num_atoms_tot", "num_structures")


class HDF5TrnSet(TrnSetReader):
    """A training set in HDF5.

    Raises:
        FileFormatError: the file is truncated, or is laid out otherwise.
    """

    schema = "trnset_hdf5"

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise FileFormatError(f"{path} cannot be opened as HDF5, it is cut off or damaged: {error}") from None
        try:
            self._require_layout()
            self.header = self._header()
            self._info = self._file["structures/info"][()]  # [structures]
            self._check_sizes()
        except FileFormatError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise FileFormatError(f"{path} cannot be read, it is damaged or needs a filter: {error}") from error
        self.has_neighbors = "structures/neighbor_info" in self._file

    def entry(self, index: int, *, coords: bool, forces: bool) -> TrnSetEntry:  # noqa: D102
        info = self._info[index]
        rows = slice(int(info["first_atom"]), int(info["first_atom"]) + int(info["num_atoms"]))
        try:
            atoms = self._file["structures/atoms"][rows]  # [atoms]
            features = self._file["structures/features"][rows]  # [atoms], each [features]
            cell, pbc = self._cell(index)
            neighbours = self._neighbours(index)
        except (OSError, KeyError, ValueError) as error:
            raise FileFormatError(f"{self._path}, structure {index} cannot be read: {error}") from error
        types = [text_of(name) for name in atoms["type"]]
        unknown = set(types) - set(self.header.atom_types)
        if unknown:
            raise FileFormatError(f"{self._path}, structure {index} has species {sorted(unknown)} that no header names")
        return TrnSetEntry(
            path=text_of(info["path"]),
            energy=float(info["energy"]),
            types=types,
            features=[np.array(values, dtype=np.float64) for values in features],
            coords=np.array(atoms["coords"], dtype=np.float64) if coords else None,
            forces=np.array(atoms["forces"], dtype=np.float64) if forces else None,
            cell=cell,
            pbc=pbc,
            neighbor_info=neighbours,
        )

    def close(self) -> None:  # noqa: D102
        self._file.close()

    def _require_layout(self) -> None:
        if "entries" in self._file:
            raise FileFormatError(
                f"{self._path} is a data set of aenet-python's torch training, whose structures are pickles: these "
                "could run code when opened and are never read; take the files that it was made of"
            )
        columns = {"structures/info": _INFO, "structures/atoms": _ATOMS, "structures/features": ()}
        columns["metadata"] = ("name", "normalized", "atom_types", "atomic_energy", *_NUMBERS, *_COUNTS)
        for name, wanted in columns.items():
            dataset = self._file.get(name)
            if not isinstance(dataset, h5py.Dataset):
                raise FileFormatError(f"{self._path} is no training set: it has no table /{name}")
            lacking = [column for column in wanted if column not in (dataset.dtype.names or ())]
            if lacking:
                raise FileFormatError(f"{self._path} is no training set: /{name} has no column {', '.join(lacking)}")

    def _header(self) -> TrnSetHeader:
        if len(self._file["metadata"]) != 1:
            raise FileFormatError(f"{self._path} has {len(self._file['metadata'])} rows in /metadata, wanted one")
        row = self._file["metadata"][0]
        return TrnSetHeader(
            name=text_of(row["name"]),
            normalized=bool(row["normalized"]),
            atom_types=tuple(text_of(name) for name in row["atom_types"]),
            atomic_energy=tuple(float(energy) for energy in row["atomic_energy"]),
            scale=float(row["scale"]),
            shift=float(row["shift"]),
            num_atoms_tot=int(row["num_atoms_tot"]),
            num_structures=int(row["num_structures"]),
            E_min=float(row["E_min"]),
            E_max=float(row["E_max"]),
            E_av=float(row["E_av"]),
        )

    def _check_sizes(self) -> None:
        sizes = {"info": self.header.num_structures, "atoms": self.header.num_atoms_tot}
        sizes["features"] = self.header.num_atoms_tot
        for name, wanted in sizes.items():
            found = len(self._file[f"structures/{name}"])
            if found != wanted:
                raise FileFormatError(f"{self._path} should have {wanted} rows in /structures/{name}, but has {found}")
        last = self._info["first_atom"].astype(np.int64) + self._info["num_atoms"].astype(np.int64)
        if len(last) and last.max() > self.header.num_atoms_tot:
            k = int(last.argmax())
            raise FileFormatError(f"{self._path}, structure {k} ends with atom {last[k]}, which is not in the file")

    def _cell(self, index: int) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_] | None]:
        """Return cell and pbc; where the file has cells but none for this structure, it does not repeat."""
        if "structures/cells" not in self._file:
            return None, None
        group = self._file["structures/cells"].get(_group(index))
        if group is None:
            return None, np.zeros(3, dtype=bool)
        pbc = np.broadcast_to(np.asarray(group["pbc"][()]).astype(bool), 3)
        return np.array(group["lattice_vectors"][()], dtype=np.float64).reshape(3, 3), pbc.copy()

    def _neighbours(self, index: int) -> NeighborInfo | None:
        group = self._file.get(f"structures/neighbor_info/{_group(index)}")
        if group is None:
            return None
        return NeighborInfo(
            counts=np.array(group["neighbor_counts"][()], dtype=np.int64),
            lists=tuple(np.array(atoms, dtype=np.int64) for atoms in group["neighbor_lists"]),
            vectors=tuple(np.array(flat, dtype=np.float64).reshape(-1, 3) for flat in group["neighbor_vectors"]),
        )


def write_hdf5(path: Path, header: TrnSetHeader, entries: Iterable[TrnSetEntry]) -> None:
    """Write a training set, numbers as they are; the file is put together in memory, then written at once."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _write_table(file, "metadata", _metadata_row(header))
        structures = file.create_group("structures")
        ragged = {"dtype": h5py.vlen_dtype(np.float64), "chunks": (1024,), "maxshape": (None,)}
        features = structures.create_dataset("features", (header.num_atoms_tot,), **ragged)
        infos: list[tuple[bytes, int, int, float]] = []
        atoms: list[NDArray[Any]] = []
        first = 0
        for k, entry in enumerate(entries):
            n_atoms = len(entry.types)
            features[first : first + n_atoms] = _ragged(entry.features)
            infos.append((bytes_of(entry.path), first, n_atoms, entry.energy))
            atoms.append(_atom_rows(k, entry))
            _write_cell(structures, k, entry)
            _write_neighbours(structures, k, entry)
            first += n_atoms
        width = max([1024, *(len(info[0]) for info in infos)])
        info_type = [("path", f"S{width}"), ("first_atom", "u8"), ("num_atoms", "u4"), ("energy", "f8")]
        _write_table(structures, "info", np.array(infos, dtype=info_type))
        _write_table(structures, "atoms", np.concatenate([np.empty(0, _ATOM_TYPE), *atoms]))
    write_bytes(path, buffer.getvalue())


_ATOM_TYPE = np.dtype([("structure", "u8"), ("type", "S64"), ("coords", "f8", (3,)), ("forces", "f8", (3,))])


def _group(index: int) -> str:
    return f"structure_{index:06d}"


def _metadata_row(header: TrnSetHeader) -> NDArray[Any]:
    n = len(header.atom_types)
    name = bytes_of(header.name)
    row = np.zeros(
        1,
        dtype=[
            ("name", f"S{max(1024, len(name))}"),
            ("normalized", "?"),
            ("atom_types", "S64", (n,)),
            ("atomic_energy", "f8", (n,)),
            *((column, "u8") for column in _COUNTS),
            *((column, "f8") for column in _NUMBERS),
        ],
    )
    row["name"] = name
    row["normalized"] = header.normalized
    row["atom_types"] = [bytes_of(symbol) for symbol in header.atom_types]
    row["atomic_energy"] = header.atomic_energy
    for column in (*_COUNTS, *_NUMBERS):
        row[column] = vars(header)[column]
    return row


def _atom_rows(index: int, entry: TrnSetEntry) -> NDArray[Any]:
    rows = np.zeros(len(entry.types), _ATOM_TYPE)
    rows["structure"] = index
    rows["type"] = [bytes_of(symbol) for symbol in entry.types]
    rows["coords"] = entry.coords
    rows["forces"] = entry.forces
    return rows


def _write_table(group: h5py.Group, name: str, rows: NDArray[Any]) -> None:
    compressed = {"chunks": True, "maxshape": (None,), "compression": "gzip", "compression_opts": 1}
    group.create_dataset(name, data=rows, **(compressed if len(rows) else {}))


def _write_cell(structures: h5py.Group, index: int, entry: TrnSetEntry) -> None:
    if entry.pbc is None:
        return
    cells = structures.require_group("cells")
    if entry.cell is None:
        return
    group = cells.create_group(_group(index))
    group["lattice_vectors"] = entry.cell
    group["pbc"] = bool(entry.pbc[0]) if len(set(entry.pbc.tolist())) == 1 else entry.pbc


def _write_neighbours(structures: h5py.Group, index: int, entry: TrnSetEntry) -> None:
    if entry.neighbor_info is None:
        return
    group = structures.require_group("neighbor_info").create_group(_group(index))
    group["neighbor_counts"] = entry.neighbor_info.counts
    n_atoms = len(entry.types)
    for name, arrays, kind in (
        ("neighbor_lists", entry.neighbor_info.lists, np.int64),
        ("neighbor_vectors", entry.neighbor_info.vectors, np.float64),
    ):
        dataset = group.create_dataset(name, (n_atoms,), dtype=h5py.vlen_dtype(kind))
        dataset[:] = _ragged([array.reshape(-1) for array in arrays])


def _ragged(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return arrays in the form that h5py takes for ragged rows: a matrix where all are of one length, else objects."""
    if len({len(array) for array in arrays}) == 1:
        return np.stack(arrays)
    ragged = np.empty(len(arrays), dtype=object)
    for k, array in enumerate(arrays):
        ragged[k] = array
    return ragged
