"""Many structures as one: atoms and pairs laid end to end, ready for the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import did_you_mean
from potentia.errors import DataError
from potentia.potentials.neighbours import Neighbours
from potentia.potentials.pair_layout_numba import PairLayout, lay_out
from potentia.potentials.structure import Structure

__all__ = ["Geometry", "Selection", "join_geometries", "species_indices"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """Some structures of a `Geometry`, in any order: which atoms they have and where their pairs go."""

    structures: Tensor
    """Which structures.  [structures]"""
    atoms: Tensor
    """Their atoms in the numbering of the geometry, structure by structure.  [atoms]"""
    owner: Tensor
    """Position in `structures` of each atom's structure.  [atoms]"""
    first: Tensor
    """First atom of each structure in `atoms`, and their number.  [structures + 1]"""
    rows: Tensor
    """Where the pairs of each atom begin when the pairs of the selection are laid end to end.  [atoms]"""
    n_pairs: int
    """Number of pairs of the selection."""
    member: Tensor | None = None
    """Which of several models each structure is for; None where there is one model.  [structures]"""
    n_members: int = 1
    """Number of models."""

    def of_members(self, member: Tensor, n_members: int) -> Selection:
        """Return the same selection for several models: ``member`` [structures] says which each structure is for."""
        return replace(self, member=member, n_members=n_members)


