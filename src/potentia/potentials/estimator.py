"""`TorchANNPotential`: a neural network potential of the ænet kind, trained, applied, saved and loaded."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

import numpy as np
import torch

from potentia.checks import integer
from potentia.errors import DataError
from potentia.estimator import Estimator
from potentia.potentials.datasets.labelled import complete_atomic_energies, reference_energy
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.formats.reading import StructureLike, read_structures
from potentia.potentials.networks import Architecture, AtomicNetworks, checked_architecture
from potentia.potentials.results import PredictOut, TrainOut
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Surface, featurise
from potentia.potentials.training import KIND, Training
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.train import distributed

__all__ = ["FittedPotential", "TorchANNPotential"]

Structures: TypeAlias = StructureLike | Iterable[StructureLike]
"""Structures, ASE Atoms, paths of files, or a mix of them."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass
class FittedPotential:
    """What a potential has learned."""

    model: AtomicNetworks
    """Networks with their normalisation."""
    atomic_energies: dict[str, float]
    """Energy of the free atom of each species, eV."""
    record: dict[str, Any] = field(default_factory=dict)
    """How it was trained: settings, seeds, data and history."""


class TorchANNPotential(Estimator):
    """Energies, forces and stress from one neural network per species over a descriptor of the atom's surroundings.

    J. Behler, M. Parrinello, Phys. Rev. Lett. 98 (2007) 146401;
    N. Artrith, A. Urban, Comput. Mater. Sci. 114 (2016) 135.

    Args:
        arch: Hidden layers of each species as ``[(nodes, activation), …]``; activations are ``linear``, ``tanh``,
            ``sigmoid``, ``relu``, ``silu``, ``gelu``, ``mtanh`` and ``twist``.
        descriptor: The descriptor of atoms.

    Example:
        >>> descriptor = ChebyshevDescriptor(["H"], rad_order=1, rad_cutoff=2.0, ang_order=0, ang_cutoff=2.0)
        >>> potential = TorchANNPotential({"H": [(4, "tanh")]}, descriptor=descriptor)
        >>> potential.is_trained()
        False
    """

    kind = KIND

    def __init__(self, arch: Mapping[str, Sequence[tuple[int, str]]], descriptor: ChebyshevDescriptor) -> None:
        self.descriptor = descriptor
        self.arch: Architecture = checked_architecture(arch, descriptor.species)
        self.fitted_: FittedPotential | None = None

    def train(
        self,
        structures: Structures | None = None,
        config: TorchTrainingConfig | None = None,
        resume_from: str | os.PathLike[str] | None = None,
        *,
        allow_changes: Collection[str] = (),
    ) -> TrainOut:
        """Train on ``structures`` and return tables and plots of the errors.

        With ``config.seed`` given, training starts from new weights; without, a trained potential goes on from the
        weights and the normalisation that it has. Started by ``torchrun``, its processes share the work on each batch
        and all get the same result; the first alone writes checkpoints and shows progress.

        Args:
            structures: Structures, ASE Atoms, paths of files, or a mix of them; every one needs an energy.
            config: Settings; the defaults of `TorchTrainingConfig` if None.
            resume_from: A checkpoint to go on from. ``config.iterations`` counts additional epochs then; the epoch that
                the checkpoint stands in is the first of them. The result equals that of an unbroken run bit for bit.
            allow_changes: Names of settings that may differ from those of the checkpoint.

        Raises:
            DataError: a structure cannot be used: the message names file, frame and atom.
            ConfigError: settings do not fit the data, the descriptor or the checkpoint.
            TrainingError: too many batches in a row were not finite.
        """
        training = Training(self.recipe(), self.descriptor, self.arch, config or TorchTrainingConfig())
        start = None if self.fitted_ is None else (self.fitted_.model, self.fitted_.atomic_energies)
        with distributed.joined():
            reading = read_structures([] if structures is None else structures)
            trained = training.run(reading, start, resume_from, allow_changes)
        self.fitted_ = FittedPotential(trained.model, trained.atomic_energies, trained.record)
        return trained.out

    def predict(
        self,
        structures: Structures,
        eval_forces: bool = False,
        *,
        eval_stress: bool = False,
        batch_size: int = 32,
    ) -> PredictOut:
        """Return total energies (eV), and forces (eV/Å) and stress (eV/Å³) where asked for.

        Stress needs a cell that is periodic in three directions; other structures get None.

        Args:
            structures: Structures, ASE Atoms, paths of files, or a mix of them; no labels are needed.
            eval_forces: Also forces.
            eval_stress: Also stress.
            batch_size: Structures worked on at a time: memory, not numbers.

        Raises:
            NotFittedError: the potential is not trained.
            DataError: a structure cannot be used: the message names file, frame and atom.
        """
        self.require_trained()
        assert self.fitted_ is not None
        integer("batch_size", batch_size, low=1)
        begun = time.perf_counter()
        items = read_structures(structures).structures
        out = _Predictions(self.fitted_.atomic_energies, forces=eval_forces, stress=eval_stress)
        for begin in range(0, len(items), batch_size):
            self._predict_part(items[begin : begin + batch_size], out)
        out.timing["total"] = time.perf_counter() - begun
        return out.result()

    def cohesive_energy(self, structure: StructureLike, atomic_energies: Mapping[str, float] | None = None) -> float:
        """Return the energy of one structure relative to free atoms (eV).

        Args:
            structure: A Structure, ASE Atoms, or the path of a file with one frame.
            atomic_energies: Energy of the free atom of each species (eV) instead of those of the training.

        Raises:
            DataError: the file holds more than one frame.
        """
        found = self.predict(structure)
        if len(found) != 1:
            raise DataError(f"cohesive_energy is for one structure, but {structure} holds {len(found)}: use predict")
        if atomic_energies is None:
            return float(found.cohesive_energy[0])
        free = complete_atomic_energies(atomic_energies, sorted(set(found.atom_types[0])))
        return float(found.total_energy[0] - sum(free[name] for name in found.atom_types[0]))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], device: str | None = None) -> Self:
        """Read a potential from a file of `save` or a checkpoint, onto ``device`` (None: the one it was saved from)."""
        recipe, learned = cls.parts_in(path)
        return cls.from_parts(recipe if device is None else _on(device, recipe), learned)

    def to(self, device: str) -> Self:
        """Return the same potential on another device."""
        return self.from_parts(_on(device, self.recipe()), self.learned())

    @property
    def metadata(self) -> dict[str, Any] | None:
        """How the potential was trained: settings, seeds, history; None before training."""
        return None if self.fitted_ is None else self.fitted_.record

    def recipe(self) -> dict[str, Any]:
        """Return architecture and descriptor as plain values."""
        return {
            "arch": {name: [list(layer) for layer in layers] for name, layers in self.arch.items()},
            "descriptor": self.descriptor.settings(),
        }

    def is_trained(self) -> bool:
        """Whether there is something to predict with."""
        return self.fitted_ is not None

    def learned(self) -> dict[str, Any]:
        """Return weights, normalisation, atomic energies and the record of the training."""
        self.require_trained()
        assert self.fitted_ is not None
        return {
            "model": dict(self.fitted_.model.state_dict()),
            "atomic_energies": self.fitted_.atomic_energies,
            "record": self.fitted_.record,
        }

    @classmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained potential from `recipe` and `learned`."""
        settings = dict(recipe["descriptor"])
        descriptor = ChebyshevDescriptor(**{**settings, "dtype": DTYPES[settings["dtype"]]})
        arch = {name: [(nodes, act) for nodes, act in layers] for name, layers in recipe["arch"].items()}
        potential = cls(arch, descriptor)
        state = learned["model"]
        model = AtomicNetworks(potential.arch, descriptor.species, descriptor.n_features, 0, state["e_shift"].dtype)
        model.load_state_dict(state)
        notes = {"extra_metadata": learned["extra_metadata"]} if learned.get("extra_metadata") else {}
        record = {**learned.get("record", {}), **notes}
        potential.fitted_ = FittedPotential(model.to(descriptor.device), dict(learned["atomic_energies"]), record)
        return potential

    def _predict_part(self, structures: Sequence[Structure], out: _Predictions) -> None:
        assert self.fitted_ is not None
        marks = [time.perf_counter()]
        gradients = out.forces is not None or out.stress is not None
        featurised = featurise(structures, self.descriptor, [gradients] * len(structures))
        selection = featurised.geometry.everything
        marks.append(time.perf_counter())
        with torch.no_grad():
            surface = featurised.surface(self.fitted_.model, selection, gradients=gradients)
        marks.append(time.perf_counter())
        out.timing["featurization"] += marks[1] - marks[0]
        out.timing["force_eval" if gradients else "energy_eval"] += marks[2] - marks[1]
        out.add(structures, surface, featurised.geometry.volume.tolist())


def _on(device: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {**recipe, "descriptor": {**recipe["descriptor"], "device": device}}


class _Predictions:
    """Collects predictions, structure by structure."""

    def __init__(self, atomic_energies: Mapping[str, float], *, forces: bool, stress: bool) -> None:
        self.free = atomic_energies
        self.structures: list[Structure] = []
        self.cohesive: list[float] = []
        self.atomic: list[np.ndarray[Any, Any]] = []
        self.forces: list[np.ndarray[Any, Any]] | None = [] if forces else None
        self.stress: list[np.ndarray[Any, Any] | None] | None = [] if stress else None
        self.timing = {"featurization": 0.0, "energy_eval": 0.0, "force_eval": 0.0, "total": 0.0}

    def add(self, structures: Sequence[Structure], surface: Surface, volumes: Sequence[float]) -> None:
        """Take over what was found for some structures."""
        counts = [s.n_atoms for s in structures]
        self.structures.extend(structures)
        self.cohesive.extend(surface.energy.tolist())
        for structure, part in zip(structures, torch.split(surface.atomic.double(), counts), strict=True):
            free = np.array([self.free[name] for name in structure.species])
            self.atomic.append(part.cpu().numpy() + free)
        if self.forces is not None and surface.gradient is not None:
            self.forces.extend(-g.double().cpu().numpy() for g in torch.split(surface.gradient, counts))
        if self.stress is not None and surface.strain is not None:
            strain = (surface.strain + surface.strain.transpose(1, 2)).double().cpu().numpy() / 2
            self.stress.extend(None if np.isnan(v) else s / v for s, v in zip(strain, volumes, strict=True))

    def result(self) -> PredictOut:
        """Return all that was collected."""
        reference = [reference_energy(s, self.free) for s in self.structures]
        return PredictOut(
            coords=[s.positions.copy() for s in self.structures],
            forces=self.forces,
            atom_types=[list(s.species) for s in self.structures],
            atom_energies=self.atomic,
            cohesive_energy=self.cohesive,
            total_energy=[c + r for c, r in zip(self.cohesive, reference, strict=True)],
            structure_paths=[s.label for s in self.structures],
            timing=self.timing,
            stress=self.stress,
        )
