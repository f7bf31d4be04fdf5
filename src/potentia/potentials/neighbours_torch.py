"""Neighbours of open systems by torch_cluster, on any device: the same rows as `neighbours.py`, as tensors."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.checks import number
from potentia.errors import ConfigError, DataError
from potentia.potentials.neighbours import OVERLAP, Neighbours, find_neighbours_of
from potentia.potentials.structure import Structure

__all__ = ["NeighbourTensors", "find_neighbours_on", "radius_pairs", "torch_cluster_available"]


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourTensors:
    """Pairs in CSR form, see `Neighbours`; within a centre, sorted by neighbour."""

    start: Tensor
    """First pair of each atom, and the number of pairs.  [atoms + 1], int64"""
    neighbour: Tensor
    """The other atom.  [pairs], int32"""
    vector: Tensor
    """From the centre to the neighbour, Å, of the type of the positions.  [pairs, 3]"""
    reverse: Tensor
    """The same pair seen from the other side.  [pairs], int32"""

    def numpy(self) -> Neighbours:
        """Return the same as arrays in float64."""
        return Neighbours(
            self.start.cpu().numpy(),
            self.neighbour.cpu().numpy(),
            self.vector.detach().double().cpu().numpy(),
            self.reverse.cpu().numpy(),
        )


def torch_cluster_available() -> bool:
    """Whether the optional package torch_cluster is installed."""
    return importlib.util.find_spec("torch_cluster") is not None


def find_neighbours_on(device: torch.device, structures: Sequence[Structure], cutoff: float) -> list[Neighbours]:
    """Find the neighbours of many structures: those that do not repeat on ``device``, if torch_cluster is installed.

    Raises:
        DataError: in a structure, two atoms lie on each other, or pairs are too many.
    """
    if not torch_cluster_available():
        return find_neighbours_of(structures, cutoff)
    repeating = iter(find_neighbours_of([s for s in structures if s.is_periodic()], cutoff))
    return [next(repeating) if s.is_periodic() else _found_on(device, s, cutoff) for s in structures]


def _found_on(device: torch.device, structure: Structure, cutoff: float) -> Neighbours:
    try:
        return radius_pairs(torch.as_tensor(structure.positions, device=device), cutoff).numpy()
    except DataError as error:
        raise DataError(f"{error} in {structure.label}") from None


def radius_pairs(positions: Tensor, cutoff: float, batch: Tensor | None = None) -> NeighbourTensors:
    """Find all pairs closer than ``cutoff`` in structures that do not repeat; the vectors can be differentiated.

    Args:
        positions: (atoms, 3), Å, on any device; structures laid end to end.
        cutoff: distance (Å).
        batch: index of each atom's structure, ascending, int64, (atoms,). None: all atoms are one structure.

    Raises:
        ConfigError: the cutoff is not a positive number, or torch_cluster is not installed.
        DataError: ``batch`` does not ascend, or two atoms lie on each other.
    """
    if number("cutoff", cutoff) <= 0:
        raise ConfigError(f"cutoff must be above 0 Å, got {cutoff!r}")
    if not torch_cluster_available():
        raise ConfigError("radius_pairs needs torch_cluster: `make pyg` builds it, or use find_neighbours on the CPU")
    n_atoms = len(positions)
    owner = positions.new_zeros(n_atoms, dtype=torch.int64) if batch is None else batch
    if n_atoms > 1 and bool((owner.diff() < 0).any()):
        raise DataError("batch must ascend: lay the atoms of each structure side by side")
    centre, neighbour = _pairs(positions.detach(), cutoff, owner)
    vector = positions[neighbour] - positions[centre]  # [pairs, 3], Å
    close = torch.linalg.vector_norm(vector.detach(), dim=-1) < OVERLAP
    if bool(close.any()):
        pair = int(close.nonzero()[0])
        raise DataError(
            f"atoms {int(centre[pair])} and {int(neighbour[pair])} lie on each other (closer than {OVERLAP} Å)"
        )
    count = torch.bincount(centre, minlength=n_atoms)
    start = torch.cat([count.new_zeros(1), count.cumsum(0)])  # [atoms + 1]
    reverse = torch.searchsorted(centre * n_atoms + neighbour, neighbour * n_atoms + centre)
    return NeighbourTensors(start, neighbour.to(torch.int32), vector, reverse.to(torch.int32))


def _pairs(positions: Tensor, cutoff: float, owner: Tensor) -> tuple[Tensor, Tensor]:
    """Return centre and neighbour of all pairs, sorted by both.  [pairs], int64."""
    from torch_cluster import radius

    if len(positions) == 0:
        return owner, owner
    largest = int(torch.bincount(owner).max())  # no structure can have more neighbours: nothing is cut off
    reach = cutoff * (1 + 1e-5)  # a little more, so that round-off cannot take one side of a pair only
    centre, neighbour = radius(positions, positions, reach, owner, owner, max_num_neighbors=largest)
    distance = torch.linalg.vector_norm(positions[neighbour] - positions[centre], dim=-1)
    kept = (centre != neighbour) & (distance < cutoff)
    key = (centre[kept] * len(positions) + neighbour[kept]).sort().values
    return key // len(positions), key % len(positions)