@dataclass(frozen=True)
class Geometry:
    """Structures laid end to end; pairs in CSR form, every pair seen from both sides, arranged by a `PairLayout`."""

    species: Tensor
    """Index of each atom's species in the descriptor.  [atoms], int64"""
    owner: Tensor
    """Index of each atom's structure.  [atoms], int64"""
    atom_start: Tensor
    """First atom of each structure, and the number of atoms.  [structures + 1], int64"""
    start: Tensor
    """First pair of each centre, and the number of pairs, fillers included.  [atoms + 1], int64"""
    whole: Tensor
    """Neighbours of each species, fillers not counted.  [atoms, species], int32"""
    near: Tensor
    """Those within the near cutoff, which stand first.  [atoms, species], int32"""
    neighbour: Tensor
    """Neighbouring atom of each pair; the centre itself for fillers.  [pairs], int32"""
    reverse: Tensor
    """The same pair seen from the other side; itself for fillers.  [pairs], int64"""
    vector: Tensor
    """From the centre to the image of the neighbour, Å.  [pairs, 3]"""
    volume: Tensor
    """Cell volume, Å³; NaN unless periodic in three directions.  [structures], float64"""

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.atom_start) - 1

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.species)

    @property
    def n_pairs(self) -> int:
        """Number of pairs, both ways, fillers included."""
        return len(self.neighbour)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays."""
        return sum(array.nbytes for array in self._arrays().values())

    @property
    def device(self) -> torch.device:
        """Where the arrays are."""
        return self.vector.device

    @cached_property
    def everything(self) -> Selection:
        """The selection of all structures in their order."""
        return self.select(torch.arange(self.n_structures, device=self.device))

    def select(self, structures: Tensor) -> Selection:
        """Return the selection of ``structures`` [structures], in the order given.

        NumPy does it on the host: for arrays of this size torch's threads take longer to wake than to work.
        """
        chosen = structures.cpu().numpy()
        atom_start, start = self._starts
        first = atom_start[chosen]
        count = atom_start[chosen + 1] - first
        owner = np.repeat(np.arange(len(chosen)), count)
        starts = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(count)))
        atoms = np.arange(len(owner)) + (first - starts[:-1])[owner]
        pairs = start[atoms + 1] - start[atoms]
        ends = np.cumsum(pairs)
        n_pairs = int(ends[-1]) if len(ends) else 0
        return Selection(
            structures, self._here(atoms), self._here(owner), self._here(starts), self._here(ends - pairs), n_pairs
        )

    def _here(self, array: IntArray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    @cached_property
    def _starts(self) -> tuple[IntArray, IntArray]:
        """`atom_start` and `start` on the host."""
        return self.atom_start.cpu().numpy(), self.start.cpu().numpy()

    def keep_pairs(self, kept: Tensor) -> Geometry:
        """Return the same atoms with the pairs of the structures marked in ``kept`` [structures] only."""
        if bool(kept.all()):
            return self
        counts = torch.where(kept[self.owner], self.start.diff(), 0)
        start = torch.cat((self.start.new_zeros(1), torch.cumsum(counts, 0)))
        atom = torch.repeat_interleave(torch.arange(self.n_atoms, device=self.device), self.start.diff())
        here = kept[self.owner[atom]]
        moved = (start - self.start)[self.atom_start[self.owner[atom[here]]]]
        there = kept[self.owner][:, None]
        changed = {
            "start": start,
            "whole": self.whole * there,
            "near": self.near * there,
            "neighbour": self.neighbour[here],
            "reverse": self.reverse[here] + moved,
            "vector": self.vector[here],
        }
        return Geometry(**{**self._arrays(), **changed})

    def structure(self, k: int) -> Geometry:
        """Return one structure alone."""
        first, last = (int(self.atom_start[i]) for i in (k, k + 1))
        begin, end = (int(self.start[i]) for i in (first, last))
        return Geometry(
            species=self.species[first:last],
            owner=self.owner[first:last] - k,
            atom_start=self.atom_start[k : k + 2] - first,
            start=self.start[first : last + 1] - begin,
            whole=self.whole[first:last],
            near=self.near[first:last],
            neighbour=self.neighbour[begin:end] - first,
            reverse=self.reverse[begin:end] - begin,
            vector=self.vector[begin:end],
            volume=self.volume[k : k + 1],
        )

    def to(self, device: torch.device | str) -> Geometry:
        """Return the same geometry on another device."""
        return Geometry(**{name: value.to(device) for name, value in self._arrays().items()})

    def _arrays(self) -> dict[str, Tensor]:
        return {field.name: self.__dict__[field.name] for field in fields(self)}

    @classmethod
    def of(
        cls,
        structures: Sequence[Structure],
        neighbours: Sequence[Neighbours],
        species_to_idx: Mapping[str, int],
        layout: PairLayout,
        dtype: torch.dtype,
    ) -> Geometry:
        """Lay ``structures`` end to end, their pairs arranged by ``layout``."""
        counts = np.array([s.n_atoms for s in structures], dtype=np.int64)
        atom_start = np.concatenate([[0], np.cumsum(counts)])
        pair_start = np.concatenate([[0], np.cumsum([len(found.neighbour) for found in neighbours])]).astype(np.int64)
        species = _joined([species_indices(s, species_to_idx) for s in structures], np.int64)
        pairs = lay_out(
            layout,
            np.concatenate(
                [*(n.start[:-1] + p for n, p in zip(neighbours, pair_start, strict=False)), pair_start[-1:]]
            ),
            _joined([n.neighbour + np.int32(a) for n, a in zip(neighbours, atom_start, strict=False)], np.int32),
            _joined([n.reverse + p for n, p in zip(neighbours, pair_start, strict=False)], np.int64),
            _joined([n.vector for n in neighbours], np.float64).reshape(-1, 3),
            species,
        )
        volume = np.array([s.volume if all(s.pbc) else np.nan for s in structures], dtype=np.float64)
        return cls(
            species=torch.from_numpy(species),
            owner=torch.from_numpy(np.repeat(np.arange(len(structures)), counts)),
            atom_start=torch.from_numpy(atom_start),
            start=torch.from_numpy(pairs.start),
            whole=torch.from_numpy(pairs.whole),
            near=torch.from_numpy(pairs.near),
            neighbour=torch.from_numpy(pairs.neighbour),
            reverse=torch.from_numpy(pairs.reverse),
            vector=torch.from_numpy(pairs.vector).to(dtype),
            volume=torch.from_numpy(volume),
        )


def _joined(parts: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([*parts, np.zeros((0, *parts[0].shape[1:]) if parts else 0, dtype=dtype)])


def join_geometries(parts: Sequence[Geometry]) -> Geometry:
    """Lay geometries end to end."""
    structures = np.cumsum([0] + [p.n_structures for p in parts])
    atoms = np.cumsum([0] + [p.n_atoms for p in parts])
    pairs = np.cumsum([0] + [p.n_pairs for p in parts])
    return Geometry(
        species=torch.cat([p.species for p in parts]),
        owner=torch.cat([p.owner + int(k) for p, k in zip(parts, structures, strict=False)]),
        atom_start=_join_starts([p.atom_start for p in parts], atoms),
        start=_join_starts([p.start for p in parts], pairs),
        whole=torch.cat([p.whole for p in parts]),
        near=torch.cat([p.near for p in parts]),
        neighbour=torch.cat([p.neighbour + int(k) for p, k in zip(parts, atoms, strict=False)]),
        reverse=torch.cat([p.reverse + int(k) for p, k in zip(parts, pairs, strict=False)]),
        vector=torch.cat([p.vector for p in parts]),
        volume=torch.cat([p.volume for p in parts]),
    )


def _join_starts(starts: Sequence[Tensor], offsets: NDArray[np.int64]) -> Tensor:
    moved = [start[:-1] + int(offset) for start, offset in zip(starts, offsets, strict=False)]
    return torch.cat([*moved, starts[0].new_tensor([int(offsets[-1])])])


def species_indices(structure: Structure, species_to_idx: Mapping[str, int]) -> IntArray:
    """Return the index of each atom's species, or raise `DataError` naming the first unknown one.  [atoms]"""
    try:
        return np.array([species_to_idx[s] for s in structure.species], dtype=np.int64)
    except KeyError as unknown:
        name = str(unknown.args[0])
        atom = structure.species.index(name)
        hint = did_you_mean(name, species_to_idx)
        raise DataError(
            f"species {name!r} of atom {atom} in {structure.label} is not one of the descriptor's{hint}"
        ) from None
