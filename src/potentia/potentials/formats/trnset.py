"""Training sets of ænet: structures with their features, energies and forces, from text, Fortran binary or HDF5.

ænet keeps energies relative to free atoms (total energy minus `TrnSet.atomic_energy` of each atom). A normalised file
has them scaled: ``scale * (energy - number of atoms * shift)``, and ``scale * forces``. Here both are handed out in eV
and eV/Å. Features of a normalised file are left as they are: only the binary file tells how they were scaled.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import overload

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from potentia.errors import DataError, FileFormatError
from potentia.potentials.formats.trnset_ascii import AsciiTrnSet
from potentia.potentials.formats.trnset_fortran import FortranTrnSet, looks_like_fortran
from potentia.potentials.formats.trnset_hdf5 import HDF5TrnSet, write_hdf5
from potentia.potentials.formats.trnset_record import NeighborInfo, TrnSetEntry, TrnSetHeader, TrnSetReader
from potentia.potentials.structure import Structure

__all__ = ["FeaturizedAtomicStructure", "NeighborInfo", "TrnSet"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FeaturizedAtomicStructure:
    """One structure of a training set."""

    path: str
    """Of the file that it came from, as it was when features were made."""
    energy: float
    """Of all atoms together, relative to free atoms (eV)."""
    total_energy: float
    """The same with the energies of the free atoms (eV)."""
    atom_types: tuple[str, ...]
    """Species of the whole training set."""
    types: list[str]
    """Species of each atom.  [atoms]"""
    features: list[NDArray[np.float64]]
    """For each atom; species may have different numbers of them.  [features]"""
    coords: NDArray[np.float64] | None
    """Å; None where not asked for.  [atoms, 3]"""
    forces: NDArray[np.float64] | None
    """eV/Å; None where not asked for.  [atoms, 3]"""
    cell: NDArray[np.float64] | None
    """Rows are the lattice vectors, Å; None where there are none, or the file does not tell.  [3, 3]"""
    pbc: NDArray[np.bool_] | None
    """Along which lattice vectors it repeats; None where the file does not tell, as in text and binary.  [3]"""
    neighbor_info: NeighborInfo | None
    """Neighbours of each atom, where the file has them."""

    def __repr__(self) -> str:
        formula = "".join(f"{symbol}{count}" for symbol, count in self.composition.items())
        return f"FeaturizedAtomicStructure({formula}, {self.energy:.6g} eV; {self.path})"

    @property
    def num_atoms(self) -> int:
        """Number of atoms."""
        return len(self.types)

    @property
    def composition(self) -> dict[str, int]:
        """Number of atoms of each species that it has, in the order of `atom_types`."""
        counts = Counter(self.types)
        return {name: counts[name] for name in self.atom_types if counts[name]}

    @property
    def atom_features(self) -> NDArray[np.float64]:
        """Features of all atoms.  [atoms, features].

        Raises:
            DataError: species have different numbers of features.
        """
        lengths = {name: len(values) for name, values in zip(self.types, self.features, strict=True)}
        if len(set(lengths.values())) > 1:
            raise DataError(f"numbers of features differ ({lengths}) in {self.path}: use atom_features_for_type")
        return np.stack(self.features)

    def atom_features_for_type(self, atom_type: str) -> NDArray[np.float64]:
        """Return the features of the atoms of one species.  [atoms of this species, features]."""
        found = [values for name, values in zip(self.types, self.features, strict=True) if name == atom_type]
        return np.stack(found) if found else np.empty((0, 0))

    @property
    def has_neighbor_info(self) -> bool:
        """Whether the file has its neighbours."""
        return self.neighbor_info is not None


class TrnSet(Sequence[FeaturizedAtomicStructure]):
    """A training set of ænet, opened for reading: a sequence of structures that are read when they are asked for.

    Use it as a context manager, or close it::

        with TrnSet.from_file("data.train") as trnset:
            print(trnset.num_structures, trnset[0].energy)
    """

    def __init__(self, path: Path, reader: TrnSetReader) -> None:
        self._path = path
        self._reader: TrnSetReader | None = reader
        self._header: TrnSetHeader = reader.header
        self.schema = reader.schema
        """Which kind of file: ``"ascii"``, ``"binary"`` or ``"trnset_hdf5"``."""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> TrnSet:
        """Open a training set: ``.train.ascii``, ``.train`` or HDF5, told apart by their first bytes.

        Raises:
            FileFormatError: the file does not exist, is cut off, or is something else.
        """
        path = Path(path)
        if not path.is_file():
            raise FileFormatError(f"no such file: {path} (looked in {path.parent.resolve()})")
        reader = _open(path)
        if reader.header.normalized and not reader.header.scale > 0:
            reader.close()
            raise FileFormatError(f"{path} is normalised by a scale of {reader.header.scale}, which must be positive")
        return cls(path, reader)

    @property
    def name(self) -> str:
        """What the file calls itself; its path where it does not say."""
        return self._header.name

    @property
    def normalized(self) -> bool:
        """Whether the file has energies, forces and features scaled."""
        return self._header.normalized

    @property
    def scale(self) -> float:
        """What energies and forces of a normalised file were multiplied by (1/eV)."""
        return self._header.scale

    @property
    def shift(self) -> float:
        """What was taken from the energies of a normalised file before, per atom (eV)."""
        return self._header.shift

    @property
    def atom_types(self) -> list[str]:
        """Species."""
        return list(self._header.atom_types)

    @property
    def num_types(self) -> int:
        """Number of species."""
        return len(self._header.atom_types)

    @property
    def atomic_energy(self) -> list[float]:
        """Energy of a free atom of each species (eV)."""
        return list(self._header.atomic_energy)

    @property
    def num_atoms_tot(self) -> int:
        """Atoms in all structures."""
        return self._header.num_atoms_tot

    @property
    def num_structures(self) -> int:
        """Structures in the file."""
        return self._header.num_structures

    @property
    def E_min(self) -> float:
        """Lowest energy (eV/atom), relative to free atoms."""
        return self._energy(self._header.E_min, 1)

    @property
    def E_max(self) -> float:
        """Highest energy (eV/atom), relative to free atoms."""
        return self._energy(self._header.E_max, 1)

    @property
    def E_av(self) -> float:
        """Mean of the structures' energies (eV/atom), relative to free atoms."""
        return self._energy(self._header.E_av, 1)

    def __repr__(self) -> str:
        size = f"{self.num_structures:,} structures, {self.num_atoms_tot:,} atoms"
        return f"TrnSet({self._path}, {self.schema}: {size} of {', '.join(self.atom_types)})"

    def __len__(self) -> int:
        return self.num_structures

    @overload
    def __getitem__(self, key: int) -> FeaturizedAtomicStructure: ...
    @overload
    def __getitem__(self, key: slice) -> list[FeaturizedAtomicStructure]: ...
    def __getitem__(self, key: int | slice) -> FeaturizedAtomicStructure | list[FeaturizedAtomicStructure]:
        if isinstance(key, slice):
            return [self.read_structure(k, True, True) for k in range(*key.indices(len(self)))]
        return self.read_structure(key, True, True)

    def __iter__(self) -> Iterator[FeaturizedAtomicStructure]:
        return (self.read_structure(k, True, True) for k in range(len(self)))

    def __enter__(self) -> TrnSet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def read_structure(
        self, idx: int, read_coords: bool = False, read_forces: bool = False
    ) -> FeaturizedAtomicStructure:
        """Read one structure, counted from 0 or, below 0, from the end; `trnset[idx]` reads coordinates and forces too.

        Raises:
            IndexError: there is no such structure.
            FileFormatError: it cannot be read.
        """
        entry = self._entry(idx, read_coords, read_forces)
        energy = self._energy(entry.energy, len(entry.types))
        free = dict(zip(self._header.atom_types, self._header.atomic_energy, strict=True))
        forces = entry.forces
        if forces is not None and self.normalized:
            forces = forces / self.scale
        return FeaturizedAtomicStructure(
            path=entry.path,
            energy=energy,
            total_energy=energy + sum(free[name] for name in entry.types),
            atom_types=self._header.atom_types,
            types=entry.types,
            features=entry.features,
            coords=entry.coords,
            forces=forces,
            cell=entry.cell,
            pbc=entry.pbc,
            neighbor_info=entry.neighbor_info,
        )

    def has_neighbor_info(self) -> bool:
        """Return whether any structure comes with its neighbours."""
        return self._open_reader().has_neighbors

    def to_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Write the training set as HDF5, whole or not at all; numbers stay as they are in this file, bit for bit.

        The file is put together in memory first.
        """
        write_hdf5(Path(path), self._header, (self._entry(k, True, True) for k in range(len(self))))

    def to_structures(self, cells: Sequence[ArrayLike | None] | None = None) -> list[Structure]:
        """Return all structures with total energies (eV) and forces, to train on.

        Text and binary files do not hold cells, so it is not known which structures repeat.

        Args:
            cells: for each structure its lattice vectors (Å, rows), or None where it does not repeat; needed where the
                file does not tell, and taken instead of the file's where given.

        Raises:
            DataError: cells are needed, or are not as many as structures.
        """
        if cells is not None and len(cells) != len(self):
            raise DataError(f"cells must be one for each of {len(self)} structures, got {len(cells)}")
        return [self._structure(k, structure, cells) for k, structure in enumerate(self)]

    def _structure(
        self, k: int, found: FeaturizedAtomicStructure, cells: Sequence[ArrayLike | None] | None
    ) -> Structure:
        place = f"{self._path}, structure {k}"
        if cells is None and found.pbc is None:
            raise DataError(
                f"{place}: the file does not hold cells, so it is not known whether structures repeat; give "
                "`cells`, or read the files that it was made of with read_structures"
            )
        cell, pbc = (found.cell, found.pbc) if cells is None else (cells[k], None)
        return Structure(
            positions=np.asarray(found.coords),
            species=found.types,
            energy=found.total_energy,
            forces=found.forces,
            cell=None if cell is None else np.asarray(cell, dtype=np.float64),
            pbc=pbc,  # type: ignore[arg-type]  # the default depends on the cell
            name=found.path,
            source=place,
        )

    def _entry(self, index: int, coords: bool, forces: bool) -> TrnSetEntry:
        reader = self._open_reader()
        k = index + len(self) if index < 0 else index
        if not 0 <= k < len(self):
            raise IndexError(f"structure {index} of {len(self)} in {self._path}")
        return reader.entry(k, coords=coords, forces=forces)

    def _open_reader(self) -> TrnSetReader:
        if self._reader is None:
            raise DataError(f"{self._path} was closed: open it again with TrnSet.from_file")
        return self._reader

    def _energy(self, energy: float, n_atoms: int) -> float:
        return energy / self.scale + n_atoms * self.shift if self.normalized else energy


def _open(path: Path) -> TrnSetReader:
    with path.open("rb") as file:
        beginning = file.read(4096)
    if not beginning:
        raise FileFormatError(f"{path} is empty")
    if h5py.is_hdf5(path):
        return HDF5TrnSet(path)
    if looks_like_fortran(beginning):
        return FortranTrnSet(path)
    if looks_like_fortran(_swapped(beginning)):
        raise FileFormatError(f"{path} was written on a big-endian machine: convert it there with trnset2ASCII.x")
    if b"\0" in beginning:
        raise FileFormatError(f"{path} is no training set of ænet: neither text, nor Fortran records, nor HDF5")
    return AsciiTrnSet(path)


def _swapped(beginning: bytes) -> bytes:
    return b"".join(beginning[k : k + 4][::-1] for k in range(0, 12, 4))
