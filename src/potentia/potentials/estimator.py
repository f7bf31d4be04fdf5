"""`TorchANNPotential`: a neural network potential of the ænet kind, trained, applied, saved and loaded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch.utils.data import Dataset

from potentia.checks import integer
from potentia.errors import DataError
from potentia.estimator import Estimator
from potentia.potentials.calculator import ANNCalculator
from potentia.potentials.datasets.joined import JoinedDataset
from potentia.potentials.datasets.labelled import complete_atomic_energies, reference_energy
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.formats.reading import StructureLike, read_structures
from potentia.potentials.networks import Architecture, AtomicNetworks, checked_architecture
from potentia.potentials.predictions import PredictOut
from potentia.potentials.results import TrainOut
from potentia.potentials.simulation import SimulationModel
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised, Surface, featurise
from potentia.potentials.training import KIND, Start, Training
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import TrainingInput, require_descriptor
from potentia.train import Forecast, distributed

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
        dataset: Dataset[Any] | None = None,
        train_dataset: Dataset[Any] | None = None,
        test_dataset: Dataset[Any] | None = None,
        allow_changes: Collection[str] = (),
    ) -> TrainOut:
        """Train on structures or data sets, and return tables and plots of the errors.

        With ``config.seed`` given, training starts from new weights; without, a trained potential goes on from the
        weights and the normalisation that it has. Started by ``torchrun``, its processes share the work on each batch
        and all get the same result; the first alone writes checkpoints and shows progress.

        Args:
            structures: Structures, ASE Atoms, paths of files, or a mix of them; every one needs an energy.
            config: Settings; the defaults of `TorchTrainingConfig` if None.
            resume_from: A checkpoint to go on from. ``config.iterations`` counts additional epochs then; the epoch that
                the checkpoint stands in is the first of them. The result equals that of an unbroken run bit for bit.
            dataset: A data set to be split like structures, instead of them. It owns its atomic energies and filters.
            train_dataset: A data set to train on, all of it, instead of them.
            test_dataset: With ``train_dataset``, what is held out.
            allow_changes: Names of settings that may differ from those of the checkpoint.

        Raises:
            DataError: a structure cannot be used: the message names file, frame and atom.
            ConfigError: settings do not fit the data, the descriptor or the checkpoint.
            TrainingError: too many batches in a row were not finite.
        """
        with distributed.joined():
            given = self._given(structures, dataset, train_dataset, test_dataset)
            trained = self._training(config).run(given, self._start(), resume_from, allow_changes)
        self.fitted_ = FittedPotential(trained.model, trained.atomic_energies, trained.record)
        return trained.out

    def forecast(
        self,
        structures: Structures | None = None,
        config: TorchTrainingConfig | None = None,
        *,
        dataset: Dataset[Any] | None = None,
        train_dataset: Dataset[Any] | None = None,
        test_dataset: Dataset[Any] | None = None,
    ) -> Forecast:
        """Say how long the same call of `train` would take, and how much memory: its first batches are measured.

        The time is that of the epochs; reading and featurising, which this has done already, come on top. Nothing of
        the potential is changed. Arguments and errors are those of `train`.
        """
        given = self._given(structures, dataset, train_dataset, test_dataset)
        return self._training(config).forecast(given, self._start())

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
            part = items[begin : begin + batch_size]
            self._predict_part(part, partial(featurise, part, self.descriptor, [out.gradients] * len(part)), out)
        out.timing["total"] = time.perf_counter() - begun
        return out.result()

    def predict_dataset(
        self,
        dataset: Dataset[Any],
        eval_forces: bool = False,
        *,
        eval_stress: bool = False,
        batch_size: int = 32,
    ) -> PredictOut:
        """Return what `predict` does for the entries of a data set, from the features that it has.

        Args:
            dataset: A data set of structures with the descriptor of this potential, or a `torch.utils.data.Subset`.
            eval_forces: Also forces.
            eval_stress: Also stress.
            batch_size: Structures worked on at a time: memory, not numbers.

        Raises:
            NotFittedError: the potential is not trained.
            DataError: it is no data set of structures.
            ConfigError: its descriptor is another.
        """
        self.require_trained()
        assert self.fitted_ is not None
        integer("batch_size", batch_size, low=1)
        begun = time.perf_counter()
        entries = JoinedDataset(dataset)
        require_descriptor(entries, self.descriptor)
        out = _Predictions(self.fitted_.atomic_energies, forces=eval_forces, stress=eval_stress)
        for begin in range(0, len(entries), batch_size):
            part = range(begin, min(begin + batch_size, len(entries)))
            structures = [
                replace(s, name=entries.get_structure_identifier(k))
                for k, s in zip(part, entries.labels(part), strict=True)
            ]
            make = partial(entries.featurised, part, [out.gradients] * len(part))
            self._predict_part(structures, make, out)
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

    def calculator(self, **options: Any) -> ANNCalculator:
        """Return an ASE calculator of this potential; ``options`` are those of `ANNCalculator`.

        Raises:
            NotFittedError: the potential is not trained.
        """
        return ANNCalculator(self, **options)

    def simulation_model(self) -> SimulationModel:
        """Return what a simulation needs of the potential: see `Engine`.

        Raises:
            NotFittedError: the potential is not trained.
        """
        self.require_trained()
        assert self.fitted_ is not None
        return SimulationModel(self.descriptor, (self.fitted_.model,), (self.fitted_.atomic_energies,))

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

    def _predict_part(self, structures: Sequence[Structure], make: Callable[[], Featurised], out: _Predictions) -> None:
        assert self.fitted_ is not None
        marks = [time.perf_counter()]
        featurised = make()
        selection = featurised.geometry.everything
        marks.append(time.perf_counter())
        with torch.no_grad():
            surface = featurised.surface(self.fitted_.model, selection, gradients=out.gradients)
        marks.append(time.perf_counter())
        out.timing["featurization"] += marks[1] - marks[0]
        out.timing["force_eval" if out.gradients else "energy_eval"] += marks[2] - marks[1]
        out.add(structures, surface, featurised.geometry.volume.tolist())

    def _training(self, config: TorchTrainingConfig | None) -> Training:
        return Training(self.recipe(), self.descriptor, self.arch, config or TorchTrainingConfig())

    def _start(self) -> Start | None:
        return None if self.fitted_ is None else (self.fitted_.model, self.fitted_.atomic_energies)

    def _given(
        self,
        structures: Structures | None,
        dataset: Dataset[Any] | None,
        train_dataset: Dataset[Any] | None,
        test_dataset: Dataset[Any] | None,
    ) -> TrainingInput:
        """Return what a training is given; it must be given in one way."""
        ways = {"structures": structures, "dataset": dataset, "train_dataset": train_dataset}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) != 1 or (test_dataset is not None and train_dataset is None):
            names = [*given, *(["test_dataset"] if test_dataset is not None else [])]
            raise DataError(
                "Provide either 'structures' or 'dataset'/'train_dataset' (with 'test_dataset' if something is held "
                f"out), got {' and '.join(names) or 'none of them'}"
            )
        if dataset is not None:
            return TrainingInput.of_datasets(dataset, None, self.descriptor, whole=True)
        if train_dataset is not None:
            return TrainingInput.of_datasets(train_dataset, test_dataset, self.descriptor, whole=False)
        assert structures is not None
        return TrainingInput.of_structures(read_structures(structures), self.descriptor)


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
        self.gradients = forces or stress
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
            cells=[None if s.cell is None else s.cell.copy() for s in self.structures],
            pbc=[s.pbc.copy() for s in self.structures],
        )
