"""Neighbours that last for many steps: found within cutoff and skin, and found anew when an atom may come from outside.

A pair outside the list was farther apart than cutoff + skin when the list was made. With the cell strained by F since,
every vector has become v F + u_j − u_i, where u_i is what atom i has moved besides the strain; so nothing can be missed
while the least singular value of F times (cutoff + skin), less the two largest ``|u|``, is not below the cutoff. That
is exact for any motion of atoms and cell. A drift of all atoms together uses up nothing. As a stretched cell is given
no credit (F counts as 1 at most), the same holds for any shorter distance with the same skin.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from vesin import NeighborList

from potentia.errors import DataError, warn_user
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.segments import sum_by_centre
from potentia.potentials.geometry import Geometry
from potentia.potentials.neighbours import OVERLAP
from potentia.potentials.skin_numba import MANY, gather, link, pick, see_from_both_sides
from potentia.simd.sharing import share

__all__ = ["AllPairs", "Frame", "MovingPairs", "PickedPairs", "SkinList"]

Floats = NDArray[np.float64]
MOST_PAIRS = 2**31 - 1
"""Pairs are counted in int32."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Where the atoms are at one moment."""

    positions: Floats
    """Å.  [atoms, 3]"""
    species: NDArray[np.int64]
    """Index of each atom's species in the descriptor.  [atoms]"""
    cell: Floats
    """Rows are the lattice vectors, Å; zeros where there are none.  [3, 3]"""
    pbc: NDArray[np.bool_]
    """Along which of them the structure repeats.  [3]"""

    @property
    def volume(self) -> float:
        """Volume of the cell (Å³); NaN unless periodic in three directions."""
        return abs(float(np.linalg.det(self.cell))) if self.pbc.all() else float("nan")

    def same_atoms(self, other: Frame) -> bool:
        """Whether species and periodicity are those of ``other``."""
        same = self.species is other.species or np.array_equal(self.species, other.species)
        return same and np.array_equal(self.pbc, other.pbc)


class SkinList:
    """Pairs within cutoff + skin, sorted by centre and species of the neighbour, both ways.

    Args:
        frame: Where the atoms are when the list is made.
        n_species: Number of species.
        cutoff: What must never be missed (Å).
        skin: How much farther the list reaches (Å).

    Raises:
        DataError: no neighbours can be found, or pairs are too many.
    """

    def __init__(self, frame: Frame, n_species: int, cutoff: float, skin: float) -> None:
        self.frame, self.cutoff, self.skin = frame, cutoff, skin
        vectors = frame.cell[frame.pbc]  # [periodic, 3]
        self._inverse = np.linalg.pinv(vectors)  # [3, periodic]
        self._wraps = np.zeros_like(frame.positions)
        self._wraps[:, frame.pbc] = np.floor(frame.positions @ self._inverse)
        points = self.points(frame)
        vesin = NeighborList(cutoff=cutoff + skin, full_list=False, n_threads=1)
        try:
            half, shifts = vesin.compute(points, frame.cell, frame.pbc, "PS", copy=False)  # views into `vesin`
        except RuntimeError as error:
            raise DataError(f"no neighbours can be found: {error}") from error
        if 2 * len(half) > MOST_PAIRS:
            raise DataError(f"{2 * len(half):,} pairs within {cutoff + skin} Å are too many: are cell and cutoff in Å?")
        n = len(points)
        most = np.abs(shifts).max(0).astype(np.int64) if len(half) else np.zeros(3, dtype=np.int64)
        self.start = np.zeros(n + 1, dtype=np.int64)
        self.count = np.zeros((n, n_species), dtype=np.int64)
        self.other = np.empty(2 * len(half), dtype=np.int32)
        self.image = np.empty(2 * len(half), dtype=np.int32)
        self.reverse = np.empty(2 * len(half), dtype=np.int32)
        rows = (self.start, self.count, self.other, self.image, self.reverse)
        see_from_both_sides(half.view(np.int64), shifts, most, frame.species, *rows)
        spans = [np.arange(-m, m + 1) for m in most]
        self._images = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float64)

    def points(self, frame: Frame) -> Floats:
        """Return the positions in the images that the list has chosen for the atoms, Å.  [atoms, 3]"""
        return frame.positions - self._wraps @ frame.cell

    def offsets(self, frame: Frame) -> Floats:
        """Return what leads to each image of the cell that pairs go to, Å.  [images, 3]"""
        found: Floats = self._images @ frame.cell
        return found

    def holds(self, frame: Frame) -> bool:
        """Whether every pair within the cutoff is in the list still; and so those within less, with the same skin."""
        then = self.frame
        if not frame.same_atoms(then):
            return False
        strained = not np.array_equal(frame.cell, then.cell)
        strain = np.eye(3) + self._inverse @ (frame.cell - then.cell)[frame.pbc]
        least = min(1.0, float(np.linalg.svd(strain, compute_uv=False)[-1])) if strained else 1.0
        moved = frame.positions - (then.positions @ strain if strained else then.positions)
        moved -= moved.mean(0)
        squares = np.einsum("ai,ai->a", moved, moved)
        largest = np.sqrt(np.partition(squares, -2)[-2:]).sum() if len(squares) > 1 else 0.0
        return bool(least * (self.cutoff + self.skin) - largest >= self.cutoff)


