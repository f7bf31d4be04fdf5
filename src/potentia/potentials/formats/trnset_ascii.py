"""Training sets of ænet as text (``.train.ascii``): what its tool trnset2ASCII.x writes.

A header of eleven records, then for each structure its path, the numbers of atoms and species, the energy, and for each
atom five records: species (counted from 1), coordinates, forces, number of features, features. A record begins on a new
line and may go on over several.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentia.errors import FileFormatError
from potentia.potentials.formats.trnset_record import TrnSetEntry, TrnSetHeader, TrnSetReader, text_of, type_of

__all__ = ["AsciiTrnSet"]

_WITHOUT_E = re.compile(rb"([+-]?\d*\.?\d+)([+-]\d+)")
_TRUTH = {b"T": True, b".TRUE.": True, b"TRUE": True, b"F": False, b".FALSE.": False, b"FALSE": False}


class AsciiTrnSet(TrnSetReader):
    """A training set as text; where its structures begin is looked up once.

    Raises:
        FileFormatError: the text ends early or is something else; file and line are named.
    """

    schema = "ascii"

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            lines = _Lines(self._text, str(path))
            self._path = path
            self.header = _header(lines)
            self._starts = self._find_structures(lines)
        except FileFormatError:
            self.close()
            raise

    def entry(self, index: int, *, coords: bool, forces: bool) -> TrnSetEntry:  # noqa: D102
        lines = _Lines(self._text, str(self._path), *self._starts[index])
        source = text_of(lines.line("the path of a structure"))
        n_atoms, _ = lines.integers(2, "the numbers of atoms and species")
        energy = lines.number("the energy")
        types: list[str] = []
        features: list[NDArray[np.float64]] = []
        vectors = np.empty((2, n_atoms, 3))  # [coordinates and forces, atoms, 3]
        for atom in range(n_atoms):
            types.append(type_of(lines.integer("a species"), self.header.atom_types, lines.place))
            for wanted, rows, what in zip((coords, forces), vectors, ("coordinates", "forces"), strict=True):
                if wanted:
                    rows[atom] = lines.numbers(3, what)
                else:
                    lines.words(3, what)
            features.append(np.array(lines.numbers(lines.integer("the number of features"), "features")))
        return TrnSetEntry(
            path=source,
            energy=energy,
            types=types,
            features=features,
            coords=vectors[0] if coords else None,
            forces=vectors[1] if forces else None,
        )

    def close(self) -> None:  # noqa: D102
        self._text.close()

    def _find_structures(self, lines: _Lines) -> list[tuple[int, int]]:
        """Return byte and line where each structure begins; what follows the last is not looked at."""
        starts: list[tuple[int, int]] = []
        total = 0
        for k in range(self.header.num_structures):
            lines.within = f"structure {k} of {self.header.num_structures}"
            starts.append((lines.at, lines.number_of_line))
            lines.line("the path of a structure")
            n_atoms, _ = lines.integers(2, "the numbers of atoms and species")
            lines.words(1, "the energy")
            for _ in range(n_atoms):
                lines.words(1, "a species")
                lines.words(3, "coordinates")
                lines.words(3, "forces")
                lines.words(lines.integer("the number of features"), "features")
            total += n_atoms
        if total != self.header.num_atoms_tot:
            raise FileFormatError(
                f"{self._path} should hold {self.header.num_atoms_tot} atoms by its header, but has {total}"
            )
        return starts


def _header(lines: _Lines) -> TrnSetHeader:
    lines.within = "header"
    name = text_of(lines.line("the name of the set"))
    truth = lines.words(1, "T or F (normalised?)")[0].upper()
    if truth not in _TRUTH:
        raise lines.error("expected T or F (normalised?)")
    scale = lines.number("the scale of energies")
    shift = lines.number("the shift of energies")
    n_types = lines.integer("the number of species")
    types = tuple(text_of(lines.line("a species")) for _ in range(n_types))
    atomic_energy = tuple(lines.numbers(n_types, "energies of atoms"))
    n_atoms = lines.integer("the number of atoms")
    n_structures = lines.integer("the number of structures")
    lowest, highest, mean = lines.numbers(3, "lowest, highest and mean energy")
    return TrnSetHeader(
        name=name,
        normalized=_TRUTH[truth],
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


class _Lines:
    """A place in a text; reading moves it on."""

    def __init__(self, text: mmap.mmap, path: str, at: int = 0, number_of_line: int = 0) -> None:
        self._text = text
        self._path = path
        self.at = at
        self.number_of_line = number_of_line
        self.within = ""

    @property
    def place(self) -> str:
        within = f" ({self.within})" if self.within else ""
        return f"{self._path}, line {self.number_of_line}{within}"

    def error(self, message: str) -> FileFormatError:
        return FileFormatError(f"{self.place}: {message}; the file is cut off, or no training set of ænet")

    def line(self, what: str) -> bytes:
        """Return the next line without blanks at its ends."""
        end = self._text.find(b"\n", self.at)
        if end < 0:  # a last line without an end may have lost digits
            raise self.error(f"expected {what}, but the file ends")
        line = self._text[self.at : end].strip()
        self.at = end + 1
        self.number_of_line += 1
        return line

    def words(self, count: int, what: str) -> list[bytes]:
        """Return the words of a record: at least one line, and more until there are ``count``."""
        words = self.line(what).split()
        while len(words) < count:
            words += self.line(what).split()
        if len(words) > count:
            raise self.error(f"expected {count} of {what}, got {len(words)}")
        return words

    def numbers(self, count: int, what: str) -> list[float]:
        words = self.words(count, what)
        try:
            return [float(word) for word in words]
        except ValueError:
            pass
        try:
            return [float(_as_c(word)) for word in words]
        except ValueError:
            raise self.error(
                f"expected numbers for {what}, got {b' '.join(words[:4]).decode(errors='replace')!r}"
            ) from None

    def number(self, what: str) -> float:
        return self.numbers(1, what)[0]

    def integers(self, count: int, what: str) -> list[int]:
        words = self.words(count, what)
        if not all(word.isdigit() for word in words):
            raise self.error(f"expected {what}, got {b' '.join(words).decode(errors='replace')!r}")
        return [int(word) for word in words]

    def integer(self, what: str) -> int:
        return self.integers(1, what)[0]


def _as_c(word: bytes) -> bytes:
    """Rewrite what Fortran may write as a number: 1.0D-3, and 1.0-100 where the exponent has three digits."""
    word = word.upper().replace(b"D", b"E")
    short = _WITHOUT_E.fullmatch(word)
    return short[1] + b"E" + short[2] if short else word
