"""What all training-set files of ænet hold: a header, and structures with features, just as they stand in the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from potentia.errors import FileFormatError

__all__ = ["NeighborInfo", "TrnSetEntry", "TrnSetHeader", "TrnSetReader", "bytes_of", "text_of", "type_of"]


@dataclass(frozen=True, kw_only=True)
class TrnSetHeader:
    """What a file says about all its structures; energies are as they stand, scaled if `normalized`."""

    name: str
    """What the file calls itself; its path where it does not say."""
    normalized: bool
    """Whether energies, forces and features were scaled."""
    scale: float
    """Energies and forces of a normalised file were multiplied by this (1/eV) ..."""
    shift: float
    """... after this times the number of atoms was taken from the energies (eV)."""
    atom_types: tuple[str, ...]
    """Species; an atom refers to its place in this list."""
    atomic_energy: tuple[float, ...]
    """Energy of a free atom of each species (eV)."""
    num_atoms_tot: int
    """Atoms in all structures."""
    num_structures: int
    """Structures in the file."""
    E_min: float
    """Lowest energy per atom."""
    E_max: float
    """Highest energy per atom."""
    E_av: float
    """Mean of the structures' energies per atom."""


@dataclass(frozen=True, eq=False)
class NeighborInfo:
    """Neighbours of each atom, as the file has them."""

    counts: NDArray[np.int64]
    """[atoms]"""
    lists: tuple[NDArray[np.int64], ...]
    """For each atom, the atoms around it.  [neighbours]"""
    vectors: tuple[NDArray[np.float64], ...]
    """For each atom, the vectors to them (Å).  [neighbours, 3]"""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrnSetEntry:
    """One structure, just as it stands in the file."""

    path: str
    """Of the file that the structure came from, as it was when features were made."""
    energy: float
    """Of all atoms, relative to free atoms; scaled in a normalised file."""
    types: list[str]
    """Species of each atom.  [atoms]"""
    features: list[NDArray[np.float64]]
    """For each atom; species may have different numbers of them.  [features]"""
    coords: NDArray[np.float64] | None = None
    """Å; None where not asked for.  [atoms, 3]"""
    forces: NDArray[np.float64] | None = None
    """eV/Å; scaled in a normalised file; None where not asked for.  [atoms, 3]"""
    cell: NDArray[np.float64] | None = None
    """Rows are the lattice vectors, Å.  [3, 3]"""
    pbc: NDArray[np.bool_] | None = None
    """Along which lattice vectors the structure repeats; None where the file does not tell.  [3]"""
    neighbor_info: NeighborInfo | None = None
    """Where the file has it."""


class TrnSetReader(ABC):
    """An open training-set file."""

    schema: ClassVar[str]
    """Which kind of file."""
    header: TrnSetHeader
    """What it says about all structures."""
    has_neighbors: bool = False
    """Whether structures may come with their neighbours."""

    @abstractmethod
    def entry(self, index: int, *, coords: bool, forces: bool) -> TrnSetEntry:
        """Read structure ``index``, counted from 0, with or without coordinates and forces."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; a second time does nothing."""


def type_of(number: int, atom_types: tuple[str, ...], place: str) -> str:
    """Return the species that a file refers to by ``number``, counted from 1, or raise `FileFormatError`."""
    if 1 <= number <= len(atom_types):
        return atom_types[number - 1]
    raise FileFormatError(f"{place}: the species is number {number}, but there are {len(atom_types)}")


def text_of(raw: bytes) -> str:
    """Return the text of a fixed-width field; bytes that are no UTF-8 are kept for `bytes_of`."""
    return raw.rstrip(b"\0").decode("utf-8", errors="surrogateescape").strip()


def bytes_of(text: str) -> bytes:
    """Return what `text_of` was given, without padding."""
    return text.encode("utf-8", errors="surrogateescape")
