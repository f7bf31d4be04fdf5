"""Time per atom of neighbours, features, VJP and JVP, each beside its plain reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ase.neighborlist import neighbor_list
from brute_force import brute_force_features
from reference_autograd import autograd_pass, chunks_of, plain_torch
from timing import Times, alternate, middle, seconds
from torch import Tensor
from workload import BATCH, Settings, Workload

from potentia import ChebyshevDescriptor, Structure
from potentia.potentials.descriptors import Features
from potentia.potentials.geometry import Geometry, Selection
from potentia.potentials.neighbours import find_neighbours, find_neighbours_of

__all__ = ["KernelFigures", "KernelWork", "measure_fcc", "measure_kernels"]

LIMIT = 12.0
"""Seconds for all rounds at one setting."""
FEW = 4
"""Structures that the slow references of neighbours and values work on."""


@dataclass(frozen=True)
class KernelFigures:
    """Figures at one setting, type and number of threads."""

    times: dict[str, Times]
    """µs per atom; what begins with ``plain.`` is the reference."""
    differences: dict[str, float]
    """Largest difference to the reference, in parts of the largest value."""


@dataclass(frozen=True)
class KernelWork:
    """The kernels of one descriptor on all structures, in batches as training takes them."""

    descriptor: ChebyshevDescriptor
    structures: list[Structure]
    geometry: Geometry
    features: Features
    batches: list[Selection]
    cotangent: Tensor
    """[atoms, features]"""
    along: Tensor
    """[atoms, 3]"""

    @classmethod
    def of(cls, workload: Workload, settings: Settings, dtype: torch.dtype) -> KernelWork:
        """Prepare everything that the kernels do not do themselves."""
        descriptor = workload.descriptor(settings, dtype)
        geometry = descriptor.geometry(workload.structures)
        features = descriptor.features(geometry)
        draw = torch.Generator().manual_seed(1)
        return cls(
            descriptor,
            workload.structures,
            geometry,
            features,
            [geometry.select(part) for part in torch.arange(geometry.n_structures).split(BATCH)],
            torch.randn(features.values.shape, generator=draw, dtype=dtype),
            torch.randn((geometry.n_atoms, 3), generator=draw, dtype=dtype),
        )

    def vjp(self) -> Tensor:
        """Return the VJP of all batches.  [atoms, 3]"""
        moments = self.features.moments
        return torch.cat(
            [self.descriptor.vjp(self.geometry, moments, b, self.cotangent[b.atoms])[0] for b in self.batches]
        )

    def jvp(self) -> Tensor:
        """Return the JVP of all batches.  [atoms, features]"""
        still = [self.along.new_zeros(len(b.structures), 3, 3) for b in self.batches]
        return torch.cat(
            [
                self.descriptor.jvp(self.geometry, self.features.moments, b, self.along[b.atoms], zero)
                for b, zero in zip(self.batches, still, strict=True)
            ]
        )

    def pass_over(self) -> dict[str, float]:
        """Return seconds by name."""
        threads = torch.get_num_threads()
        return {
            "neighbours": middle(lambda: find_neighbours_of(self.structures, self.descriptor.cutoff, threads)),
            "features": middle(lambda: self.descriptor.features(self.geometry)),
            "vjp": middle(self.vjp),
            "jvp": middle(self.jvp),
        }

    def derivatives(self) -> dict[str, float]:
        """Return seconds of VJP and JVP, which each step of a training on forces needs."""
        return {"vjp": middle(self.vjp), "jvp": middle(self.jvp)}


def measure_kernels(workload: Workload, settings: Settings, dtype: torch.dtype, rounds: int) -> KernelFigures:
    """Measure at the present number of threads."""
    work = KernelWork.of(workload, settings, dtype)
    chunks = chunks_of(workload.descriptor(settings, dtype, kernels="torch"), workload.structures)
    few = workload.structures[:FEW]
    part = work.descriptor.geometry(few)
    spin = torch.as_tensor(work.descriptor.typespin, dtype=dtype)

    def slow() -> dict[str, float]:
        return {
            "neighbours": seconds(lambda: [_by_ase(s, work.descriptor.cutoff) for s in few]),
            "values": seconds(lambda: brute_force_features(part, settings, spin)),
        }

    with plain_torch():
        times = alternate(
            {
                "": work.pass_over,
                "plain": lambda: autograd_pass(chunks, work.cotangent, work.along).seconds,
                "plain.few": slow,
            },
            rounds,
            LIMIT,
        )
        reference = autograd_pass(chunks, work.cotangent, work.along)
    times["both"] = times["vjp"] + times["jvp"]
    times["plain.both"] = times["plain.vjp"] + times["plain.jvp"]
    few_atoms = part.n_atoms
    scaled = {name: t * (1e6 / (few_atoms if ".few." in name else workload.n_atoms)) for name, t in times.items()}
    differences = {
        "features": _difference(work.features.values[:few_atoms], brute_force_features(part, settings, spin)),
        "vjp": _difference(work.vjp(), reference.vjp),
        "jvp": _difference(work.jvp(), reference.jvp),
    }
    return KernelFigures({name.replace(".few", ""): t for name, t in scaled.items()}, differences)


def measure_fcc(rounds: int) -> dict[str, Times]:
    """Return milliseconds for the neighbours within 8 Å of the one atom of an fcc cell, a = 2.87 Å."""
    cell = 2.87 / 2 * (np.ones((3, 3)) - np.eye(3))
    position, pbc = np.zeros((1, 3)), np.ones(3, dtype=bool)
    structure = Structure(position, ["Cu"], cell=cell, pbc=pbc)
    times = alternate(
        {
            "potentia": lambda: {"": seconds(lambda: find_neighbours(position, cell, pbc, 8.0))},
            "ase": lambda: {"": seconds(lambda: _by_ase(structure, 8.0))},
        },
        rounds,
        LIMIT,
    )
    return {name: t * 1e3 for name, t in times.items()}


def _by_ase(structure: Structure, cutoff: float) -> object:
    """The same pairs, both ways, by ASE's search in numpy."""
    return neighbor_list("ijD", structure.to_atoms(), cutoff)


def _difference(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())
