"""How an export to ænet, whose files hold networks only, says that a repulsion belongs to them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers

from potentia.errors import warn_user
from potentia.potentials.repulsion import ZBL

__all__ = ["described", "lammps_lines", "repulsion_report", "warn_of_missing", "warn_unless_repelled"]

_NOTE = re.compile(r"\+zbl:(?P<inner>[0-9.e+-]+):(?P<outer>[0-9.e+-]+)$")


def described(description: str, repulsion: ZBL | None) -> str:
    """Return the description for the files: with the repulsion at the end of its first word, all that Fortran reads.

    >>> described("potentia", ZBL(0.5, 1.0))
    'potentia+zbl:0.5:1.0'
    """
    if repulsion is None:
        return description
    word, space, rest = description.partition(" ")
    return f"{_NOTE.sub('', word)}+zbl:{repulsion.inner}:{repulsion.outer}{space}{rest}"


def lammps_lines(repulsion: ZBL, species: Sequence[str]) -> list[str]:
    """Return what adds the repulsion to another pair style of LAMMPS, for atom types in the order of ``species``.

    >>> lammps_lines(ZBL(0.5, 1.0), ["Ti", "O"])[0]
    'pair_style hybrid/overlay ... zbl 0.5 1.0'
    >>> lammps_lines(ZBL(0.5, 1.0), ["Ti", "O"])[2]
    'pair_coeff 1 2 zbl 22.0 8.0'
    """
    numbered = list(enumerate(species, start=1))
    pairs = itertools.combinations_with_replacement(numbered, 2)
    return [
        f"pair_style hybrid/overlay ... zbl {repulsion.inner} {repulsion.outer}",
        *(f"pair_coeff {i} {j} zbl {float(atomic_numbers[a])} {float(atomic_numbers[b])}" for (i, a), (j, b) in pairs),
    ]


def repulsion_report(repulsion: ZBL | None, species: Sequence[str]) -> dict[str, Any] | None:
    """Return what the report of an export says of the repulsion, as plain values."""
    if repulsion is None:
        return None
    return {
        "kind": "ZBL",
        "inner_A": repulsion.inner,
        "outer_A": repulsion.outer,
        "in_the_files": False,
        "to_do": "The files hold the networks only, trained on labels less this repulsion: it must be added. In the "
        "lines for LAMMPS, put the pair style of ænet in place of the dots; atom types are in the order of species.",
        "lammps": lammps_lines(repulsion, species),
    }


def warn_of_missing(repulsion: ZBL | None, report: Path) -> None:
    """Warn that the files do not hold the repulsion."""
    if repulsion is not None:
        warn_user(
            f"the files for ænet hold the networks only, without {repulsion} that they were trained with: without it "
            f"close atoms collapse. The lines that add it in LAMMPS are in {report}"
        )


def warn_unless_repelled(record: Mapping[str, Any], repulsion: ZBL | None) -> None:
    """Warn if files of an export, as ``record`` tells of them, want another repulsion than is given."""
    words = str(record["imported"]["description"]).split()
    note = _NOTE.search(words[0]) if words else None
    if note is None:
        return
    wanted = ZBL(float(note["inner"]), float(note["outer"]))
    if repulsion != wanted:
        warn_user(
            f"these networks were trained beside {wanted}, which their files do not hold, but repulsion={repulsion}: "
            f"give repulsion={wanted}"
        )
