"""Structures from anything that holds them: paths, ASE Atoms, Structures; with a table of what was found."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ase import Atoms

from potentia import progress
from potentia.errors import DataError, FileFormatError
from potentia.potentials.ase_labels import LabelKeys, Notes
from potentia.potentials.formats.xsf import read_xsf
from potentia.potentials.structure import Structure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reading", "SourceCount", "StructureLike", "read_structures", "read_structures_as"]

StructureLike: TypeAlias = Structure | Atoms | str | os.PathLike[str]
"""What holds one structure or more."""
_IN_MEMORY = "in memory"


@dataclass(kw_only=True)
class SourceCount:
    """How much of what was found in one file, or among the objects given."""

    source: str
    frames: int = 0
    atoms: int = 0
    energy: int = 0
    """Frames with an energy."""
    forces: int = 0
    """Frames with forces."""
    stress: int = 0
    """Frames with a stress."""

    def add(self, structure: Structure) -> None:
        """Count one more frame."""
        self.frames += 1
        self.atoms += structure.n_atoms
        self.energy += structure.has_energy()
        self.forces += structure.has_forces()
        self.stress += structure.has_stress()


@dataclass(frozen=True)
class Reading:
    """The structures read, and from where how many came with which labels."""

    structures: list[Structure]
    """All frames, in the order of the input."""
    sources: list[SourceCount]
    """One for each file, and one for all objects given."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per source: frames, atoms, and the frames with energy, forces, stress."""
        import pandas as pd

        columns = ["source", "frames", "atoms", "energy", "forces", "stress"]
        return pd.DataFrame([vars(count) for count in self.sources], columns=columns)

    def __str__(self) -> str:
        total = {name: sum(vars(s)[name] for s in self.sources) for name in ("atoms", "energy", "forces", "stress")}
        atoms = total.pop("atoms")
        labels = ", ".join(f"{name} {count:,}" for name, count in total.items())
        return f"reading: {len(self.structures):,} frames, {atoms:,} atoms; {labels}"


def read_structures(items: StructureLike | Iterable[StructureLike], *, keys: LabelKeys | None = None) -> Reading:
    """Read one item or many: a path, an ASE Atoms object or a `Structure`, in any mixture.

    All frames of a file are read. ``.xsf`` files (also ``.xsf.gz`` and the like) go to our own reader, which knows
    ænet's energies and forces, all others to ASE, which knows extended XYZ, trajectories, VASP and much more.
    Labels of ASE objects are looked for under the names in ``keys``.

    Raises:
        FileFormatError: a file does not exist, cannot be read, or holds no structure.
        DataError: an item is none of these, or a structure cannot be.

    Warns:
        PotentiaWarning: labels differ, do not belong to their geometry, or are not recognised; once for each kind.

    >>> print(read_structures([Structure([[0, 0, 0]], ["Ti"], energy=-1.0)]))
    reading: 1 frames, 1 atoms; energy 1, forces 0, stress 0
    """
    if isinstance(items, Structure | Atoms | str | os.PathLike):
        items = [items]
    if not isinstance(items, Iterable):
        raise DataError(f"structures must be paths, ase.Atoms or Structures, got {type(items).__name__}")
    notes = Notes()
    structures: list[Structure] = []
    items = list(items)
    counts: dict[str, SourceCount] = {}
    for number, item in enumerate(progress.track(items, "files")):
        source, found = _found_in(item, number, keys or LabelKeys(), notes)
        count = counts.setdefault(source, SourceCount(source=source))
        for structure in found:
            count.add(structure)
        structures.extend(found)
    notes.warn()
    return Reading(structures, list(counts.values()))


def read_structures_as(path: str | os.PathLike[str], frmt: str, *, keys: LabelKeys | None = None) -> list[Structure]:
    """Read all frames of one file whose name does not tell its format.

    Args:
        path: the file.
        frmt: ``"xsf"``, or a name of ASE's, such as ``"vasp-out"`` or ``"extxyz"``.
        keys: names under which labels are looked for.

    Raises:
        FileFormatError: the file does not exist, cannot be read as this format, or holds no structure.

    Warns:
        PotentiaWarning: labels differ, do not belong to their geometry, or are not recognised.
    """
    path = Path(path)
    _require_file(path)
    if frmt == "xsf":
        return read_xsf(path)
    notes = Notes()
    found = _structures_by_ase(path, keys or LabelKeys(), notes, frmt)
    notes.warn()
    return found


