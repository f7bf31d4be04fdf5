"""`TorchANNPotential`: a neural network potential of the ænet kind, trained, applied, saved and loaded."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from torch.utils.data import Dataset

from potentia.config import differences
from potentia.errors import ConfigError, DataError
from potentia.estimator import FittedEstimator
from potentia.potentials.aenet_import import read_aenet_potential
from potentia.potentials.aenet_repulsion import warn_unless_repelled
from potentia.potentials.asking import AskedAlone, Structures
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.registry import comparable, descriptor_from, moved_to, plain_of, require_known
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.fitted import FittedPotential
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.networks import Architecture, AtomicNetworks, checked_architecture
from potentia.potentials.repulsion import ZBL, checked_repulsion, repulsion_from
from potentia.potentials.results import TrainOut
from potentia.potentials.training import KIND, Training
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import TrainingInput
from potentia.train import Forecast, distributed

__all__ = ["TorchANNPotential", "on_device"]


class TorchANNPotential(FittedEstimator[FittedPotential], AskedAlone):
    """Energies, forces and stress from one neural network per species over a descriptor of the atom's surroundings.

    J. Behler, M. Parrinello, Phys. Rev. Lett. 98 (2007) 146401;
    N. Artrith, A. Urban, Comput. Mater. Sci. 114 (2016) 135.

    Args:
        arch: Hidden layers of each species as ``[(nodes, activation), …]``; activations are ``linear``, ``tanh``,
            ``sigmoid``, ``relu``, ``silu``, ``gelu``, ``mtanh`` and ``twist``.
        descriptor: The descriptor of atoms.
        repulsion: What keeps atoms apart at distances that no data tell of. The networks learn labels less this, and
            every answer has it.

    Example:
        >>> from potentia import ChebyshevDescriptor
        >>> descriptor = ChebyshevDescriptor(["H"], rad_order=1, rad_cutoff=2.0, ang_order=0, ang_cutoff=2.0)
        >>> potential = TorchANNPotential({"H": [(4, "tanh")]}, descriptor=descriptor)
        >>> potential.is_trained()
        False
    """

    kind = KIND

    def __init__(
        self,
        arch: Mapping[str, Sequence[tuple[int, str]]],
        descriptor: Descriptor,
        *,
        repulsion: ZBL | None = None,
    ) -> None:
        self.descriptor = descriptor
        self.repulsion = checked_repulsion(repulsion, descriptor.species, descriptor.cutoff)
        self.arch: Architecture = checked_architecture(arch, descriptor.species)
        self.fitted_ = None

    def train(
        self,
        structures: Structures | None = None,
        config: TorchTrainingConfig | None = None,
        resume_from: str | os.PathLike[str] | None = None,
        *,
        init_from: str | os.PathLike[str] | None = None,
        dataset: Dataset[Any] | None = None,
        train_dataset: Dataset[Any] | None = None,
        test_dataset: Dataset[Any] | None = None,
        allow_changes: Collection[str] = (),
    ) -> TrainOut:
        """Train on structures or data sets, and return tables and plots of the errors.

        With ``config.seed`` given, training starts from new weights; without, a trained potential goes on from the
        weights and the normalisation that it has, with a seed that is drawn. `TrainOut.seed` tells it: ``init_from`` of
        the same weights with this seed is the same training. Started by ``torchrun``, its processes share the work on
        each batch and all get the same result; the first alone writes checkpoints and shows progress.

        Args:
            structures: Structures, ASE Atoms, paths of files, or a mix of them; every one needs an energy.
            config: Settings; the defaults of `TorchTrainingConfig` if None.
            resume_from: A checkpoint to go on from. ``config.iterations`` counts additional epochs then; the epoch that
                the checkpoint stands in is the first of them. The result equals that of an unbroken run bit for bit.
            init_from: A saved potential or checkpoint whose weights and normalisation are the first ones, whatever the
                seed: learning on other data, or with other settings. The optimizer and the epochs begin anew; so do the
                energies of free atoms, unless nothing gives them.
            dataset: A data set to be split like structures, instead of them. It owns its atomic energies and filters.
            train_dataset: A data set to train on, all of it, instead of them.
            test_dataset: With ``train_dataset``, what is held out.
            allow_changes: Names of settings that may differ from those of the checkpoint.

        Raises:
            DataError: a structure cannot be used: the message names file, frame and atom.
            ConfigError: settings do not fit the data, the descriptor, the checkpoint or the weights to begin with.
            TrainingError: too many batches in a row were not finite.
        """
        if resume_from is not None and init_from is not None:
            raise ConfigError("resume_from goes on with all of a run, init_from begins a new one: give one of them")
        training = self.training(config)
        with distributed.joined():
            given = self.given(structures, dataset, train_dataset, test_dataset)
            trained = training.run(given, self._start(training.config, init_from), resume_from, allow_changes)
        self.fitted_ = FittedPotential(trained.model, trained.atomic_energies, trained.record, trained.seen)
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
        given = self.given(structures, dataset, train_dataset, test_dataset)
        training = self.training(config)
        return training.forecast(given, self._start(training.config, None))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], device: str | None = None) -> Self:
        """Read a potential from a file of `save` or a checkpoint, onto ``device`` (None: the one it was saved from)."""
        recipe, learned = cls.parts_in(path)
        return cls.from_parts(recipe if device is None else on_device(device, recipe), learned)

    @classmethod
    def from_aenet(
        cls,
        paths: Mapping[str, str | os.PathLike[str]],
        device: str | None = None,
        *,
        angular_argument: str = "cos",
        repulsion: ZBL | None = None,
    ) -> Self:
        """Read a potential from ænet's ``.nn`` or ``.nn.ascii`` of each species, to predict and to be trained further.

        ``angular_argument``, which no file tells, is ``"cos"`` for ænet 2.0.4, ``"2cos/pi-1"`` for older releases.
        The files hold networks only: a ``repulsion`` that they were trained with must be given here.
        """
        found = read_aenet_potential(paths, angular_argument)
        potential = cls(found.arch, found.descriptor, repulsion=repulsion)
        warn_unless_repelled(found.record, repulsion)
        potential.fitted_ = FittedPotential(found.model, found.atomic_energies, found.record)
        return potential if device is None else potential.to(device)

    def to(self, device: str) -> Self:
        """Return the same potential on another device."""
        return self.from_parts(on_device(device, self.recipe()), self.learned())

    def recipe(self) -> dict[str, Any]:
        """Return architecture, descriptor, and repulsion where there is one, as plain values."""
        recipe = {
            "arch": {name: [list(layer) for layer in layers] for name, layers in self.arch.items()},
            "descriptor": plain_of(self.descriptor),
        }
        return recipe if self.repulsion is None else {**recipe, "repulsion": self.repulsion.settings()}

    def learned(self) -> dict[str, Any]:
        """Return weights, normalisation, atomic energies, the record of the training, and what it has seen."""
        fitted = self.fitted()
        return {
            "model": dict(fitted.model.state_dict()),
            "atomic_energies": fitted.atomic_energies,
            "record": fitted.record,
            "seen": None if fitted.seen is None else fitted.seen.to_state(),
        }

    @classmethod
    def require_readable(cls, recipe: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
        """Raise `FileFormatError` unless the descriptor that a file names is registered here."""
        require_known(recipe["descriptor"], str(path))

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> Self:
        """Build an untrained potential from `recipe`."""
        arch = {name: [(nodes, act) for nodes, act in layers] for name, layers in recipe["arch"].items()}
        return cls(arch, descriptor_from(recipe["descriptor"]), repulsion=repulsion_from(recipe))

    @classmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained potential from `recipe` and `learned`."""
        potential = cls.from_recipe(recipe)
        descriptor, state = potential.descriptor, learned["model"]
        model = AtomicNetworks(potential.arch, descriptor.species, descriptor.n_features, 0, state["e_shift"].dtype)
        model.load_state_dict(state)
        record = dict(learned.get("record", {}))
        seen = None if learned.get("seen") is None else FeatureRanges.from_state(learned["seen"])
        potential.fitted_ = FittedPotential(model.to(descriptor.device), dict(learned["atomic_energies"]), record, seen)
        return potential

    def training(self, config: TorchTrainingConfig | None) -> Training:
        """Return a training of this potential with these settings."""
        return Training(self.recipe(), self.descriptor, self.arch, config or TorchTrainingConfig())

    def given(
        self,
        structures: Structures | None,
        dataset: Dataset[Any] | None,
        train_dataset: Dataset[Any] | None,
        test_dataset: Dataset[Any] | None,
    ) -> TrainingInput:
        """Return what `train` is given, as one data set.

        Raises:
            DataError: it is given in more than one way, or in none.
        """
        ways = {"structures": structures, "dataset": dataset, "train_dataset": train_dataset}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) != 1 or (test_dataset is not None and train_dataset is None):
            names = [*given, *(["test_dataset"] if test_dataset is not None else [])]
            raise DataError(
                "Provide either 'structures' or 'dataset'/'train_dataset' (with 'test_dataset' if something is held "
                f"out), got {' and '.join(names) or 'none of them'}"
            )
        if dataset is not None:
            found = TrainingInput.of_datasets(dataset, None, self.descriptor, whole=True)
        elif train_dataset is not None:
            found = TrainingInput.of_datasets(train_dataset, test_dataset, self.descriptor, whole=False)
        else:
            assert structures is not None
            found = TrainingInput.of_structures(read_structures(structures), self.descriptor)
        return replace(found, repulsion=self.repulsion)

    def _start(self, config: TorchTrainingConfig, init_from: str | os.PathLike[str] | None) -> FittedPotential | None:
        """Return what a training begins with; None for new weights.

        Raises:
            ConfigError: ``init_from`` is another potential than this one.
        """
        if init_from is None:
            return self.fitted_ if config.seed is None else None
        found = type(self).from_file(init_from, str(self.descriptor.device))
        free = ("device", "dtype", "kernels")  # features are the same but for rounding
        then, now = (
            {**recipe, "descriptor": comparable(recipe["descriptor"], *free)}
            for recipe in (found.recipe(), self.recipe())
        )
        changed = differences(then, now)
        if changed:
            raise ConfigError(
                f"init_from: {init_from} holds another potential than this one: {'; '.join(changed)}. Its weights mean "
                "something for its own architecture, descriptor and repulsion only"
            )
        return found.fitted()


def on_device(device: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe of a potential, or of several alike, for another device."""
    return {**recipe, "descriptor": moved_to(device, recipe["descriptor"])}
