"""What simulations ask of a potential or a committee, step after step: energies, forces and stress of one structure.

Neighbours last while the skin does, and features are computed once for all members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from potentia.checks import did_you_mean, number, require_finite
from potentia.errors import ConfigError, DataError
from potentia.potentials.cell import checked_cell
from potentia.potentials.descriptors.base import Descriptor, Features
from potentia.potentials.descriptors.registry import plain_of
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.geometry import Geometry
from potentia.potentials.moving_repulsion import MovingRepulsion
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.repulsion import ZBL, Repulsion
from potentia.potentials.skin import Frame, MovingPairs, moving_pairs

__all__ = ["SKIN", "Engine", "Evaluation", "Intervals", "MemberPass", "Simulated", "SimulationModel", "Spread"]

Floats = NDArray[np.float64]
SKIN = 0.5
"""Skin (Å) where none is given; `benchmarks/md.py` measures others."""


class Intervals(Protocol):
    """Half-widths of intervals that hold a share of the errors of the members' mean."""

    @property
    def level(self) -> float:
        """The share."""
        ...

    def energy_half_width(self, std_per_atom: Floats) -> Floats:
        """Return half-widths of energies per atom from their standard deviations, eV/atom."""
        ...

    def force_half_width(self, forces_std: Floats, species: Sequence[str]) -> Floats | None:
        """Return one half-width for each atom [atoms] from the deviations of forces [atoms, 3], eV/Å."""
        ...


@dataclass(frozen=True)
class SimulationModel:
    """One potential, or several that see the same features."""

    descriptor: Descriptor
    """The descriptor of all members."""
    networks: tuple[AtomicNetworks, ...]
    """Networks with their normalisation.  [members]"""
    atomic_energies: tuple[Mapping[str, float], ...]
    """Energy of the free atom of each species (eV).  [members]"""
    seen: FeatureRanges | None = None
    """What the training has seen; None where that is not known."""
    intervals: Intervals | None = None
    """What makes intervals of the members' spread; None where there is no calibration."""
    repulsion: ZBL | None = None
    """What is there besides the networks, once for all members."""

    @property
    def n_members(self) -> int:
        """Number of potentials."""
        return len(self.networks)

    @classmethod
    def joined(cls, models: Sequence[SimulationModel]) -> SimulationModel:
        """Put the members of several models together.

        Raises:
            ConfigError: there is none, or their descriptors or repulsions differ.
        """
        if not models:
            raise ConfigError("a committee needs at least one member")
        first, repulsion = models[0].descriptor, models[0].repulsion
        for k, model in enumerate(models):
            if model.repulsion != repulsion:
                raise ConfigError(f"member {k} has another repulsion, {model.repulsion}, than member 0, {repulsion}")
            if plain_of(model.descriptor) != plain_of(first):
                raise ConfigError(f"member {k} has another descriptor, {model.descriptor}, than member 0, {first}")
        return cls(
            first,
            tuple(networks for model in models for networks in model.networks),
            tuple(energies for model in models for energies in model.atomic_energies),
            FeatureRanges.joint([model.seen for model in models if model.seen is not None])
            if all(model.seen is not None for model in models)
            else None,
            repulsion=repulsion,
        )


class Simulated(Protocol):
    """What can be simulated: a trained potential, a committee."""

    def simulation_model(self) -> SimulationModel:
        """Return descriptor, networks and atomic energies, or raise `NotFittedError`."""
        ...


