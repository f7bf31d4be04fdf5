"""Features and pairs as rows of a database, and back to the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.data.ragged import Column, Ragged, Table
from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.geometry import Geometry
from potentia.potentials.structure import Structure

__all__ = ["feature_rows", "geometry_from", "pair_rows", "persisted_tables", "tensor_of"]

FEATURES, MOMENTS, PAIRS = "features", "moments", "pairs"
"""Names of the tables; each has one row for each entry."""


def persisted_tables(descriptor: Descriptor, *, features: bool, pairs: bool) -> dict[str, dict[str, Column]]:
    """Return the tables for what shall be persisted.

    Moments come with either. The arrays of `Geometry` are kept as for one structure alone, the number of pairs of each
    atom in place of where they start.
    """
    probe = descriptor.features(descriptor.geometry([Structure([[0.0, 0.0, 0.0]], [descriptor.species[0]])]))  # type: ignore[arg-type]  # lists are fine
    real = np.dtype(str(descriptor.dtype).removeprefix("torch.")).newbyteorder("<").str
    tables: dict[str, dict[str, Column]] = {}
    if features:
        tables[FEATURES] = {"values": Column(real, (descriptor.n_features,), ragged=True)}
    if features or pairs:
        tables[MOMENTS] = {"moments": Column(real, tuple(probe.moments.shape[1:]), ragged=True)}
    if pairs:
        by_species = Column("<i4", (descriptor.n_species,), ragged=True)
        by_pair = Column("<i4", ragged=True)
        tables[PAIRS] = {
            "count": Column("<i4", ragged=True),
            "whole": by_species,
            "near": by_species,
            "neighbour": by_pair,
            "reverse": by_pair,
            "vector": Column(real, (3,), ragged=True),
        }
    return tables


def feature_rows(features: Features, geometry: Geometry) -> dict[str, Table]:
    """Return features and moments as rows."""
    atoms = geometry.atom_start.diff().cpu().numpy()
    return {
        FEATURES: {"values": Ragged(features.values.cpu().numpy(), atoms)},
        MOMENTS: {"moments": Ragged(features.moments.cpu().numpy(), atoms)},
    }


def pair_rows(geometry: Geometry, kept: NDArray[np.bool_]) -> Table:
    """Return the pairs of the structures in ``kept`` [structures] as rows; the others get none."""
    here = geometry.keep_pairs(torch.from_numpy(kept).to(geometry.device)).to("cpu")
    begin = here.start[here.atom_start].numpy()  # [structures + 1]
    first, pairs = begin[:-1], np.diff(begin)
    first_atom = here.atom_start[:-1].numpy()
    atoms = np.where(kept, here.atom_start.diff().numpy(), 0)
    of_kept = kept[here.owner.numpy()]
    neighbour = here.neighbour.numpy() - np.repeat(first_atom, pairs)
    reverse = here.reverse.numpy() - np.repeat(first, pairs)
    return {
        "count": Ragged(here.start.diff().numpy()[of_kept].astype(np.int32), atoms),
        "whole": Ragged(here.whole.numpy()[of_kept], atoms),
        "near": Ragged(here.near.numpy()[of_kept], atoms),
        "neighbour": Ragged(neighbour.astype(np.int32), pairs),
        "reverse": Ragged(reverse.astype(np.int32), pairs),
        "vector": Ragged(here.vector.numpy(), pairs),
    }


def geometry_from(
    species: Ragged, volume: NDArray[np.float64], kept: NDArray[np.bool_], pairs: Table | None, descriptor: Descriptor
) -> Geometry:
    """Return the geometry of structures whose ``species`` are given, with the pairs of those in ``kept``.

    ``pairs`` has one row for each structure in ``kept``; it is None when there is none.
    """
    n_atoms = len(species.values)
    owner = np.repeat(np.arange(len(kept)), species.lengths)
    shape = (n_atoms, descriptor.n_species)
    count, whole, near = np.zeros(n_atoms, np.int64), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    neighbour, reverse = np.zeros(0, np.int32), np.zeros(0, np.int64)
    vector: NDArray[np.floating] = np.zeros((0, 3))
    if pairs is not None:
        here = kept[owner]
        count[here], whole[here], near[here] = (pairs[name].values for name in ("count", "whole", "near"))
        n_pairs, first_pair = pairs["neighbour"].lengths, pairs["neighbour"].start[:-1]
        first_atom = species.start[:-1][kept]
        neighbour = pairs["neighbour"].values + np.repeat(first_atom, n_pairs).astype(np.int32)
        reverse = pairs["reverse"].values + np.repeat(first_pair, n_pairs)
        vector = pairs["vector"].values
    geometry = Geometry(
        species=torch.from_numpy(species.values.astype(np.int64)),
        owner=torch.from_numpy(owner),
        atom_start=torch.from_numpy(species.start),
        start=torch.from_numpy(np.concatenate([[0], np.cumsum(count)])),
        whole=torch.from_numpy(whole),
        near=torch.from_numpy(near),
        neighbour=torch.from_numpy(neighbour),
        reverse=torch.from_numpy(reverse),
        vector=tensor_of(vector, descriptor).cpu(),
        volume=torch.from_numpy(volume),
    )
    return geometry.to(descriptor.device)


def volumes(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the volume of each cell (Å³), NaN unless it repeats in three directions.  [structures]"""
    found = [abs(float(np.linalg.det(c))) if p.all() else np.nan for c, p in zip(cell, pbc, strict=True)]
    return np.array(found, dtype=np.float64)


def tensor_of(values: NDArray[np.floating], descriptor: Descriptor) -> Tensor:
    """Return persisted numbers in the type and on the device of ``descriptor``."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(descriptor.device, descriptor.dtype)


def runs(marks: Sequence[bool]) -> list[tuple[bool, int, int]]:
    """Return the stretches of equal marks as (mark, begin, end).

    >>> runs([True, True, False])
    [(True, 0, 2), (False, 2, 3)]
    """
    cuts = [0, *(k for k in range(1, len(marks)) if marks[k] != marks[k - 1]), len(marks)]
    return [(bool(marks[b]), b, e) for b, e in pairwise(cuts) if e > b]
