"""What an implementation of the Chebyshev descriptor must do, and the settings that it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from potentia.potentials.descriptors.expansion import AngularTables
from potentia.potentials.geometry import Geometry, Selection
from potentia.potentials.neighbours import Neighbours
from potentia.potentials.structure import Structure

__all__ = ["Kernels"]


@dataclass(frozen=True)
class Kernels(ABC):
    """The kernels of one descriptor: see `Descriptor` for what they mean."""

    rad_order: int
    rad_cutoff: float
    """Å"""
    ang_cutoff: float
    """Å"""
    min_cutoff: float
    """Å"""
    spin: Tensor
    """Weight of each species, in the type and on the device of the features.  [species]"""
    tables: AngularTables
    """Of the angular order."""

    @property
    def blocks(self) -> int:
        """1 for one species, 2 (unweighted and weighted) for more."""
        return min(len(self.spin), 2)

    @abstractmethod
    def search(self, structures: Sequence[Structure], cutoff: float) -> list[Neighbours]:
        """Return the neighbours of each structure."""

    @abstractmethod
    def features(self, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """Return features [atoms, features] and moments [atoms, blocks, 2, triangle]."""

    @abstractmethod
    def vjp(
        self, geometry: Geometry, moments: Tensor, selection: Selection, cotangent: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the derivative of Σ cotangent·features by positions [atoms, 3] and strain [structures, 3, 3]."""

    @abstractmethod
    def pair_gradients(self, geometry: Geometry, moments: Tensor, cotangent: Tensor, by_pair: Tensor) -> Tensor:
        """Fill ``by_pair`` [pairs, 3], and return the derivative by strain of each centre's pairs [atoms, 3, 3].

        What stands at fillers means nothing.
        """

    @abstractmethod
    def jvp(self, geometry: Geometry, moments: Tensor, selection: Selection, shift: Tensor, strain: Tensor) -> Tensor:
        """Return the change of the features along shift [atoms, 3] and strain [structures, 3, 3]."""
