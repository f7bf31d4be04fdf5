"""The lines of an XSF file made into frames: what may stand where, and what to say when it does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ase.data import chemical_symbols

from potentia.checks import did_you_mean
from potentia.errors import FileFormatError

__all__ = ["PBC_OF_KIND", "XSFFrame", "XSFParser"]

PBC_OF_KIND = {
    "CRYSTAL": (True, True, True),
    "SLAB": (True, True, False),
    "POLYMER": (True, False, False),
    "MOLECULE": (False, False, False),
}
"""Along which lattice vectors a structure repeats, by the word that opens it."""
_ENERGY = re.compile(r"(?:^#+\s*total\s+energy\s*[=:]?|total\s+energy\s*=)\s*(\S*)\s*(\S*)", re.IGNORECASE)


@dataclass
class XSFFrame:
    """One frame as it stands in the file: Å, eV, eV/Å."""

    pbc: tuple[bool, bool, bool]
    cell: list[list[float]] | None
    energy: float | None = None
    species: list[str] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)
    forces: list[list[float]] = field(default_factory=list)


class XSFParser:
    """Goes through the lines once; comments are looked at for energies wherever they stand."""

    def __init__(self, lines: list[str], source: str) -> None:
        self.lines = lines
        self.source = source
        self.at = 0  # lines taken so far, hence the number of the current one
        self.kind: str | None = None
        self.cell: list[list[float]] | None = None
        self.announced: int | None = None
        self.energies: dict[int, float] = {}  # by line; they wait for their frame
        self.frames: list[XSFFrame] = []
        self.sections: dict[str, Callable[[list[str]], None]] = {
            "ANIMSTEPS": self._animsteps,
            "DIM-GROUP": self._dim_group,
            **dict.fromkeys(PBC_OF_KIND, self._kind),
            "PRIMVEC": self._primvec,
            "CONVVEC": self._convvec,
            "PRIMCOORD": self._primcoord,
            "CONVCOORD": self._convcoord,
            "ATOMS": self._atoms,
            "BEGIN_BLOCK_DATAGRID_2D": self._skip_block,
            "BEGIN_BLOCK_DATAGRID_3D": self._skip_block,
            "BEGIN_INFO": self._skip_block,
        }

    def parse(self) -> list[XSFFrame]:
        """Return all frames.

        Raises:
            FileFormatError: a line is not what it should be, or the text ends early.
        """
        while (words := self._next()) is not None:
            name = words[0].upper()
            if name not in self.sections:
                raise self._error(f"expected a keyword of XSF, got {self._line()!r}{did_you_mean(name, self.sections)}")
            self.sections[name](words)
        if not self.frames:
            raise FileFormatError(f"{self.source} has no atoms: it is empty or not an XSF file")
        if self.announced not in {None, len(self.frames)}:
            raise self._error(f"the file ends early: {self.announced} frames announced, {len(self.frames)} found")
        if self.energies and len(self.frames) == 1 and self.frames[0].energy is None:
            self.frames[0].energy = self._take_energy()
        if self.energies:
            raise self._error(
                f"the energy in line {min(self.energies)} has no frame: it must stand before the atoms it belongs to"
            )
        return self.frames

    def _animsteps(self, words: list[str]) -> None:
        self.announced = self._integer(words[1:2], "the number of frames")

    def _kind(self, words: list[str]) -> None:
        self.kind = words[0].upper()

    def _dim_group(self, _: list[str]) -> None:
        dimensions = self._integer(self._wanted("the dimension after DIM-GROUP")[:1], "a dimension from 0 to 3")
        names = ("MOLECULE", "POLYMER", "SLAB", "CRYSTAL")
        if not 0 <= dimensions <= 3:
            raise self._error(f"the dimension must be from 0 to 3, got {dimensions}")
        self.kind = names[dimensions]

    def _primvec(self, _: list[str]) -> None:
        self.cell = self._vectors("PRIMVEC")

    def _convvec(self, _: list[str]) -> None:
        self._vectors("CONVVEC")  # the conventional cell is for drawing only

    def _convcoord(self, _: list[str]) -> None:
        for _line in range(self._integer(self._wanted("the number of atoms")[:1], "the number of atoms")):
            self._wanted("an atom of CONVCOORD")

    def _primcoord(self, words: list[str]) -> None:
        self._check_number(words)
        if self.kind is None:
            raise self._error(f"PRIMCOORD must come after one of {', '.join(PBC_OF_KIND)}")
        frame = XSFFrame(PBC_OF_KIND[self.kind], self.cell)
        n_atoms = self._integer(self._wanted("the number of atoms after PRIMCOORD")[:1], "the number of atoms")
        for atom in range(n_atoms):
            self._add_atom(frame, self._wanted(f"atom {atom} of {n_atoms}"))
        self.frames.append(frame)

    def _atoms(self, words: list[str]) -> None:
        self._check_number(words)
        if self.kind not in {None, "MOLECULE"}:
            raise self._error(f"ATOMS is for molecules: the atoms of a {self.kind} stand under PRIMVEC and PRIMCOORD")
        frame = XSFFrame(PBC_OF_KIND["MOLECULE"], None)
        while (atom := self._next()) is not None:
            if atom[0].upper() in self.sections:
                self.at -= 1
                break
            self._add_atom(frame, atom)
        if not frame.species:
            raise self._error("the file ends early: no atoms after ATOMS")
        self.frames.append(frame)

    def _skip_block(self, words: list[str]) -> None:
        end = words[0].upper().replace("BEGIN", "END").removesuffix("_2D").removesuffix("_3D")
        while not self._wanted(end)[0].upper().startswith(end):
            pass

    def _add_atom(self, frame: XSFFrame, words: list[str]) -> None:
        allowed = {7 if frame.forces else 4} if frame.species else {4, 7}
        if len(words) not in allowed:
            wanted = f"{max(allowed)} columns like those before" if frame.species else "4 or 7 columns"
            raise self._error(f"an atom has {wanted} (symbol x y z [fx fy fz]), got {self._line()!r}")
        numbers = self._numbers(words[1:])
        if not frame.species:
            frame.energy = self._take_energy()
        frame.species.append(self._symbol(words[0]))
        frame.positions.append(numbers[:3])
        if len(numbers) == 6:
            frame.forces.append(numbers[3:])

    def _symbol(self, word: str) -> str:
        if word[0].isalpha():
            return word
        if word.isdecimal() and int(word) < len(chemical_symbols):
            return chemical_symbols[int(word)]  # type: ignore[no-any-return]
        raise self._error(f"expected a chemical symbol or atomic number, got {word!r}")

    def _vectors(self, name: str) -> list[list[float]]:
        vectors = [self._numbers(self._wanted(f"vector {k} of {name}")) for k in range(3)]
        if any(len(vector) != 3 for vector in vectors):
            raise self._error(f"{name} must be followed by three lines of three numbers, got {vectors}")
        return vectors

    def _check_number(self, words: list[str]) -> None:
        if len(words) > 1 and self._integer(words[1:2], "a frame number") != len(self.frames) + 1:
            raise self._error(f"expected frame number {len(self.frames) + 1}, got {self._line()!r}: a frame is missing")

    def _numbers(self, words: list[str]) -> list[float]:
        try:
            return [float(word) for word in words]
        except ValueError:
            pass
        try:
            return [float(word.upper().replace("D", "E")) for word in words]  # Fortran: 1.0D-3
        except ValueError:
            raise self._error(f"expected numbers, got {self._line()!r}") from None

    def _integer(self, words: list[str], what: str) -> int:
        if len(words) == 1 and words[0].isdecimal():
            return int(words[0])
        raise self._error(f"expected {what}, got {self._line()!r}")

    def _next(self) -> list[str] | None:
        while self.at < len(self.lines):
            self.at += 1
            line = self.lines[self.at - 1].strip()
            if line.startswith("#"):
                self._look_for_energy(line)
            elif line:
                return line.split()
        return None

    def _wanted(self, what: str) -> list[str]:
        words = self._next()
        if words is None:
            raise self._error(f"the file ends early, at {what}")
        return words

    def _look_for_energy(self, line: str) -> None:
        found = _ENERGY.search(line)
        if found is None:
            return
        value, unit = found.groups()
        if unit.lower() not in {"", "ev"}:
            raise self._error(f"the energy must be in eV, got {line!r}")
        self.energies[self.at] = self._numbers([value])[0]

    def _take_energy(self) -> float | None:
        if len(set(self.energies.values())) > 1:
            lines = ", ".join(str(line) for line in self.energies)
            raise self._error(f"{len(self.energies)} different energies before one frame, in lines {lines}")
        energy = next(iter(self.energies.values()), None)
        self.energies.clear()
        return energy

    def _line(self) -> str:
        return self.lines[self.at - 1].strip() if self.at else ""

    def _error(self, message: str) -> FileFormatError:
        return FileFormatError(f"{self.source}, frame {len(self.frames)}, line {self.at}: {message}")
