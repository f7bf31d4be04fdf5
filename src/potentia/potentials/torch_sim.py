"""A trained potential, or the mean of a committee, as a model of torch-sim: many structures are moved at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import did_you_mean
from potentia.errors import DataError
from potentia.potentials.simulation import Simulated
from potentia.potentials.structure import Structure
from potentia.potentials.surface import featurise

__all__ = ["TorchSimModel", "TorchSimState"]


class TorchSimState(Protocol):
    """The part of torch-sim's `SimState` that is used."""

    positions: Tensor
    """Å, structures end to end.  [atoms, 3]"""
    cell: Tensor
    """Columns are lattice vectors, Å.  [structures, 3, 3]"""
    pbc: Tensor | bool
    """Along which lattice vectors all structures repeat.  [3], or one for all"""
    atomic_numbers: Tensor
    """[atoms]"""
    system_idx: Tensor
    """Structure of each atom, ascending.  [atoms]"""


class TorchSimModel(torch.nn.Module):
    """What torch-sim asks of a model: energies, forces and stress of all structures of a state.

    It works on the device of the potential's descriptor (``potential.to("cuda")``) and answers in ``dtype``. Neighbours
    are searched at each step.

    Args:
        potential: A trained potential or a committee, of which the mean is taken.
        dtype: Type of the states that torch-sim makes for this model, and of the answers.

    Raises:
        NotFittedError: the potential is not trained.
    """

    memory_scales_with = "n_atoms_x_density"

    def __init__(self, potential: Simulated, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self._model = potential.simulation_model()
        self.device = self._model.descriptor.device
        self.dtype = dtype
        self.compute_forces = True
        self.compute_stress = True
        free = [[energies[name] for name in self._model.descriptor.species] for energies in self._model.atomic_energies]
        self._free = torch.tensor(free, dtype=torch.float64, device=self.device).mean(0)  # [species]

    def forward(self, state: TorchSimState) -> dict[str, Tensor]:
        """Return ``energy`` (eV) [structures], ``forces`` (eV/Å) [atoms, 3], ``stress`` (eV/Å³) [structures, 3, 3].

        The stress is NaN unless structures repeat in three directions.

        Raises:
            DataError: a position is not finite, a species is unknown, a cell cannot be, or atoms lie on each other.
        """
        structures = self._structures(state)
        model, gradients = self._model, self.compute_forces or self.compute_stress
        featurised = featurise(structures, model.descriptor, [gradients] * len(structures))
        geometry = featurised.geometry
        everything = geometry.everything
        with torch.no_grad():
            found = [featurised.surface(networks, everything, gradients=gradients) for networks in model.networks]
        besides = None if model.repulsion is None else model.repulsion.of(structures)
        energy = _mean([surface.energy for surface in found]).index_add(0, geometry.owner, self._free[geometry.species])
        if besides is not None:
            energy = energy + energy.new_tensor([one.energy for one in besides])
        answer = {"energy": energy}
        if self.compute_forces:
            forces = -_mean([surface.gradient for surface in found])
            if besides is not None:
                forces = forces + forces.new_tensor(np.concatenate([one.forces for one in besides]))
            answer["forces"] = forces
        if self.compute_stress:
            strain = _mean([surface.strain for surface in found])
            if besides is not None:
                strain = strain + strain.new_tensor(np.stack([one.strain for one in besides]))
            answer["stress"] = (strain + strain.mT) / 2 / geometry.volume[:, None, None]
        return {name: value.to(self.dtype) for name, value in answer.items()}

    def _structures(self, state: TorchSimState) -> list[Structure]:
        counts = torch.bincount(state.system_idx, minlength=len(state.cell)).tolist()
        ends = np.cumsum([0, *counts])
        positions = state.positions.detach().double().cpu().numpy()
        cells = state.cell.detach().mT.double().cpu().numpy()
        pbc = torch.as_tensor(state.pbc).expand(3).cpu().numpy()
        species = self._species(state.atomic_numbers.cpu().numpy())
        return [
            Structure(positions[a:b], species[a:b], cell=cell, pbc=pbc, name=f"structure {k} of the state")
            for k, (a, b, cell) in enumerate(zip(ends[:-1], ends[1:], cells, strict=True))
        ]

    def _species(self, numbers: NDArray[np.int64]) -> list[str]:
        known = self._model.descriptor.species_to_idx
        for z in np.unique(numbers):
            name = chemical_symbols[z]
            if name not in known:
                raise DataError(f"species {name!r} is not one of the potential's{did_you_mean(name, known)}")
        return [chemical_symbols[z] for z in numbers]


def _mean(members: Sequence[Tensor | None]) -> Tensor:
    return torch.stack([tensor for tensor in members if tensor is not None]).double().mean(0)
