"""The Chebyshev descriptor of ænet: radial and angular distributions expanded in Chebyshev polynomials.

N. Artrith, A. Urban, G. Ceder, Phys. Rev. B 96 (2017) 014112. For a centre i with neighbours j, k (images included)::

    fc(r; Rc) = ½ (cos(π r / Rc) + 1) for r < Rc, else 0
    R_n  = Σ_j        T_n(2 r_ij / Rc_rad - 1) fc(r_ij; Rc_rad)               n = 0..rad_order
    A_n  = Σ_{j<k}    T_n(cos θ_jik) fc(r_ij; Rc_ang) fc(r_ik; Rc_ang)        n = 0..ang_order
    Rw_n = Σ_j s_j    (the same term)          Aw_n = Σ_{j<k} s_j s_k (the same term)

with one weight s per species. Features are [R, A, Rw, Aw], and [R, A] when there is one species.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import choice, integer, number
from potentia.errors import ConfigError, warn_user
from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.descriptors.expansion import angular_tables
from potentia.potentials.descriptors.kernels import Kernels
from potentia.potentials.descriptors.kernels_numba import NumbaKernels
from potentia.potentials.descriptors.kernels_torch import TorchKernels
from potentia.potentials.geometry import Geometry, Selection
from potentia.potentials.neighbours import Neighbours
from potentia.potentials.pair_layout_numba import PairLayout
from potentia.potentials.structure import Structure
from potentia.simd.lanes import LANES

__all__ = ["ChebyshevDescriptor", "species_weights"]

KERNELS: dict[str, type[Kernels]] = {"numba": NumbaKernels, "torch": TorchKernels}
"""Implementations by name."""


class ChebyshevDescriptor(Descriptor):
    """Chebyshev descriptor (Artrith, Urban & Ceder 2017).

    Args:
        species: Chemical species; their order defines the weights, so it is part of the model.
        rad_order: Highest order of the radial expansion.
        rad_cutoff: Radial cutoff (Å).
        ang_order: Highest order of the angular expansion.
        ang_cutoff: Angular cutoff (Å).
        min_cutoff: Neighbours at this distance or closer are not seen (Å); a warning says so when there are any.
        device: torch device on which features are computed.
        dtype: ``torch.float64`` or ``torch.float32``.
        kernels: ``"numba"`` (CPU only), ``"torch"`` (any device, differentiable), or ``"auto"``: Numba where it can.

    Example:
        >>> water = ChebyshevDescriptor(["H", "O"], rad_order=10, rad_cutoff=4.0, ang_order=3, ang_cutoff=1.5)
        >>> water.n_features
        30
    """

    def __init__(
        self,
        species: Sequence[str],
        rad_order: int,
        rad_cutoff: float,
        ang_order: int,
        ang_cutoff: float,
        min_cutoff: float = 0.55,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float64,
        kernels: str = "auto",
    ) -> None:
        self.species = _checked_species(species)
        self.rad_order = integer("rad_order", rad_order, low=0)
        self.rad_cutoff = _positive("rad_cutoff", rad_cutoff)
        self.ang_order = integer("ang_order", ang_order, low=0)
        self.ang_cutoff = _positive("ang_cutoff", ang_cutoff)
        self.min_cutoff = number("min_cutoff", min_cutoff, low=0.0)
        self.device = torch.device(device)
        self.dtype = dtype
        choice("dtype", str(dtype), ("torch.float64", "torch.float32"))
        fitting = "numba" if self.device.type == "cpu" else "torch"
        self.kernels = fitting if choice("kernels", kernels, ("auto", *KERNELS)) == "auto" else kernels
        if self.kernels == "numba" != fitting:
            raise ConfigError(f"kernels='numba' run on the CPU only, not on {device}: take 'torch' or 'auto'")
        if self.min_cutoff >= self.cutoff:
            raise ConfigError(
                f"min_cutoff = {min_cutoff} Å must be below the cutoffs, the larger being {self.cutoff} Å"
            )

    @property
    def multi(self) -> bool:
        """Whether there is more than one species, hence weighted blocks."""
        return len(self.species) > 1

    @property
    def typespin(self) -> NDArray[np.float64]:
        """Weight of each species.  [species]"""
        return species_weights(len(self.species))

    @property
    def n_features(self) -> int:
        """Number of features per atom."""
        return (2 if self.multi else 1) * (self.rad_order + self.ang_order + 2)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Kind and order of each feature; "weighted" are those that tell species apart.

        >>> ChebyshevDescriptor(["H", "O"], rad_order=1, rad_cutoff=4.0, ang_order=0, ang_cutoff=1.5).feature_names
        ('radial 0', 'radial 1', 'angular 0', 'radial 0 weighted', 'radial 1 weighted', 'angular 0 weighted')
        """
        orders = {"radial": self.rad_order, "angular": self.ang_order}
        plain = [f"{kind} {n}" for kind, order in orders.items() for n in range(order + 1)]
        return (*plain, *(f"{name} weighted" for name in plain)) if self.multi else tuple(plain)

    @property
    def cutoff(self) -> float:
        """The larger cutoff (Å)."""
        return max(self.rad_cutoff, self.ang_cutoff)

    @property
    def layout(self) -> PairLayout:
        """How the kernels want the pairs of a centre arranged."""
        return PairLayout(self.min_cutoff, self.ang_cutoff, 2 * self.cutoff, self.n_species, LANES)

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values."""
        return {
            "species": list(self.species),
            "rad_order": self.rad_order,
            "rad_cutoff": self.rad_cutoff,
            "ang_order": self.ang_order,
            "ang_cutoff": self.ang_cutoff,
            "min_cutoff": self.min_cutoff,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "kernels": self.kernels,
        }

    @classmethod
    def settings_on(cls, device: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings on another device, with the kernels that are best there."""
        return {**settings, "device": device, "kernels": "auto"}

    def features(self, geometry: Geometry) -> Features:
        """Return the features of all atoms of ``geometry``."""
        return Features(*self._kernels.features(geometry))

    def vjp(
        self, geometry: Geometry, moments: Tensor, selection: Selection, cotangent: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the derivative of Σ cotangent·G by positions [atoms, 3] and by strain [structures, 3, 3]."""
        return self._kernels.vjp(geometry, moments, selection, cotangent)

    def pair_gradients(self, geometry: Geometry, moments: Tensor, cotangent: Tensor, by_pair: Tensor) -> Tensor:
        """Fill ``by_pair`` [pairs, 3] with the derivative of Σ cotangent·G by each pair; return that by strain."""
        return self._kernels.pair_gradients(geometry, moments, cotangent, by_pair)

    def jvp(self, geometry: Geometry, moments: Tensor, selection: Selection, shift: Tensor, strain: Tensor) -> Tensor:
        """Return the change of the features along ``shift`` [atoms, 3] and ``strain`` [structures, 3, 3]."""
        return self._kernels.jvp(geometry, moments, selection, shift, strain)

    @cached_property
    def _kernels(self) -> Kernels:
        return KERNELS[self.kernels](
            self.rad_order,
            self.rad_cutoff,
            self.ang_cutoff,
            self.min_cutoff,
            torch.as_tensor(self.typespin, dtype=self.dtype, device=self.device),
            angular_tables(self.ang_order),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave the kernels behind: torch moves tensors that go to another process, and their arrays would be lost."""
        return {name: value for name, value in self.__dict__.items() if name != "_kernels"}

    def _search(self, structures: Sequence[Structure]) -> list[Neighbours]:
        return self._kernels.search(structures, self.cutoff)

    def _look_at(self, structure: Structure, neighbours: Neighbours) -> None:
        """Warn loudly of pairs that are too close to be seen."""
        square = np.einsum("pi,pi->p", neighbours.vector, neighbours.vector)
        close = np.flatnonzero(square <= self.min_cutoff**2)
        if not len(close):
            return
        p = int(close[np.argmin(square[close])])
        atom = int(np.searchsorted(neighbours.start, p, side="right")) - 1
        warn_user(
            f"{len(close) // 2} pair(s) of atoms in {structure.label} are closer than min_cutoff = {self.min_cutoff} Å "
            f"and are not seen by the descriptor; the closest are atoms {atom} and {int(neighbours.neighbour[p])} at "
            f"{np.sqrt(square[p]):.3f} Å. Remove this frame, or lower min_cutoff",
            page="potentials.md#close-contacts",
        )


def species_weights(n: int) -> NDArray[np.float64]:
    """Return the weights of ``n`` species by position: trunc(-n/2) and up, without 0 when ``n`` is even.  [n]

    Example:
        >>> [species_weights(n).tolist() for n in (2, 3, 4)]
        [[-1.0, 1.0], [-1.0, 0.0, 1.0], [-2.0, -1.0, 1.0, 2.0]]
    """
    values = [k for k in range(-(n // 2), n // 2 + 1) if k or n % 2]
    return np.array(values, dtype=np.float64)


def _checked_species(species: Sequence[str]) -> tuple[str, ...]:
    names = tuple(species)
    if isinstance(species, str) or not names or not all(isinstance(s, str) and s for s in names):
        raise ConfigError(f"species must be a list of chemical symbols, at least one, got {species!r}")
    if len(set(names)) != len(names):
        raise ConfigError(f"species must name each species once, got {list(names)}")
    return names


def _positive(name: str, value: float) -> float:
    result = number(name, value, low=0.0)
    if result == 0.0:
        raise ConfigError(f"{name} must be above 0 Å, got {value!r}")
    return result
