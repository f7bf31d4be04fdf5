"""Findings: what is odd or wrong about data, in which frames and on which atoms, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, TypeAlias

from potentia.potentials.structure import Structure

__all__ = ["ERROR", "NOTE", "WARNING", "Finding", "Place", "Severity", "counted", "place_of", "places_of", "some"]

Severity: TypeAlias = Literal["error", "warning", "note"]
"""``"error"``: training on it would go wrong. ``"warning"``: likely a mistake. ``"note"``: worth knowing."""
ERROR: Severity = "error"
WARNING: Severity = "warning"
NOTE: Severity = "note"
SHOWN = 5
"""Frames or atoms that are listed in a sentence."""
_FRAME = ", frame "


@dataclass(frozen=True, kw_only=True)
class Place:
    """A frame, and some of its atoms."""

    file: str
    """The file that it was read from, or what it is called in memory."""
    index: int
    """Which frame of the file, from 0; in memory, which of the structures given."""
    atoms: tuple[int, ...] = ()
    """The atoms that are meant, from 0; none where the whole frame is."""

    def __str__(self) -> str:
        return f"{self.file}{_FRAME}{self.number}"

    @property
    def number(self) -> str:
        """The frame and its atoms without the file."""
        return f"{self.index} (atoms {some(self.atoms)})" if self.atoms else str(self.index)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found.

    >>> print(
    ...     Finding(
    ...         check="energy",
    ...         severity="error",
    ...         text="no energy",
    ...         advice="compute it",
    ...         places=(Place(file="a.xyz", index=3), Place(file="a.xyz", index=7)),
    ...     )
    ... )
    error: no energy: a.xyz, frame 3, 7. What to do: compute it
    """

    check: str
    """Which check has found it."""
    severity: Severity
    """How bad it is."""
    text: str
    """What it is."""
    advice: str
    """What to do."""
    places: tuple[Place, ...] = ()
    """All frames concerned; none where it is the set as a whole."""

    def __str__(self) -> str:
        return f"{self.severity}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """All of it but the severity."""
        shown = [
            f"{file}{_FRAME}{', '.join(place.number for place in places)}"
            for file, places in groupby(self.places[:SHOWN], key=lambda place: place.file)
        ]
        more = len(self.places) - SHOWN
        listed = "; ".join(shown) + (f" and {more} more" if more > 0 else "")
        return f"{self.text}{f': {listed}' if listed else ''}. What to do: {self.advice}"

    def plain(self) -> dict[str, Any]:
        """Return plain values, all places included."""
        places = [{"file": p.file, "index": p.index, "atoms": list(p.atoms)} for p in self.places]
        return {
            "check": self.check, "severity": self.severity, "text": self.text, "advice": self.advice, "places": places,
        }  # fmt: skip


def place_of(structure: Structure, position: int, atoms: Sequence[int] = ()) -> Place:
    """Return where a structure comes from; ``position`` is its own among those given, for structures of no file."""
    source = structure.source or structure.name or ""
    file, found, index = source.rpartition(_FRAME)
    numbers = tuple(int(atom) for atom in atoms)
    if found and index.isdecimal():
        return Place(file=file, index=int(index), atoms=numbers)
    return Place(file=source or "in memory", index=0 if source else position, atoms=numbers)


def places_of(structures: Sequence[Structure], positions: Sequence[int]) -> tuple[Place, ...]:
    """Return the places of the structures at ``positions``."""
    return tuple(place_of(structures[k], k) for k in positions)


def counted(number: int, one: str, several: str = "") -> str:
    """Return how many there are, in words that suit one and several.

    >>> counted(1, "frame"), counted(7, "frame"), counted(7, "frame has", "frames have")
    ('1 frame', '7 frames', '7 frames have')
    """
    return f"{number} {one if number == 1 else several or one + 's'}"


def some(values: Sequence[object]) -> str:
    """Return the first few values, with dots where there are more."""
    return ", ".join(str(value) for value in values[:SHOWN]) + (", …" if len(values) > SHOWN else "")