class MemberPass:
    """The networks of all members over the atoms of one structure.

    Args:
        model: The members.
        species: Index of each atom's species in the descriptor.  [atoms]
    """

    def __init__(self, model: SimulationModel, species: NDArray[np.int64]) -> None:
        device = model.descriptor.device
        kinds = torch.from_numpy(species).to(device)
        self._networks = model.networks
        self._rows = [torch.nonzero(kinds == k).squeeze(1) for k in range(model.descriptor.n_species)]
        self._order = torch.cat(self._rows)
        free = [[energies[name] for name in model.descriptor.species] for energies in model.atomic_energies]
        self.free = np.array(free)[:, species]
        """Energy of each atom if it were free, eV.  [members, atoms]"""

    def energies(self, features: Tensor) -> Tensor:
        """Return the energy of each atom relative to the free one, eV.  [members, atoms], float64"""
        return torch.stack([self._pass(networks, features, gradient=False)[0] for networks in self._networks])

    def gradients(self, features: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return energies [atoms] and their gradient by the features [atoms, features], member by member."""
        return [self._pass(networks, features, gradient=True) for networks in self._networks]

    def _pass(self, networks: AtomicNetworks, features: Tensor, *, gradient: bool) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            parts = [features[rows].to(networks.feature_mean) for rows in self._rows]
            traces = networks.traces(parts, gradient=gradient)
            atomic = self._in_place([networks.atomic_energies(trace) for trace in traces]).double()
            slopes = [trace.gradient * networks.slope for trace in traces if trace.gradient is not None]
            return atomic, self._in_place(slopes).to(features.dtype) if slopes else features.new_empty(0)

    def _in_place(self, parts: list[Tensor]) -> Tensor:
        values = torch.cat(parts).to(self._order.device)
        return torch.empty_like(values).index_copy_(0, self._order, values)


@dataclass(frozen=True)
class Spread:
    """Forces and strain derivatives of every member."""

    forces: Floats
    """eV/Å.  [members, atoms, 3]"""
    strain: Floats
    """dE/dε, symmetric, eV; the stress is this over the volume.  [members, 3, 3]"""


class Evaluation:
    """What the members say of one geometry; gradients are computed when they are first asked for.

    It is good until its `Engine` evaluates the next geometry.
    """

    def __init__(
        self,
        members: MemberPass,
        pairs: MovingPairs,
        geometry: Geometry,
        features: Features,
        besides: Repulsion | None = None,
    ) -> None:
        self._members, self._pairs, self._geometry, self._features = members, pairs, geometry, features
        self._besides = besides

    @property
    def features(self) -> Floats:
        """Features of each atom.  [atoms, features]"""
        found: Floats = self._features.values.double().cpu().numpy()
        return found

    @property
    def species(self) -> NDArray[np.int64]:
        """Index of each atom's species in the descriptor.  [atoms]"""
        found: NDArray[np.int64] = self._geometry.species.cpu().numpy()
        return found

    @property
    def volume(self) -> float:
        """Volume of the cell (Å³); NaN unless periodic in three directions."""
        return float(self._geometry.volume)

    @cached_property
    def atomic(self) -> Floats:
        """Energy of each atom, that of the free atom included, eV.  [members, atoms]"""
        return self._total(self._members.energies(self._features.values).cpu().numpy())

    @property
    def energy(self) -> Floats:
        """Total energy, eV.  [members]"""
        total: Floats = self.atomic.sum(1)
        return total

    @cached_property
    def gradients(self) -> Spread:
        """Forces and strain derivatives."""
        forces, strains, energies = [], [], []
        for atomic, cotangent in self._members.gradients(self._features.values):
            gradient, strain = self._pairs.gradients(self._geometry, self._features.moments, cotangent)
            forces.append(-gradient.double().cpu().numpy())
            strains.append((strain + strain.T).cpu().numpy() / 2)
            energies.append(atomic.cpu().numpy())
        self.atomic = self._total(np.stack(energies))  # the networks have passed these already
        spread = Spread(np.stack(forces), np.stack(strains))
        if self._besides is None:
            return spread
        return Spread(spread.forces + self._besides.forces, spread.strain + self._besides.strain)

    def _total(self, energies: Floats) -> Floats:
        """Add to the networks' energies [members, atoms] those of the free atoms, and the repulsion where there is."""
        found: Floats = energies + self._members.free
        return found if self._besides is None else found + self._besides.atomic


class Engine:
    """Evaluates the structures that a simulation goes through, one after the other.

    Args:
        model: One potential or several.
        skin: How much farther than the cutoff neighbours are looked for (Å): they last until atoms have come so far.

    Raises:
        ConfigError: the skin is negative or no number.
    """

    def __init__(self, model: SimulationModel, skin: float = SKIN) -> None:
        self.model = model
        unseen = "nothing repels them" if model.repulsion is None else "only the repulsion acts between them"
        self._pairs = moving_pairs(model.descriptor, number("skin", skin, low=0.0), unseen)
        self._repulsion = None if model.repulsion is None else MovingRepulsion(model.repulsion)
        self._charges = np.zeros(0)
        self._numbers: NDArray[np.int64] | None = None
        self._species = np.zeros(0, dtype=np.int64)
        self._members: MemberPass | None = None
        self.evaluations = 0

    @property
    def skin(self) -> float:
        """How much farther than the cutoff neighbours are looked for (Å)."""
        return self._pairs.skin

    @property
    def rebuilds(self) -> int:
        """How often neighbours have been searched."""
        return self._pairs.rebuilds

    def evaluate(
        self, numbers: ArrayLike, positions: ArrayLike, cell: ArrayLike | None, pbc: ArrayLike | None
    ) -> Evaluation:
        """Return what the members say of atoms with atomic ``numbers`` [atoms] at ``positions`` [atoms, 3] (Å).

        Args:
            numbers: Atomic numbers, (atoms,).
            positions: (atoms, 3), Å; atoms may be anywhere, also outside the cell.
            cell: (3, 3), rows are lattice vectors (Å); None for a structure that does not repeat.
            pbc: three booleans, along which vectors the structure repeats.

        Raises:
            DataError: a position is not finite, a species is unknown, the cell cannot be, or atoms lie on each other.
        """
        points = np.array(positions, dtype=np.float64)
        require_finite("position", points, "")
        box, directions = checked_cell(cell, pbc)
        members = self._members_of(np.asarray(numbers, dtype=np.int64))
        frame = Frame(points, self._species, np.zeros((3, 3)) if box is None else box, directions)
        geometry = self._pairs.follow(frame)
        self.evaluations += 1
        besides = None
        if self._repulsion is not None and self._pairs.known is not None:
            besides = self._repulsion.follow(self._pairs.known, frame, self._charges)
        return Evaluation(members, self._pairs, geometry, self.model.descriptor.features(geometry), besides)

    def _members_of(self, numbers: NDArray[np.int64]) -> MemberPass:
        """Return the networks over these atoms, made anew only when the atoms are others."""
        if self._members is None or self._numbers is None or not np.array_equal(numbers, self._numbers):
            index = self.model.descriptor.species_to_idx
            unknown = [k for k, z in enumerate(numbers) if chemical_symbols[z] not in index]
            if unknown:
                name = chemical_symbols[numbers[unknown[0]]]
                raise DataError(
                    f"species {name!r} of atom {unknown[0]} is not one of the potential's{did_you_mean(name, index)}"
                )
            self._species = np.array([index[chemical_symbols[z]] for z in numbers], dtype=np.int64)
            self._members = MemberPass(self.model, self._species)
            self._charges = numbers.astype(np.float64)
            self._numbers = numbers.copy()
        return self._members
