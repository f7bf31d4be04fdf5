"""What tells structures apart, and an order of them that goes by that alone: what the seeds of a training act on.

Files listed in another order give the same structures at other places. Splits, batches and sums that went by places
would change with them; they go by this order instead. Geometry comes first: the same atoms with other labels keep their
place in it, so that energies of another theory are split alike. Copies to the last bit are interchangeable.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.groups import group_of
from potentia.potentials.structure import Structure

__all__ = ["Contents", "geometry_marks"]

BYTES = 16
"""Of each mark."""
NUMBERS = struct.Struct("<dd")


@dataclass(frozen=True, eq=False)
class Contents:
    """Digests of structures, all that is kept of them."""

    digests: NDArray[np.uint64]
    """Marks of the geometry of each structure, and of its labels.  [structures, 4]"""
    groups: list[str | None] | None = None
    """The group that each structure names, where groups count; it decides between copies.  [structures]"""

    @classmethod
    def of(cls, structures: Iterable[Structure], group_key: str | None = None) -> Contents:
        """Look at ``structures``, one after the other; of each keep the group under ``group_key``, if there is one."""
        digests, groups = bytearray(), list[str | None]()
        for structure in structures:
            digests += _digest(_geometry(structure)) + _digest(_labels(structure))
            if group_key is not None:
                groups.append(group_of(structure, group_key))
        numbers = np.frombuffer(bytes(digests), dtype=np.uint64).reshape(-1, 4)
        return cls(numbers, None if group_key is None else groups)

    def __len__(self) -> int:
        return len(self.digests)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Places of the structures in the input, in the order of their digests.  [structures]"""
        digests = tuple(self.digests.T[::-1])  # the last of the keys counts first
        if self.groups is None:
            return np.lexsort(digests)
        names = np.array(["" if group is None else f"={group}" for group in self.groups], dtype=np.str_)
        return np.lexsort((names, *digests))

    def ordered(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return ``places`` [some structures] in the order of `order`."""
        chosen = np.zeros(len(self), dtype=np.bool_)
        chosen[places] = True
        return self.order[chosen[self.order]]

    def ordered_groups(self) -> list[str | None]:
        """Return the group of each structure in the order of `order`; empty where none are kept."""
        return [self.groups[k] for k in self.order.tolist()] if self.groups is not None else []

    def mark(self, *parts: NDArray[np.int64]) -> str:
        """Return a mark of the structures at some places, in the order given and part by part."""
        mark = hashlib.sha256()
        for places in parts:
            mark.update(struct.pack("<q", len(places)) + self.digests[places].tobytes())
        return mark.hexdigest()


def geometry_marks(structures: Iterable[Structure]) -> list[str]:
    """Return a mark of the geometry of each structure: the same for copies to the last bit, whatever their labels."""
    return [_digest(_geometry(structure)).hex()[:16] for structure in structures]


def _geometry(structure: Structure) -> bytes:
    """Return species, positions, cell and pbc as bytes, to the last bit."""
    species = "\0".join(structure.species).encode()
    return species + b"\0\0" + structure.pbc.tobytes() + structure.positions.tobytes() + _bytes(structure.cell)


def _labels(structure: Structure) -> bytes:
    """Return energy, weight, forces and stress as bytes, to the last bit."""
    energy = math.nan if structure.energy is None else structure.energy
    return NUMBERS.pack(energy, structure.weight) + _bytes(structure.forces) + _bytes(structure.stress)


def _bytes(array: NDArray[np.float64] | None) -> bytes:
    return b"-" if array is None else b"+" + array.tobytes()


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=BYTES).digest()
