"""Structures as rows of a database, and back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentia.config import plain
from potentia.data.ragged import Column, Ragged, Table
from potentia.errors import ConfigError, DataError
from potentia.potentials.datasets.sources import SourceRecord, require_bytes
from potentia.potentials.structure import Structure

__all__ = ["ENTRIES", "SOURCES", "Entry", "SpeciesTable", "decode", "encode", "encode_sources", "text_of"]

ENTRIES = {
    "positions": Column("<f8", (3,), ragged=True),
    "forces": Column("<f8", (3,), ragged=True),
    "species": Column("<u2", ragged=True),
    "composition": Column("<i4", (2,), ragged=True),
    "notes": Column("|u1", ragged=True),
    "energy": Column("<f8"),
    "cell": Column("<f8", (3, 3)),
    "has_cell": Column("|b1"),
    "pbc": Column("|b1", (3,)),
    "stress": Column("<f8", (3, 3)),
    "has_stress": Column("|b1"),
    "has_forces": Column("|b1"),
    "weight": Column("<f8"),
    "n_atoms": Column("<i8"),
    "number": Column("<i8"),
    "source": Column("<i8"),
    "frame_idx": Column("<i8"),
}
"""One row for each structure. `species` and `composition` (which, how many) count in the file's list of species;
`notes` is JSON with name, source and info; `number` counts structures before any were left out; `source` is a row of
`SOURCES`.
"""
SOURCES = dict.fromkeys(("source_id", "source_kind", "display_name"), Column("|u1", ragged=True))
"""One row for each source, text in UTF-8."""
LONGEST_NAME = 1024
"""Bytes that the name of a structure may have in UTF-8."""


@dataclass(frozen=True)
class Entry:
    """A structure on its way into a database."""

    structure: Structure
    number: int
    """How many came before it, those left out included."""
    source: int
    """Number of its source."""
    frame_idx: int
    """Number of the structure in its source, those left out included."""
    where: str
    """Source and frame, for messages."""


@dataclass
class SpeciesTable:
    """The species of a database in the order of their appearance."""

    names: list[str] = field(default_factory=list)

    def indices(self, species: Sequence[str]) -> NDArray[np.uint16]:
        """Return the index of each of ``species``, new ones added."""
        for name in dict.fromkeys(species):
            if name not in self.names:
                self.names.append(name)
        if len(self.names) > np.iinfo(np.uint16).max:
            raise DataError(f"a database can have {np.iinfo(np.uint16).max} species, not {len(self.names)}")
        known = {name: k for k, name in enumerate(self.names)}
        return np.array([known[name] for name in species], dtype=np.uint16)


def encode(entries: Sequence[Entry], species: SpeciesTable) -> Table:
    """Return the rows of ``entries``, or raise `DataError` naming what cannot be kept."""
    structures = [entry.structure for entry in entries]
    kinds = [species.indices(s.species) for s in structures]
    nothing = np.zeros((0, 3))
    ragged: dict[str, list[NDArray[Any]]] = {
        "positions": [s.positions for s in structures],
        "forces": [nothing if s.forces is None else s.forces for s in structures],
        "species": kinds,
        "composition": [np.array(list(Counter(k.tolist()).items()), dtype=np.int32) for k in kinds],
        "notes": [bytes_of(_notes(entry)) for entry in entries],
    }
    single = {
        "energy": [np.nan if s.energy is None else s.energy for s in structures],
        "cell": [np.zeros((3, 3)) if s.cell is None else s.cell for s in structures],
        "has_cell": [s.cell is not None for s in structures],
        "pbc": [s.pbc for s in structures],
        "stress": [np.zeros((3, 3)) if s.stress is None else s.stress for s in structures],
        "has_stress": [s.has_stress() for s in structures],
        "has_forces": [s.has_forces() for s in structures],
        "weight": [s.weight for s in structures],
        "n_atoms": [s.n_atoms for s in structures],
        "number": [entry.number for entry in entries],
        "source": [entry.source for entry in entries],
        "frame_idx": [entry.frame_idx for entry in entries],
    }
    rows: Table = {name: Ragged.of(parts, ENTRIES[name]) for name, parts in ragged.items()}
    for name, values in single.items():
        column = ENTRIES[name]
        rows[name] = np.array(values, dtype=column.dtype).reshape(len(entries), *column.shape)
    return rows


def decode(rows: Table, species: Sequence[str]) -> list[Structure]:
    """Return the structures in ``rows``."""
    parts = {name: rows[name].rows() for name in ("positions", "forces", "species", "notes")}
    return [_structure(rows, parts, k, species) for k in range(len(rows["energy"]))]


def encode_sources(records: Sequence[SourceRecord]) -> Table:
    """Return the rows of sources."""
    return {
        name: Ragged.of([bytes_of(record.__dict__[name]) for record in records], column)
        for name, column in SOURCES.items()
    }


def bytes_of(text: str) -> NDArray[np.uint8]:
    """Return text as bytes."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def text_of(values: NDArray[np.uint8]) -> str:
    """Return text from bytes."""
    return values.tobytes().decode()


def _structure(rows: Table, parts: dict[str, list[NDArray[Any]]], k: int, species: Sequence[str]) -> Structure:
    notes = json.loads(text_of(parts["notes"][k]))
    energy = float(rows["energy"][k])
    return Structure(
        positions=parts["positions"][k],
        species=[species[kind] for kind in parts["species"][k].tolist()],
        energy=None if np.isnan(energy) else energy,
        forces=parts["forces"][k] if rows["has_forces"][k] else None,
        cell=rows["cell"][k] if rows["has_cell"][k] else None,
        pbc=rows["pbc"][k],
        name=notes["name"],
        stress=rows["stress"][k] if rows["has_stress"][k] else None,
        weight=float(rows["weight"][k]),
        info=notes["info"],
        source=notes["source"],
    )


def _notes(entry: Entry) -> str:
    structure = entry.structure
    if structure.name is not None:
        require_bytes(f"the name of the structure in {entry.where}", structure.name, LONGEST_NAME)
    for key, value in structure.info.items():
        _require_json(key, value, entry.where)
    info = plain(structure.info)
    return json.dumps({"name": structure.name, "source": structure.source, "info": info}, allow_nan=False)


def _require_json(key: object, value: object, where: str) -> None:
    try:
        if not isinstance(key, str):
            raise ConfigError("the key is no text")
        json.dumps(plain(value, key), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"info[{key!r}] of {where} cannot be written as JSON: {error}; leave it out or make it plain"
        ) from None
