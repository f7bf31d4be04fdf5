"""Output of ænet's ``predict.x``: energies, and forces and atomic energies where they were asked for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentia.errors import FileFormatError

__all__ = ["PredictedFrame", "read_predict_out"]

_CELL = re.compile(r"\s*[abc] = \((.*)\)\s*$")
_ENTRY = re.compile(r"\s*(Structure number|File name|Number of atoms|Cohesive energy|Total energy)\s*:\s*(.*?)\s*$")
_TABLE = re.compile(r"\s*Cartesian atomic coordinates\b")
_RULE = re.compile(r"\s*-{40,}\s*$")


@dataclass(frozen=True, kw_only=True)
class PredictedFrame:
    """What ``predict.x`` says of one structure; of a relaxation, the last geometry."""

    file_name: str | None
    """As in the input of ``predict.x``; None in quiet output."""
    cell: NDArray[np.float64] | None
    """Lattice vectors in rows, Å: for an isolated structure those of a box around it; None in quiet output.  [3, 3]"""
    species: list[str]
    """[atoms]"""
    positions: NDArray[np.float64]
    """Å.  [atoms, 3]"""
    forces: NDArray[np.float64] | None
    """eV/Å.  [atoms, 3]"""
    atom_energies: NDArray[np.float64] | None
    """eV.  [atoms]"""
    cohesive_energy: float
    """eV."""
    total_energy: float
    """eV."""


def read_predict_out(path: str | os.PathLike[str]) -> list[PredictedFrame]:
    """Read all structures from the output of ``predict.x``.

    Raises:
        FileFormatError: the file is of another program, cut off, or has a number that Fortran could not print.
    """
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    reader, frames, at = _Reader(os.fspath(path), lines), list[PredictedFrame](), 0
    while at < len(lines):
        at, frame = reader.take(at)
        if frame is not None:
            frames.append(frame)
    if reader.unfinished:
        raise FileFormatError(
            f"{path} ends in the middle of structure {len(frames)}: predict.x did not finish, run it again"
        )
    if not frames:
        raise FileFormatError(f"{path} holds no energies of predict.x: is it the output of another program?")
    return frames


class _Reader:
    """Collects what belongs to the structure at hand."""

    def __init__(self, path: str, lines: list[str]) -> None:
        self.path = path
        self.lines = lines
        self._forget()

    @property
    def unfinished(self) -> bool:
        """Whether a structure has begun whose energies have not come yet."""
        return bool(self.entries or self.species)

    def take(self, at: int) -> tuple[int, PredictedFrame | None]:
        """Read on from line ``at``; return the next line, and the structure if it is complete now."""
        line = self.lines[at]
        if _TABLE.match(line):
            return self._table(at + 1), None
        if cell := _CELL.match(line):
            self.cell.append(self._numbers(at, cell[1].split()))
        entry = _ENTRY.match(line)
        if entry is None or not (self.entries or self.species or entry[1] == "Structure number"):
            return at + 1, None  # the files of the potentials have a "File name", too
        name, text = entry[1], entry[2]
        if not text and at + 1 < len(self.lines):  # some compilers break long lines of text
            at, text = at + 1, self.lines[at + 1].strip()
        self.entries[name] = (at, text)
        return at + 1, self._frame() if name == "Total energy" else None

    def _forget(self) -> None:
        self.entries: dict[str, tuple[int, str]] = {}
        self.cell: list[list[float]] = []
        self.species: list[str] = []
        self.rows: list[list[float]] = []
        self.columns: list[str] = []

    def _table(self, at: int) -> int:
        """Read a table of atoms, which takes the place of an earlier one; return the line behind it."""
        head = at
        while at < len(self.lines) and not _RULE.match(self.lines[at]):
            at += 1
        self.columns = [name for line in self.lines[head:at] for name in line.split() if not name.startswith("(")]
        self.species, self.rows = [], []
        at += 1
        while at < len(self.lines) and self.lines[at].strip():
            symbol, *fields = self.lines[at].split()
            if len(fields) != len(self.columns):
                raise FileFormatError(
                    f"{self.path}, line {at + 1}: {len(self.columns)} numbers are wanted ({', '.join(self.columns)}), "
                    f"got {len(fields)}"
                )
            self.species.append(symbol)
            self.rows.append(self._numbers(at, fields))
            at += 1
        return at

    def _frame(self) -> PredictedFrame:
        table = np.array(self.rows, dtype=np.float64).reshape(len(self.species), -1)  # [atoms, columns]
        place = {name: k for k, name in enumerate(self.columns)}
        at, wanted = self.entries.get("Number of atoms", (0, str(len(self.species))))
        if not self.species or wanted != str(len(self.species)):
            raise FileFormatError(f"{self.path}, line {at + 1}: {wanted} atoms are wanted, got {len(self.species)}")
        energies = {}
        for name in ("Cohesive energy", "Total energy"):
            at, text = self.entries.get(name, (at, ""))
            energies[name] = self._numbers(at, [text.removesuffix("eV").strip()])[0]
        frame = PredictedFrame(
            file_name=self.entries["File name"][1] if "File name" in self.entries else None,
            cell=np.array(self.cell) if len(self.cell) == 3 else None,
            species=self.species,
            positions=table[:, :3],
            forces=table[:, place["Fx"] : place["Fx"] + 3] if "Fx" in place else None,
            atom_energies=table[:, place["E_atom"]] if "E_atom" in place else None,
            cohesive_energy=energies["Cohesive energy"],
            total_energy=energies["Total energy"],
        )
        self._forget()
        return frame

    def _numbers(self, at: int, fields: list[str]) -> list[float]:
        try:
            return [float(field) for field in fields]
        except ValueError as error:
            raise FileFormatError(f"{self.path}, line {at + 1}: {error} in {self.lines[at].strip()!r}") from None
