"""Training sets of ænet in binary (``.train``): what its generate.x writes, sequential unformatted records of Fortran.

A record is its length in bytes (a little-endian integer of 4 bytes), its content, and its length again. Seven records
of header: number of species, number of structures, their names, energies of free atoms, normalised?, scale, shift.
For each structure four: length of the path, path, numbers of atoms and species, energy; and for each atom five: species
(counted from 1), coordinates, forces, number of features, features. Then the number of atoms, the mean, lowest and
highest energy per atom, and whether the settings of the descriptors follow, which are not read.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentia.errors import FileFormatError
from potentia.potentials.formats.trnset_record import TrnSetEntry, TrnSetHeader, TrnSetReader, text_of, type_of

__all__ = ["FortranTrnSet", "looks_like_fortran"]

_ATOM = struct.Struct("<3i i3di i3di 3i i")
"""Species, coordinates, forces, number of features, with the lengths around each; then the length of the features."""
_MARKERS = (0, 2, 3, 7, 8, 12, 13, 15)
"""Where the lengths stand in it ..."""
_LENGTHS = (4, 4, 24, 24, 24, 24, 4, 4)
"""... and what they are."""


class FortranTrnSet(TrnSetReader):
    """A binary training set; where its structures begin is looked up once.

    Raises:
        FileFormatError: the file ends early or is something else; file and record (counted from 1) are named.
    """

    schema = "binary"

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            records = _Records(self._bytes, str(path))
            self._starts, self.header = self._overview(records)
        except FileFormatError:
            self.close()
            raise

    def entry(self, index: int, *, coords: bool, forces: bool) -> TrnSetEntry:  # noqa: D102
        records = _Records(self._bytes, str(self._path), *self._starts[index])
        records.within = f"structure {index}"
        source, n_atoms, energy = _structure_info(records)
        types: list[str] = []
        features: list[NDArray[np.float64]] = []
        vectors = np.empty((2, n_atoms, 3))  # [coordinates and forces, atoms, 3]
        for atom in range(n_atoms):
            place = records.place
            fields, content = records.atom(atom)
            types.append(type_of(fields[1], self.header.atom_types, place))
            vectors[0, atom], vectors[1, atom] = fields[4:7], fields[9:12]
            features.append(np.frombuffer(self._bytes[content], "<f8").astype(np.float64))
        return TrnSetEntry(
            path=source,
            energy=energy,
            types=types,
            features=features,
            coords=vectors[0] if coords else None,
            forces=vectors[1] if forces else None,
        )

    def close(self) -> None:  # noqa: D102
        self._bytes.close()

    def _overview(self, records: _Records) -> tuple[list[tuple[int, int]], TrnSetHeader]:
        """Return byte and record where each structure begins, and the header with what stands at the end."""
        records.within = "header"
        (n_types,) = records.unpack("<i", "the number of species")
        (n_structures,) = records.unpack("<i", "the number of structures")
        if n_types < 1 or n_structures < 0:
            raise records.error(f"{n_types} species and {n_structures} structures cannot be")
        names = records.content("the names of the species")
        if not names or len(names) % n_types:
            raise records.error(f"{len(names)} bytes cannot be the names of {n_types} species")
        width = len(names) // n_types
        types = tuple(text_of(names[k * width : (k + 1) * width]) for k in range(n_types))
        atomic_energy = records.unpack(f"<{n_types}d", "energies of free atoms")
        (normalized,) = records.unpack("<i", "normalised?")
        (scale,) = records.unpack("<d", "the scale of energies")
        (shift,) = records.unpack("<d", "the shift of energies")
        starts: list[tuple[int, int]] = []
        total = 0
        for k in range(n_structures):
            records.within = f"structure {k} of {n_structures}"
            starts.append((records.at, records.number))
            _, n_atoms, _ = _structure_info(records)
            for atom in range(n_atoms):
                records.atom(atom)
            total += n_atoms
        records.within = "footer"
        (n_atoms,) = records.unpack("<i", "the number of atoms")
        mean, lowest, highest = records.unpack("<3d", "mean, lowest and highest energy")
        if n_atoms != total:
            raise records.error(f"it should hold {n_atoms} atoms, but has {total}")
        header = TrnSetHeader(
            name=str(self._path),
            normalized=bool(normalized),
            scale=scale,
            shift=shift,
            atom_types=types,
            atomic_energy=atomic_energy,
            num_atoms_tot=n_atoms,
            num_structures=n_structures,
            E_min=lowest,
            E_max=highest,
            E_av=mean,
        )
        return starts, header


def looks_like_fortran(beginning: bytes) -> bool:
    """Return whether the first bytes of a file are a record with one integer, as in a binary training set."""
    return beginning[:4] == beginning[8:12] == struct.pack("<i", 4)


def _structure_info(records: _Records) -> tuple[str, int, float]:
    """Return path, number of atoms and energy."""
    (length,) = records.unpack("<i", "the length of a path")
    path = records.content("the path of a structure")
    if len(path) != length:
        hint = f"; has generate.x left out structures of too many species? {records.within} seems to be the end"
        raise records.error(f"expected a path of {length} bytes, got {len(path)}{hint if len(path) == 24 else ''}")
    n_atoms, _ = records.unpack("<2i", "the numbers of atoms and species")
    (energy,) = records.unpack("<d", "the energy")
    return text_of(path), n_atoms, energy


class _Records:
    """A place among the records of a file; reading moves it on."""

    def __init__(self, data: mmap.mmap, path: str, at: int = 0, number: int = 1) -> None:
        self._bytes = data
        self._path = path
        self.at = at
        self.number = number
        self.within = ""

    @property
    def place(self) -> str:
        return f"{self._path}, record {self.number} ({self.within})"

    def error(self, message: str) -> FileFormatError:
        return FileFormatError(f"{self.place}: {message}; the file is cut off, or no training set of ænet")

    def content(self, what: str) -> bytes:
        """Return the content of the next record."""
        if self.at + 4 > len(self._bytes):
            raise self.error(f"expected {what}, but the file ends")
        (length,) = struct.unpack_from("<i", self._bytes, self.at)
        end = self.at + 4 + length
        if length < 0 or end + 4 > len(self._bytes):
            raise self.error(f"expected {what}, but a record of {length} bytes does not fit")
        if struct.unpack_from("<i", self._bytes, end) != (length,):
            raise self.error(f"expected {what}, but the lengths before and after it differ")
        content = self._bytes[self.at + 4 : end]
        self.at = end + 4
        self.number += 1
        return content

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        """Return the values of the next record, which must have just this layout."""
        place = self.at, self.number
        content = self.content(what)
        if len(content) != struct.calcsize(layout):
            self.at, self.number = place
            raise self.error(f"expected {what} in {struct.calcsize(layout)} bytes, got {len(content)}")
        return struct.unpack(layout, content)

    def atom(self, atom: int) -> tuple[tuple[Any, ...], slice]:
        """Take the five records of an atom at once; return the fields of `_ATOM` and where its features are."""
        if self.at + _ATOM.size > len(self._bytes):
            raise self.error(f"expected atom {atom}, but the file ends")
        fields = _ATOM.unpack_from(self._bytes, self.at)
        start = self.at + _ATOM.size
        end = start + 8 * fields[14]
        sound = all(fields[k] == length for k, length in zip(_MARKERS, _LENGTHS, strict=True)) and fields[14] >= 0
        if not sound or fields[16] != 8 * fields[14]:
            raise self.error(f"expected five records of atom {atom}, but their lengths are not what they should be")
        if end + 4 > len(self._bytes) or struct.unpack_from("<i", self._bytes, end) != (fields[16],):
            raise self.error(f"expected {fields[14]} features of atom {atom}, but they do not fit")
        self.at = end + 4
        self.number += 5
        return fields, slice(start, end)
