"""Reference for training and prediction: the plainest loop that torch allows, on the same structures and networks.

Training on energies reads one matrix of features made beforehand, in batches of consecutive rows: what is left is the
least that networks and Adam cost. Training on forces makes the features of each batch anew by eager torch operations,
and autograd finds forces and their derivatives.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from reference_autograd import CHUNK, Displaced, chunks_of
from torch import Tensor, nn
from workload import BATCH, HIDDEN, Settings, Workload

__all__ = ["PlainTraining"]

FORCE_WEIGHT = 0.1


class PlainTraining:
    """Networks, data and optimizer of one setting, in float64."""

    def __init__(self, workload: Workload, settings: Settings) -> None:
        self.workload = workload
        self.descriptor = workload.descriptor(settings, torch.float64, kernels="torch")
        self.chunks = chunks_of(self.descriptor, workload.structures)
        with torch.no_grad():
            self.values = torch.cat([chunk.features(*chunk.at_rest()) for chunk in self.chunks])
        self.mean, self.scale = self.values.mean(0), 1 / self.values.std(0).clamp_min(1e-6)
        structures, free = workload.structures, workload.atomic_energies
        self.n_atoms = torch.tensor([s.n_atoms for s in structures])
        energies = [float(s.energy or 0.0) - sum(free[name] for name in s.species) for s in structures]
        self.energy = torch.tensor(energies, dtype=torch.float64) / self.n_atoms
        self.middle, self.width = self.energy.mean(), self.energy.std()
        self.forces = torch.cat([torch.as_tensor(s.forces) for s in structures])
        self.species = torch.cat([chunk.geometry.species for chunk in self.chunks])
        self.networks = nn.ModuleList(_network(self.values.shape[1]) for _ in workload.species)
        self.optimizer = torch.optim.Adam(self.networks.parameters(), lr=0.001)

    def energies(self, values: Tensor, atoms: slice, counts: Tensor) -> Tensor:
        """Return energies per atom (eV) of the structures whose atoms are ``atoms``.  [structures]"""
        x = (values - self.mean) * self.scale
        atomic = x.new_zeros(len(x))
        for kind, network in enumerate(self.networks):
            rows = torch.nonzero(self.species[atoms] == kind).squeeze(1)
            atomic = atomic.index_add(0, rows, network(x[rows]).squeeze(1))
        owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
        sums = x.new_zeros(len(counts)).index_add(0, owner, atomic)
        return sums / counts * self.width + self.middle

    def energy_epoch(self) -> None:
        """Train one epoch on energies."""
        begin = 0
        for counts, wanted in zip(self.n_atoms.split(BATCH), self.energy.split(BATCH), strict=True):
            atoms = slice(begin, begin + int(counts.sum()))
            begin = atoms.stop
            self._step(_rmse(self.energies(self.values[atoms], atoms, counts) - wanted))

    def force_epoch(self) -> None:
        """Train one epoch on energies and forces."""
        begin, per_batch = 0, BATCH // CHUNK
        for first in range(0, len(self.chunks), per_batch):
            chunks = self.chunks[first : first + per_batch]
            surfaces = []
            for chunk in chunks:
                atoms = slice(begin, begin + chunk.geometry.n_atoms)
                begin = atoms.stop
                surfaces.append(self._surface(chunk, atoms, differentiable=True))
            energies, forces = (torch.cat(parts) for parts in zip(*surfaces, strict=True))
            wanted = self.energy[first * CHUNK : first * CHUNK + len(energies)]
            energy_term = _rmse(energies - wanted)
            force_term = _rmse(forces - self.forces[begin - len(forces) : begin])
            self._step((1 - FORCE_WEIGHT) * energy_term + FORCE_WEIGHT * force_term)

    def predict(self) -> list[tuple[Tensor, Tensor]]:
        """Return energies per atom and forces of all structures, neighbours included; chunk by chunk."""
        found, begin = [], 0
        for chunk in chunks_of(self.descriptor, self.workload.structures):
            atoms = slice(begin, begin + chunk.geometry.n_atoms)
            begin = atoms.stop
            energies, forces = self._surface(chunk, atoms, differentiable=False)
            found.append((energies.detach(), forces))
        return found

    def _surface(self, chunk: Displaced, atoms: slice, *, differentiable: bool) -> tuple[Tensor, Tensor]:
        """Energies per atom and forces, by autograd."""
        counts = chunk.geometry.atom_start.diff()
        shift, strain = chunk.at_rest()
        energies = self.energies(chunk.features(shift, strain), atoms, counts)
        (gradient,) = torch.autograd.grad((energies * counts).sum(), shift, create_graph=differentiable)
        return energies, -gradient

    def _step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def _network(n_features: int) -> nn.Sequential:
    sizes = [n_features, *(nodes for nodes, _ in HIDDEN)]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out, dtype=torch.float64), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1, dtype=torch.float64))


def _rmse(residual: Tensor) -> Tensor:
    return residual.square().mean().sqrt()
