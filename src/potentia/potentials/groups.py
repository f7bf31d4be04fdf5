"""Which group a structure belongs to: what it names itself, its file, or its composition."""

from __future__ import annotations

from collections import Counter

from potentia.potentials.compositions import formula
from potentia.potentials.structure import Structure

__all__ = ["COMPOSITION", "FILE", "group_of"]

FILE, COMPOSITION = "file", "composition"
"""Keys of groups that every structure, or every one that was read, has without naming them."""
_FRAME = ", frame "


def group_of(structure: Structure, key: str) -> str | None:
    """Return the group of a structure: the entry ``key`` of its ``info``; None where there is none.

    Where no such entry is, ``"file"`` stands for the file that it was read from, ``"composition"`` for all its atoms.

    >>> water = Structure([[0, 0, 0], [0.96, 0, 0], [-0.2, 0.9, 0]], ["O", "H", "H"], info={"config_type": "gas"})
    >>> [group_of(water, key) for key in ("config_type", "composition", "file")]
    ['gas', 'H2O', None]
    """
    if key in structure.info:
        return str(structure.info[key])
    if key == COMPOSITION:
        return formula(Counter(sorted(structure.species)))
    if key == FILE and structure.source is not None:
        file, frame, _ = structure.source.rpartition(_FRAME)
        return file if frame else structure.source
    return None
