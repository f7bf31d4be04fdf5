"""The entries of a database: structures and labels as they were, features and pairs read or else computed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import did_you_mean
from potentia.data.ragged import Ragged, RaggedFile, Table
from potentia.errors import DataError
from potentia.potentials.datasets.base import DatasetSummary
from potentia.potentials.datasets.entries import ENTRIES, SOURCES, decode, text_of
from potentia.potentials.datasets.persisted import (
    FEATURES,
    MOMENTS,
    PAIRS,
    geometry_from,
    runs,
    tensor_of,
    volumes,
)
from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.geometry import Geometry, join_geometries
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised

__all__ = ["StoredEntries"]

CHUNK = 128
"""Entries that are read and featurised at a time."""


@dataclass(frozen=True)
class StoredEntries:
    """What is in a database file, by number of the entry."""

    file: RaggedFile

    def __len__(self) -> int:
        return self.file.n_rows("entries")

    @property
    def species(self) -> list[str]:
        """Chemical species in the order of their appearance."""
        return list(self.file.header.settings["species"])

    @property
    def has_features(self) -> bool:
        """Whether features and moments are there."""
        return FEATURES in self.file.header.tables

    @property
    def has_pairs(self) -> bool:
        """Whether pairs, and the moments that derivatives need besides, are there."""
        return PAIRS in self.file.header.tables

    def structures(self, rows: Sequence[int]) -> list[Structure]:
        """Return structures."""
        return decode(self.file.gather("entries", tuple(ENTRIES), rows), self.species)

    def metadata(self, row: int) -> dict[str, Any]:
        """Return where an entry comes from, and its labels that are one number each."""
        names = ("notes", "energy", "has_forces", "has_stress", "n_atoms", "number", "source", "frame_idx")
        entry = self.file.read("entries", names, row, row + 1)
        at = int(entry["source"][0])
        source = self.file.read("sources", tuple(SOURCES), at, at + 1)
        energy = float(entry["energy"][0])
        return {
            **{name: text_of(source[name].values) for name in SOURCES},
            "frame_idx": int(entry["frame_idx"][0]),
            "number": int(entry["number"][0]),
            "name": json.loads(text_of(entry["notes"].values))["name"],
            "energy": None if np.isnan(energy) else energy,
            "n_atoms": int(entry["n_atoms"][0]),
            "has_forces": bool(entry["has_forces"][0]),
            "has_stress": bool(entry["has_stress"][0]),
        }

    def summary(self, descriptor: Descriptor | None) -> DatasetSummary:
        """Return the labels of all entries that are one number each."""
        names = ("energy", "n_atoms", "has_forces", "has_stress", "weight", "composition")
        entries = self.file.read("entries", names, 0, len(self))
        counted: Ragged = entries["composition"]
        species = tuple(self.species) if descriptor is None else descriptor.species
        if descriptor is None:
            columns = np.arange(len(species))
        else:
            columns = self._columns(descriptor, Ragged(counted.values[:, 0], counted.lengths), range(len(self)))
        composition = np.zeros((len(self), len(species)), dtype=np.int64)
        row = np.repeat(np.arange(len(self)), counted.lengths)
        np.add.at(composition, (row, columns[counted.values[:, 0]]), counted.values[:, 1])
        labels = {name: entries[name] for name in names[:-1]}
        return DatasetSummary(species=species, composition=composition, **labels)

    def features(self, row: int, descriptor: Descriptor) -> Tensor:
        """Return the persisted features of an entry.  [atoms, features]"""
        values: Ragged = self.file.read(FEATURES, ("values",), row, row + 1)["values"]
        return tensor_of(values.values, descriptor)

    def moments(self, rows: Sequence[int], descriptor: Descriptor) -> Tensor:
        """Return the persisted moments of entries.  [atoms, ...]"""
        moments: Ragged = self.file.gather(MOMENTS, ("moments",), rows)["moments"]
        return tensor_of(moments.values, descriptor)

    def is_supervised(self, rows: Sequence[int]) -> NDArray[np.bool_]:
        """Whether entries have forces or stress, hence pairs where pairs are persisted.  [rows]"""
        entries = self.file.gather("entries", ("has_forces", "has_stress"), rows)
        found: NDArray[np.bool_] = entries["has_forces"] | entries["has_stress"]
        return found

    def geometry(self, rows: Sequence[int], kept: NDArray[np.bool_], descriptor: Descriptor) -> Geometry:
        """Return the geometry of entries with the persisted pairs of those in ``kept`` [rows]."""
        entries = self.file.gather("entries", ("species", "cell", "pbc"), rows)
        kinds: Ragged = entries["species"]
        species = Ragged(self._columns(descriptor, kinds, rows)[kinds.values], kinds.lengths)
        pairs: Table | None = None
        if kept.any():
            names = tuple(self.file.header.tables[PAIRS])
            pairs = self.file.gather(PAIRS, names, np.asarray(rows, dtype=np.int64)[kept])
        return geometry_from(species, volumes(entries["cell"], entries["pbc"]), kept, pairs, descriptor)

    def featurised(self, rows: Sequence[int], differentiated: Sequence[bool], descriptor: Descriptor) -> Featurised:
        """Return the features of entries, with what derivatives need where ``differentiated``: read, else computed."""
        geometries, features = [], []
        for begin in range(0, len(rows), CHUNK):
            chunk = [int(row) for row in rows[begin : begin + CHUNK]]
            wanted = np.array(differentiated[begin : begin + CHUNK], dtype=bool)
            geometry = self._paired(chunk, wanted | (not self.has_features), descriptor)
            features.append(self._features(chunk, geometry, descriptor, moments=any(differentiated)))
            geometries.append(geometry.keep_pairs(torch.from_numpy(wanted).to(geometry.device)))
        joined = Features(torch.cat([f.values for f in features]), torch.cat([f.moments for f in features]))
        return Featurised(descriptor, join_geometries(geometries), joined)

    def _paired(self, rows: list[int], paired: NDArray[np.bool_], descriptor: Descriptor) -> Geometry:
        """Return the geometry of entries, with pairs at least of those ``paired``, searched where there are none."""
        missing = paired
        if self.has_pairs:
            missing = paired & ~self.is_supervised(rows)
        parts = [
            descriptor.geometry(self.structures(rows[begin:end]))
            if search
            else self.geometry(rows[begin:end], paired[begin:end], descriptor)
            for search, begin, end in runs(missing.tolist())
        ]
        return parts[0] if len(parts) == 1 else join_geometries(parts)

    def _features(self, rows: list[int], geometry: Geometry, descriptor: Descriptor, *, moments: bool) -> Features:
        if not self.has_features:
            found = descriptor.features(geometry)
            return found if moments else Features(found.values, found.moments[:0])
        values: Ragged = self.file.gather(FEATURES, ("values",), rows)["values"]
        return Features(tensor_of(values.values, descriptor), self.moments(rows if moments else [], descriptor))

    def _columns(self, descriptor: Descriptor, kinds: Ragged, rows: Sequence[int]) -> NDArray[np.int64]:
        """Return the descriptor's index of each species of the file, or raise `DataError` for one in ``kinds``."""
        known = descriptor.species_to_idx
        columns = np.array([known.get(name, -1) for name in self.species], dtype=np.int64)
        unknown = np.flatnonzero(columns[kinds.values] < 0)
        if len(unknown):
            row = rows[int(np.searchsorted(kinds.start, unknown[0], side="right")) - 1]
            source = self.metadata(row)
            name = self.species[int(kinds.values[unknown[0]])]
            where = f"{source['display_name'] or source['source_id']}, frame {source['frame_idx']} (entry {row})"
            hint = did_you_mean(name, known)
            raise DataError(f"species {name!r} in {where} is not one of the descriptor's{hint}")
        return columns
