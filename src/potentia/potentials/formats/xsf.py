"""XSF files with ænet's energy comment and forces: one frame or many, read and written without loss.

XSF is the format of XCrySDen. ænet adds a comment ``# total energy = -432.1 eV`` before the frame it belongs to, and
has forces, in three more columns, in eV/Å (XCrySDen has Hartree/Å, and so do the files that ASE writes).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from potentia.errors import DataError, FileFormatError, PotentiaWarning
from potentia.potentials.formats.xsf_parser import PBC_OF_KIND, XSFFrame, XSFParser
from potentia.potentials.structure import Structure

__all__ = ["format_xsf", "parse_xsf", "read_xsf", "write_xsf"]


def read_xsf(path: str | Path) -> list[Structure]:
    """Read all frames of an XSF file, also a compressed one (``.xsf.gz``).

    Raises:
        FileFormatError: a line is not what it should be, or the file ends early; file, frame and line are named.
        DataError: a frame has impossible numbers.
    """
    from ase.io.formats import open_with_compression  # `ase.io` takes two thirds of a second

    with open_with_compression(str(path), "r") as file:
        try:
            text = file.read()
        except (UnicodeDecodeError, EOFError, OSError) as error:
            raise FileFormatError(f"{path} cannot be read as text: {error}") from error
    return parse_xsf(text, str(path))


def parse_xsf(text: str, source: str) -> list[Structure]:
    """Return the frames in ``text``; ``source`` is the name of the file for messages.

    Raises:
        FileFormatError: a line is not what it should be, or the text ends early.
        DataError: a frame has impossible numbers.

    Warns:
        PotentiaWarning: there are forces but no energy, so the unit of the forces is not known.
    """
    frames = XSFParser(text.splitlines(), source).parse()
    if any(frame.forces and frame.energy is None for frame in frames):
        unsure = "forces without a '# total energy' comment are taken as eV/Å, but if ASE wrote them they are Hartree/Å"
        warnings.warn(f"{source}: {unsure}", PotentiaWarning, stacklevel=2)
    if len(frames) == 1:
        return [_structure(frames[0], source)]
    return [_structure(frame, f"{source}, frame {k}") for k, frame in enumerate(frames)]


def write_xsf(path: str | Path, structures: Structure | Iterable[Structure]) -> None:
    """Write one frame or many with energies and forces; `read_xsf` gives back the same numbers to the last bit.

    XSF has no place for stress, weight, info or the cell of a structure that does not repeat: these are left out.

    Raises:
        DataError: there is nothing to write, or the frames repeat in directions that XSF cannot tell.
    """
    Path(path).write_text(format_xsf(structures), encoding="utf-8")


def format_xsf(structures: Structure | Iterable[Structure]) -> str:
    """Return the text that `write_xsf` writes.

    Raises:
        DataError: there is nothing to write, or the frames repeat in directions that XSF cannot tell.
    """
    frames = [structures] if isinstance(structures, Structure) else list(structures)
    if not frames:
        raise DataError("an XSF file needs at least one structure")
    kinds = {tuple(frame.pbc.tolist()): frame.label for frame in frames}
    if len(kinds) > 1:
        raise DataError(f"all frames of an XSF file must have one pbc, got {kinds}: write a file for each")
    pbc, label = next(iter(kinds.items()))
    names = {known: name for name, known in PBC_OF_KIND.items()}
    if pbc not in names:
        raise DataError(
            f"XSF has no word for pbc {pbc} ({label}): order the cell vectors so that periodic ones are first"
        )
    many = len(frames) > 1
    head = f"ANIMSTEPS {len(frames)}\n" if many else ""
    blocks = [_frame_text(frame, names[pbc], f" {k + 1}" if many else "") for k, frame in enumerate(frames)]
    title = "" if names[pbc] == "MOLECULE" else names[pbc] + "\n"
    if many:
        return head + title + "".join(comment + block for comment, block in blocks)
    comment, block = blocks[0]
    return comment + title + block


def _structure(frame: XSFFrame, place: str) -> Structure:
    return Structure(
        positions=np.array(frame.positions),
        species=frame.species,
        energy=frame.energy,
        forces=np.array(frame.forces) if frame.forces else None,
        cell=None if frame.cell is None else np.array(frame.cell),
        pbc=np.array(frame.pbc),
        name=place,
        source=place,
    )


def _frame_text(frame: Structure, kind: str, number: str) -> tuple[str, str]:
    comment = "" if frame.energy is None else f"# total energy = {frame.energy!r} eV\n"
    lines = [f"ATOMS{number}"]
    if kind != "MOLECULE" and frame.cell is not None:
        lines = [
            f"PRIMVEC{number}",
            *(_row("", v) for v in frame.cell.tolist()),
            f"PRIMCOORD{number}",
            f"{frame.n_atoms} 1",
        ]
    columns = frame.positions.tolist()
    if frame.forces is not None:
        columns = [x + f for x, f in zip(columns, frame.forces.tolist(), strict=True)]
    for symbol, numbers in zip(frame.species, columns, strict=True):
        if not symbol[0].isalpha() or symbol.split() != [symbol]:
            raise DataError(f"species {symbol!r} in {frame.label} cannot stand in an XSF file: it must be one word")
        lines.append(_row(f"{symbol:<3}", numbers))
    return comment, "\n".join(lines) + "\n"


def _row(first: str, numbers: list[float]) -> str:
    return first + "".join(f" {number!r:>24}" for number in numbers)
