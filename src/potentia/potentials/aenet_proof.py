"""Proof of an export to ænet: energies and forces by the written files, read back, against those of the potential."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.errors import FileFormatError
from potentia.potentials.aenet_import import read_aenet_potential
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.formats.aenet_network import read_aenet_network
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.repulsion import ZBL
from potentia.potentials.structure import Structure
from potentia.potentials.surface import featurise
from potentia.seeding import stream

__all__ = ["Proof", "proof_structures", "prove"]

TOLERANCE = 1e-9
"""Energies of structures (eV) and components of forces (eV/Å) may differ by this ..."""
ROUNDING = 1e-12
"""... or by this part of the largest one, where that is more."""
N_RANDOM = 8
_CHUNK = 32
"""Structures worked on at a time."""


@dataclass(frozen=True)
class Proof:
    """What was compared, and how far it differs."""

    structures: list[dict[str, Any]]
    """Name, atoms, energy relative to free atoms (eV), differences of energy (eV) and forces (eV/Å) of each."""
    energy_difference: float
    """The largest, eV."""
    force_difference: float
    """The largest of a component, eV/Å."""
    energy_tolerance: float
    """eV"""
    force_tolerance: float
    """eV/Å"""
    float32_difference: tuple[float, float] | None
    """What rounding adds where the potential computes in float32: the largest of energies (eV) and forces (eV/Å)."""

    def plain(self) -> dict[str, Any]:
        """Return the proof as plain values with units in their names."""
        found: dict[str, Any] = {
            "largest_energy_difference_eV": self.energy_difference,
            "largest_force_difference_eV_per_A": self.force_difference,
            "energy_tolerance_eV": self.energy_tolerance,
            "force_tolerance_eV_per_A": self.force_tolerance,
            "structures": self.structures,
        }
        if self.float32_difference is not None:
            found["float32_rounding"] = dict(zip(("energy_eV", "force_eV_per_A"), self.float32_difference, strict=True))
        return found


@dataclass(frozen=True)
class _Answers:
    energies: NDArray[np.float64]
    """Relative to free atoms, eV.  [structures]"""
    forces: list[NDArray[np.float64]]
    """eV/Å.  [atoms, 3] of each structure"""

    def differences(self, other: _Answers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the difference of each structure's energy, and the largest of its forces'."""
        forces = [_largest(own - their) for own, their in zip(self.forces, other.forces, strict=True)]
        return np.abs(self.energies - other.energies), np.array(forces)


def prove(
    descriptor: ChebyshevDescriptor,
    model: AtomicNetworks,
    atomic_energies: Mapping[str, float],
    written: Mapping[str, tuple[Path, Path]],
    structures: Sequence[Structure],
    repulsion: ZBL | None = None,
) -> Proof:
    """Read the text and the binary file of each species, and compare what they answer for ``structures``.

    The files are in double precision, and are compared with the potential in double precision; one that computes in
    float32 is compared once more as it is. A ``repulsion``, which the files do not hold, is added to all.

    Raises:
        FileFormatError: the files do not answer as the potential does.
    """
    for text, binary in written.values():
        if read_aenet_network(text).to_binary() != binary.read_bytes():
            raise FileFormatError(f"{text} and {binary} do not hold the same; nothing was written")
    read = read_aenet_potential({species: text for species, (text, _) in written.items()})
    exact = ChebyshevDescriptor(**{**descriptor.settings(), "device": "cpu", "dtype": torch.float64, "kernels": "auto"})
    free = {species: atomic_energies[species] for species in descriptor.species}
    if read.descriptor.settings() != exact.settings() or read.atomic_energies != free:
        raise FileFormatError(f"the files give {read.descriptor} and {read.atomic_energies}; nothing was written")
    single = torch.float32 in {descriptor.dtype, model.feature_mean.dtype}
    own = _answers(exact, copy.deepcopy(model).to("cpu", torch.float64), structures, repulsion)
    found = _answers(read.descriptor, read.model, structures, repulsion)
    rounded = _answers(descriptor, model, structures, repulsion) if single else None
    proof = _compared(own, found, structures, rounded)
    if not (proof.energy_difference <= proof.energy_tolerance and proof.force_difference <= proof.force_tolerance):
        raise FileFormatError(
            f"the files for ænet do not answer as the potential does: energies differ by {proof.energy_difference:.2g} "
            f"eV, forces by {proof.force_difference:.2g} eV/Å ({proof.energy_tolerance:.2g} and "
            f"{proof.force_tolerance:.2g} are allowed); nothing was written. Features that hardly vary make it "
            "ill-conditioned: look at the normalisation"
        )
    return proof


def proof_structures(descriptor: ChebyshevDescriptor) -> list[Structure]:
    """Return small random structures of all species, crystals and molecules in turn, always the same ones.

    Atoms are on a cubic grid, shifted by at most a fifth of its spacing, so none are within ``min_cutoff``.
    """
    least = 1.1 * descriptor.min_cutoff / 0.6  # 0.6 of the spacing is always between two atoms
    spacing = max(least, min(2.2, 0.7 * descriptor.cutoff))
    grid = np.array(list(itertools.product(range(2), repeat=3)))
    names = descriptor.species
    found = []
    for k in range(N_RANDOM):
        rng = stream(0, "aenet export", k)
        points = spacing * (grid + rng.uniform(-0.2, 0.2, grid.shape))
        species = [names[(k * len(grid) + atom) % len(names)] for atom in range(len(grid))]
        species = [species[atom] for atom in rng.permutation(len(species))]
        cell = None if k % 2 else 2 * spacing * np.eye(3)
        found.append(Structure(points, species, cell=cell, name=f"random structure {k}"))
    return found


def _answers(
    descriptor: ChebyshevDescriptor, model: AtomicNetworks, structures: Sequence[Structure], repulsion: ZBL | None
) -> _Answers:
    energies: list[float] = []
    forces: list[NDArray[np.float64]] = []
    for begin in range(0, len(structures), _CHUNK):
        part = structures[begin : begin + _CHUNK]
        featurised = featurise(part, descriptor, [True] * len(part))
        with torch.no_grad():
            surface = featurised.surface(model, featurised.geometry.everything, gradients=True)
        assert surface.gradient is not None
        energies.extend(surface.energy.tolist())
        gradients = torch.split(surface.gradient.double().cpu(), [s.n_atoms for s in part])
        forces.extend(-gradient.numpy() for gradient in gradients)
    for k, besides in enumerate([] if repulsion is None else repulsion.of(structures)):
        energies[k] += besides.energy
        forces[k] = forces[k] + besides.forces
    return _Answers(np.array(energies), forces)


def _compared(own: _Answers, found: _Answers, structures: Sequence[Structure], single: _Answers | None) -> Proof:
    energy, force = own.differences(found)
    rows = [
        {
            "name": structure.label,
            "atoms": structure.n_atoms,
            "energy_eV": float(own.energies[k]),
            "energy_difference_eV": float(energy[k]),
            "force_difference_eV_per_A": float(force[k]),
        }
        for k, structure in enumerate(structures)
    ]
    rounding = None if single is None else tuple(_largest(part) for part in own.differences(single))
    return Proof(
        structures=rows,
        energy_difference=_largest(energy),
        force_difference=_largest(force),
        energy_tolerance=max(TOLERANCE, ROUNDING * _largest(own.energies)),
        force_tolerance=max(TOLERANCE, ROUNDING * max(_largest(part) for part in own.forces)),
        float32_difference=None if rounding is None else (rounding[0], rounding[1]),
    )


def _largest(values: NDArray[np.float64]) -> float:
    return float(np.abs(values).max(initial=0.0))
