"""Reference for derivatives: autograd through the harmonics form of the descriptor in eager torch operations.

Features are computed by `TorchKernels` from displacements and strains that require gradients; torch finds the rest: the
VJP by one backward pass, the JVP by a backward pass through that one, as the training on forces of any network written
in torch does. Structures are taken a few at a time (`CHUNK`), which is where eager torch is fastest here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from unittest.mock import patch

import torch
from torch import Tensor

from potentia import ChebyshevDescriptor, Structure
from potentia.potentials.geometry import Geometry

__all__ = ["CHUNK", "Displaced", "autograd_pass", "chunks_of", "plain_torch"]

CHUNK = 4
"""Structures at a time."""


@dataclass(frozen=True)
class Displaced:
    """Some structures whose features are a function of displacements and strains."""

    descriptor: ChebyshevDescriptor
    """With ``kernels="torch"``."""
    geometry: Geometry
    centre: Tensor
    """[pairs]"""
    neighbour: Tensor
    """[pairs]"""

    @classmethod
    def of(cls, descriptor: ChebyshevDescriptor, structures: Sequence[Structure]) -> Displaced:
        """Search the neighbours of ``structures``."""
        geometry = descriptor.geometry(structures)
        centre = torch.repeat_interleave(torch.arange(geometry.n_atoms), geometry.start.diff())
        return cls(descriptor, geometry, centre, geometry.neighbour.long())

    def at_rest(self) -> tuple[Tensor, Tensor]:
        """Return zero displacements [atoms, 3] and strains [structures, 3, 3] that require gradients."""
        rest = (torch.zeros(self.geometry.n_atoms, 3), torch.zeros(self.geometry.n_structures, 3, 3))
        shift, strain = (zeros.to(self.descriptor.dtype).requires_grad_() for zeros in rest)
        return shift, strain

    def features(self, shift: Tensor, strain: Tensor) -> Tensor:
        """Return the features of the moved structures.  [atoms, features]"""
        vector = self.geometry.vector + shift[self.neighbour] - shift[self.centre]
        turn = strain[self.geometry.owner[self.centre]]
        vector = vector + torch.einsum("pij,pj->pi", turn, self.geometry.vector)
        return self.descriptor.features(replace(self.geometry, vector=vector)).values


def chunks_of(descriptor: ChebyshevDescriptor, structures: Sequence[Structure]) -> list[Displaced]:
    """Return ``structures`` in chunks with their neighbours."""
    return [Displaced.of(descriptor, structures[k : k + CHUNK]) for k in range(0, len(structures), CHUNK)]


@contextmanager
def plain_torch() -> Iterator[None]:
    """Leave torch_scatter aside inside, where it is installed: the reference is torch and nothing else."""
    with patch("potentia.potentials.descriptors.segments.scatter_available", return_value=False):
        yield


@dataclass
class Pass:
    """Seconds and results of one pass over all chunks."""

    seconds: dict[str, float]
    vjp: Tensor
    """[atoms, 3]"""
    jvp: Tensor
    """[atoms, features]"""


def autograd_pass(chunks: Sequence[Displaced], cotangent: Tensor, along: Tensor) -> Pass:
    """Return the VJP with ``cotangent`` [atoms, features], the JVP along ``along`` [atoms, 3], and their times.

    ``vjp`` and ``jvp`` are the backward passes alone, through graphs that stand ready; ``step`` is what each step of a
    training needs when no graph is kept: features, their VJP as a graph of its own, and the JVP through it.
    """
    seconds = dict.fromkeys(("features", "vjp", "jvp", "step"), 0.0)
    gradients, changes = [], []
    begin = 0
    for chunk in chunks:
        atoms = slice(begin, begin + chunk.geometry.n_atoms)
        begin = atoms.stop
        g = cotangent[atoms].clone().requires_grad_()
        marks = [time.perf_counter()]
        position = chunk.at_rest()
        values = chunk.features(*position)
        marks.append(time.perf_counter())
        gradient, _ = torch.autograd.grad(values, position, g.detach(), retain_graph=True)
        marks.append(time.perf_counter())
        again, _ = torch.autograd.grad(values, position, g, create_graph=True)
        marks.append(time.perf_counter())
        (change,) = torch.autograd.grad(again, g, along[atoms])
        marks.append(time.perf_counter())
        gradients.append(gradient)
        changes.append(change)
        forward, backward, differentiable, double = (b - a for a, b in pairwise(marks))
        parts = {"features": forward, "vjp": backward, "jvp": double, "step": forward + differentiable + double}
        seconds = {name: seconds[name] + parts[name] for name in seconds}
    return Pass(seconds, torch.cat(gradients), torch.cat(changes))
