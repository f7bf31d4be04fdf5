"""What a descriptor must do: features of atoms, and the two linear maps of their derivatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from potentia.errors import ConfigError
from potentia.potentials.geometry import Geometry, Selection
from potentia.potentials.neighbours import Neighbours, find_neighbours_of
from potentia.potentials.pair_layout_numba import PairLayout
from potentia.potentials.structure import Structure

__all__ = ["Descriptor", "Features"]


@dataclass(frozen=True)
class Features:
    """Features of the atoms of a geometry, with what their derivatives need again."""

    values: Tensor
    """[atoms, features]"""
    moments: Tensor
    """Sums over neighbours from which the angular features are made.  [atoms, ...]"""


class Descriptor(ABC):
    """Turns the surroundings of each atom into a vector that rotation, translation and permutation leave alone.

    Derivatives are never stored. With G the features and x the positions, `vjp` gives g·dG/dx (minus the forces, for
    g = dE/dG) and `jvp` gives dG/dx·δx, which carries the gradient of a loss on forces back to g.

    A class of one's own must

    - set `species`, `dtype` and `device`, and know `n_features` and `cutoff`;
    - compute `features`, `vjp`, `pair_gradients` and `jvp` of a `Geometry`: of each atom from its own neighbours
      alone, whatever structures stand beside its own. `Features.moments` are what the derivatives need again, a row
      for each atom, of any shape (none: ``[atoms, 0]``) and of the type of the features;
    - bring pairs that are farther apart than `cutoff` to nothing, smoothly: a simulation hands on pairs that were
      nearer a few steps ago, and forces are continuous only where features are smooth;
    - give its `settings` as plain values with which its class can be called again. The names ``class`` and ``module``
      are taken; ``device``, ``dtype`` and ``kernels`` say where and how features are computed, not which ones, so data
      sets with features do not compare them; ``dtype`` is text (``"float64"``) and comes back as a `torch.dtype`;
    - be registered by `register_descriptor` in the module that defines it, where its files shall be opened.

    `potentia.testing.descriptors.check_descriptor` checks all of this.
    """

    species: tuple[str, ...]
    """The chemical species, in the order that defines their weights."""
    dtype: torch.dtype
    """Of features and kernels."""
    device: torch.device
    """Where features are computed."""
    kernels: str = "torch"
    """``"torch"`` for operations that take pairs in any order; ``"numba"`` for compiled loops on the CPU, for which
    simulations pick the pairs in reach and lay them out in the blocks of `layout`."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features per atom."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What to call each feature in messages and tables: ``"feature 7"``, counted from 0, where nobody says more."""
        return tuple(f"feature {k}" for k in range(self.n_features))

    @property
    @abstractmethod
    def cutoff(self) -> float:
        """Neighbours farther away change nothing (Å)."""

    @abstractmethod
    def features(self, geometry: Geometry) -> Features:
        """Return the features of all atoms."""

    @abstractmethod
    def vjp(
        self, geometry: Geometry, moments: Tensor, selection: Selection, cotangent: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the derivative of Σ cotangent·G by positions [atoms, 3] and by strain [structures, 3, 3].

        ``cotangent`` is [atoms of the selection, features]; a strain ε moves every x to (1 + ε) x.
        """

    @abstractmethod
    def pair_gradients(self, geometry: Geometry, moments: Tensor, cotangent: Tensor, by_pair: Tensor) -> Tensor:
        """Fill ``by_pair`` [pairs, 3] with the derivative of Σ cotangent·G by each pair; return that by strain.

        A pair is seen from its centre alone: the gradient by a position is the sum over pairs that end there minus
        those that begin there. The strain is one of all vectors of one centre [atoms, 3, 3]. ``cotangent`` is [atoms,
        features]; what comes to stand at fillers means nothing.
        """

    @abstractmethod
    def jvp(self, geometry: Geometry, moments: Tensor, selection: Selection, shift: Tensor, strain: Tensor) -> Tensor:
        """Return the change of the features along ``shift`` [atoms, 3] and ``strain`` [structures, 3, 3]."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values (for files)."""

    @classmethod
    def settings_on(cls, device: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `settings` of the same descriptor on another device.

        Raises:
            ConfigError: it computes on the CPU alone, for it has no setting ``device``.
        """
        if "device" in settings:
            return {**settings, "device": device}
        if torch.device(device).type != "cpu":
            raise ConfigError(f"{cls.__name__} has no setting 'device', so it is on the CPU and not on {device}")
        return dict(settings)

    @property
    def n_species(self) -> int:
        """Number of species."""
        return len(self.species)

    @property
    def species_to_idx(self) -> dict[str, int]:
        """Index of each species."""
        return {name: k for k, name in enumerate(self.species)}

    def get_n_features(self) -> int:
        """Return the number of features per atom."""
        return self.n_features

    @property
    def layout(self) -> PairLayout:
        """How the kernels want the pairs of a centre arranged: by species and without fillers, where nobody says more.

        Pairs up to its ``min_cutoff`` are not seen.
        """
        return PairLayout(0.0, self.cutoff, 2 * self.cutoff, self.n_species, 1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.settings().items())})"

    def geometry(self, structures: Sequence[Structure]) -> Geometry:
        """Search the neighbours of ``structures`` and lay them end to end on the descriptor's device."""
        neighbours = self._search(structures)
        for structure, found in zip(structures, neighbours, strict=True):
            self._look_at(structure, found)
        return Geometry.of(structures, neighbours, self.species_to_idx, self.layout, self.dtype).to(self.device)

    def _search(self, structures: Sequence[Structure]) -> list[Neighbours]:
        """Return the neighbours of each structure."""
        return find_neighbours_of(structures, self.cutoff)

    def _look_at(self, structure: Structure, neighbours: Neighbours) -> None:
        """Warn of what this descriptor cannot see; there is nothing to warn of by default."""
        return

    def forward_from_positions(
        self,
        positions: ArrayLike,
        species: Sequence[str],
        cell: ArrayLike | None = None,
        pbc: ArrayLike | None = None,
    ) -> Tensor:
        """Return the features of one structure, from positions (Å, [atoms, 3]), species, cell (rows, Å) and pbc."""
        structure = Structure(positions, list(species), cell=cell, pbc=pbc)  # type: ignore[arg-type]  # checked there
        return self.features(self.geometry([structure])).values