class MovingPairs(ABC):
    """The pairs of the moment, as a `Geometry` for the descriptor; finds neighbours anew when it must.

    Args:
        descriptor: The descriptor whose cutoff, layout and type the geometry is made for.
        skin: How much farther than the cutoff neighbours are looked for (Å).
        unseen: What becomes of pairs that the descriptor does not see, in words for warnings.
    """

    def __init__(self, descriptor: Descriptor, skin: float, unseen: str = "nothing repels them") -> None:
        self.descriptor, self.skin, self.unseen = descriptor, skin, unseen
        self.rebuilds = 0
        self.known: SkinList | None = None
        self._by_pair = torch.empty((0, 3))
        self._warned = False

    def follow(self, frame: Frame) -> Geometry:
        """Return the pairs of ``frame``; their arrays are written over at the next call.

        Raises:
            DataError: two atoms lie on each other, or no neighbours can be found.

        Warns:
            PotentiaWarning: for the first time, atoms are too close for the descriptor to see.
        """
        if self.known is None or not self.known.holds(frame):
            self.known = SkinList(frame, self.descriptor.n_species, self.descriptor.cutoff, self.skin)
            self.rebuilds += 1
            self._adopt(self.known)
        geometry, closest = self._moved(self.known, frame)
        self._look_at(closest)
        return geometry

    def gradients(self, geometry: Geometry, moments: Tensor, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        """Return the derivative of Σ cotangent·G by positions [atoms, 3] and by strain [3, 3]."""
        by_centre = self.descriptor.pair_gradients(geometry, moments, cotangent, self._by_pair)
        return self._gathered(geometry, self._by_pair), by_centre.double().sum(0)

    @abstractmethod
    def _gathered(self, geometry: Geometry, by_pair: Tensor) -> Tensor:
        """Sum gradients by pair vectors [pairs, 3] to gradients by positions [atoms, 3]."""

    @abstractmethod
    def _adopt(self, known: SkinList) -> None:
        """Make room for the pairs of a new list."""

    @abstractmethod
    def _moved(self, known: SkinList, frame: Frame) -> tuple[Geometry, Floats]:
        """Return the pairs of ``frame``, and for each atom the least square of a distance too short to be seen."""

    def _look_at(self, closest: Floats) -> None:
        """Refuse atoms that lie on each other, and warn once of atoms that are too close."""
        if not len(closest) or np.isinf(least := closest.min()):
            return
        atom, distance = int(closest.argmin()), float(np.sqrt(least))
        if distance < OVERLAP:
            raise DataError(f"atom {atom} and another lie on each other (closer than {OVERLAP} Å): remove one of them")
        if not self._warned:
            self._warned = True
            warn_user(
                f"atom {atom} has come as close as {distance:.3f} Å to another; the descriptor does not see pairs "
                f"closer than its min_cutoff, so {self.unseen}. Said once; look at the run, or lower min_cutoff"
            )

    def _whole(self, known: SkinList) -> dict[str, Tensor]:
        """What a geometry of one structure has besides its pairs."""
        n = len(known.frame.species)
        return {
            "species": torch.from_numpy(known.frame.species),
            "owner": torch.zeros(n, dtype=torch.int64),
            "atom_start": torch.tensor([0, n]),
        }


class PickedPairs(MovingPairs):
    """For loops on the CPU: at every step, those in reach are picked from the list, in blocks as the kernels want."""

    def _adopt(self, known: SkinList) -> None:
        layout = self.descriptor.layout
        filled = -(-known.count // layout.block) * layout.block  # [atoms, species]
        start = np.concatenate([[0], np.cumsum(filled.sum(1))])
        total, shape = int(start[-1]), known.count.shape
        self._geometry = Geometry(
            **self._whole(known),
            start=torch.from_numpy(start),
            whole=torch.zeros(shape, dtype=torch.int32),
            near=torch.zeros(shape, dtype=torch.int32),
            neighbour=torch.empty(total, dtype=torch.int32),
            reverse=torch.empty(total, dtype=torch.int64),
            vector=torch.empty((total, 3), dtype=self.descriptor.dtype),
            volume=torch.empty(1, dtype=torch.float64),
        )
        g = self._geometry
        self._by_pair = torch.empty_like(g.vector)
        self._rows = [a.numpy() for a in (g.start, g.vector, g.neighbour, g.reverse, g.whole, g.near)]
        self._place = np.empty(len(known.other), dtype=np.int32)
        self._closest = np.empty(len(known.start) - 1)
        self._widest = int(known.count.sum(1).max(initial=0))
        unseen, near = max(layout.min_cutoff, OVERLAP) ** 2, layout.near_cutoff**2
        self._limits = (unseen, near, self.descriptor.cutoff**2, layout.far)

    def _moved(self, known: SkinList, frame: Frame) -> tuple[Geometry, Floats]:
        points, offsets = known.points(frame), known.offsets(frame)
        worth = len(points) // MANY
        share(
            pick, worth, points, offsets, known.start, known.count, known.other, known.image, self._widest,
            self._limits, self.descriptor.layout.block, *self._rows, self._place, self._closest,
        )  # fmt: skip
        share(link, worth, known.start, known.reverse, self._place, self._geometry.reverse.numpy())
        self._geometry.volume[0] = frame.volume
        return self._geometry, self._closest

    def _gathered(self, geometry: Geometry, by_pair: Tensor) -> Tensor:
        """Sum gradients by pair vectors [pairs, 3] to gradients by positions [atoms, 3]."""
        out = by_pair.new_empty((geometry.n_atoms, 3))
        block = self.descriptor.layout.block
        given = (geometry.start.numpy(), geometry.whole.numpy(), block, geometry.reverse.numpy())
        share(gather, geometry.n_atoms // MANY, *given, by_pair.numpy(), out.numpy())
        return out


class AllPairs(MovingPairs):
    """For torch operations on any device: all pairs of the list at every step, with cutoff functions that are zero."""

    def _adopt(self, known: SkinList) -> None:
        device = self.descriptor.device
        self._by_pair = torch.empty((len(known.other), 3), dtype=self.descriptor.dtype, device=device)
        self._start = torch.from_numpy(known.start).to(device)
        self._other = torch.from_numpy(known.other).to(device)
        self._image = torch.from_numpy(known.image).to(device)
        self._reverse = torch.from_numpy(known.reverse).to(device).long()
        self._count = torch.from_numpy(known.count).to(device).int()
        atoms = torch.arange(len(known.start) - 1, device=device)
        self._centre = torch.repeat_interleave(atoms, self._start.diff())

    def _moved(self, known: SkinList, frame: Frame) -> tuple[Geometry, Floats]:
        device = self.descriptor.device
        points = torch.from_numpy(known.points(frame)).to(device)
        offsets = torch.from_numpy(known.offsets(frame)).to(device)
        vector = points[self._other] + offsets[self._image] - points[self._centre]  # [pairs, 3], Å
        squares = (vector * vector).sum(1)
        unseen = squares <= max(self.descriptor.layout.min_cutoff, OVERLAP) ** 2
        least = squares.new_full((len(points),), torch.inf)
        if bool(unseen.any()):
            least = least.scatter_reduce(0, self._centre[unseen], squares[unseen], "amin")
        rest = {
            "start": self._start,
            "whole": self._count,
            "near": self._count,
            "neighbour": self._other,
            "reverse": self._reverse,
            "vector": vector.to(self.descriptor.dtype),
            "volume": torch.tensor([frame.volume], dtype=torch.float64),
        }
        return Geometry(**self._whole(known), **rest).to(device), least.cpu().numpy()

    def _gathered(self, geometry: Geometry, by_pair: Tensor) -> Tensor:
        """Sum gradients by pair vectors [pairs, 3] to gradients by positions [atoms, 3]."""
        return sum_by_centre(by_pair[geometry.reverse] - by_pair, geometry.start, self._centre)
