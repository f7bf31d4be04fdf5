"""Pairs of some atoms laid end to end, for descriptors that are written in torch operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from potentia.potentials.descriptors.segments import sum_by_centre
from potentia.potentials.geometry import Geometry, Selection

__all__ = ["PairsOfAtoms"]


@dataclass(frozen=True)
class PairsOfAtoms:
    """The pairs of a selection, or of a whole geometry, in the numbering of its atoms."""

    vector: Tensor
    """From the centre to the neighbour, Å.  [pairs, 3]"""
    species: Tensor
    """Index of the neighbour's species.  [pairs]"""
    centre: Tensor
    """[pairs]"""
    neighbour: Tensor
    """[pairs]"""
    start: Tensor
    """First pair of each centre, and the number of pairs.  [atoms + 1]"""

    @classmethod
    def of(cls, geometry: Geometry, selection: Selection | None) -> Self:
        """Return the pairs of a selection, None for those of all atoms."""
        if selection is None:
            neighbour = geometry.neighbour.long()
            centre = torch.repeat_interleave(
                torch.arange(geometry.n_atoms, device=geometry.device), geometry.start.diff()
            )
            return cls(geometry.vector, geometry.species[neighbour], centre, neighbour, geometry.start)
        first = geometry.start[selection.atoms]
        count = geometry.start[selection.atoms + 1] - first
        local = torch.arange(len(count), device=geometry.device)
        centre = torch.repeat_interleave(local, count)
        pair = torch.arange(selection.n_pairs, device=geometry.device) + (first - selection.rows)[centre]
        neighbour = geometry.neighbour[pair].long()
        start = torch.cat((selection.rows, selection.rows.new_tensor([selection.n_pairs])))
        return cls(
            geometry.vector[pair],
            geometry.species[neighbour],
            centre,
            neighbour - (selection.atoms - local)[centre],
            start,
        )

    def sum(self, by_pair: Tensor) -> Tensor:
        """Sum what belongs to pairs [pairs, ...] over each centre.  [atoms, ...]"""
        return sum_by_centre(by_pair, self.start, self.centre)

    def pulled(self, selection: Selection, by_pair: Tensor) -> tuple[Tensor, Tensor]:
        """From derivatives by the vectors [pairs, 3] to those by positions [atoms, 3] and strain [structures, 3, 3]."""
        out = by_pair.new_zeros((len(selection.atoms), 3))
        out = out.index_add(0, self.neighbour, by_pair) - self.sum(by_pair)
        outer = by_pair[:, :, None] * self.vector[:, None, :]
        strain = by_pair.new_zeros((len(selection.structures), 3, 3))
        return out, strain.index_add(0, selection.owner[self.centre], outer)

    def moved(self, selection: Selection, shift: Tensor, strain: Tensor) -> Tensor:
        """Return how the vectors change along shift [atoms, 3] and strain [structures, 3, 3].  [pairs, 3]"""
        move = shift[self.neighbour] - shift[self.centre]
        return move + torch.einsum("pij,pj->pi", strain[selection.owner[self.centre]], self.vector)