@functools.singledispatch
def _found_in(item: object, number: int, keys: LabelKeys, notes: Notes) -> tuple[str, list[Structure]]:
    raise DataError(f"item {number} must be a path, an ase.Atoms or a Structure, got {type(item).__name__}")


@_found_in.register
def _(item: Structure, number: int, keys: LabelKeys, notes: Notes) -> tuple[str, list[Structure]]:
    return _IN_MEMORY, [item]


@_found_in.register(Atoms)
def _(item: Atoms, number: int, keys: LabelKeys, notes: Notes) -> tuple[str, list[Structure]]:
    return _IN_MEMORY, [Structure._from_atoms(item, f"item {number}", keys, notes)]


@_found_in.register(str)
@_found_in.register(os.PathLike)
def _(item: str | os.PathLike[str], number: int, keys: LabelKeys, notes: Notes) -> tuple[str, list[Structure]]:
    path = Path(item)
    _require_file(path)
    if ".xsf" in [suffix.lower() for suffix in path.suffixes[-2:]]:
        return str(path), read_xsf(path)
    return str(path), _structures_by_ase(path, keys, notes)


def _structures_by_ase(path: Path, keys: LabelKeys, notes: Notes, frmt: str | None = None) -> list[Structure]:
    frames = list(_frames_by_ase(path, frmt))
    if not frames:
        raise FileFormatError(f"{path} holds no structure")
    places = [str(path)] if len(frames) == 1 else [f"{path}, frame {k}" for k in range(len(frames))]
    return [Structure._from_atoms(a, p, keys, notes, as_read=True) for a, p in zip(frames, places, strict=True)]


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise FileFormatError(
            f"{path} is a directory: give the files in it, e.g. sorted(Path({str(path)!r}).iterdir())"
        )
    if path.exists():
        return
    if any(mark in path.name for mark in "*?["):
        hint = f"patterns are not expanded: give sorted(Path({str(path.parent)!r}).glob({path.name!r}))"
    else:
        hint = f"looked in {path.parent.resolve()}"
    raise FileFormatError(f"no such file: {path} ({hint})")


def _frames_by_ase(path: Path, frmt: str | None) -> Iterator[Atoms]:
    from ase.io import iread  # two thirds of a second, which who reads no such file should not pay

    frames = iread(path, index=":", format=frmt, do_not_split_by_at_sign=True)
    as_what = "" if frmt is None else f" as {frmt!r}"
    for count in itertools.count():
        try:
            atoms = next(frames)
        except StopIteration:
            return
        except _errors_of_ase() as error:
            raise FileFormatError(
                f"ASE cannot read {path}{as_what} (after {count} frames): {type(error).__name__}: {error}"
            ) from error
        yield atoms


def _errors_of_ase() -> tuple[type[Exception], ...]:
    """Everything ASE's readers are known to raise on a bad file; looked up only when one was raised."""
    import lzma
    import struct
    import zipfile
    import zlib

    from ase.io import ParseError
    from ase.io.aims import AimsParseError
    from ase.io.formats import UnknownFileTypeError
    from ase.io.octopus.input import OctopusParseError
    from ase.io.trajectory import VersionTooOldError
    from ase.io.vasp_parsers.vasp_outcar_parsers import NoNonEmptyLines, UnableToLocateDelimiter

    own = (ParseError, AimsParseError, UnknownFileTypeError, OctopusParseError, VersionTooOldError)
    outcar = (NoNonEmptyLines, UnableToLocateDelimiter)
    python = (OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError)
    others = (ArithmeticError, EOFError, ImportError, SyntaxError)  # xml's ParseError is a SyntaxError
    packed = (lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error)
    return (*own, *outcar, *python, *others, *packed)
