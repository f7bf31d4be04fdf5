"""One training of a potential: from structures and settings to weights, history and final errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.config import differences
from potentia.data import Split, drawn, shuffled
from potentia.errors import ConfigError, DataError, warn_user
from potentia.potentials.batches import Plan, StructureBatch, structure_batches
from potentia.potentials.callbacks import training_callbacks
from potentia.potentials.datasets.contents import Contents
from potentia.potentials.datasets.labelled import TrainingStructures
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.descriptors.registry import comparable
from potentia.potentials.duplicates import duplicates_among
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.fingerprints import fingerprints_of
from potentia.potentials.fitted import FittedPotential
from potentia.potentials.losses import measure_of
from potentia.potentials.networks import Architecture, AtomicNetworks
from potentia.potentials.normalisation import Normalisation, normalisation, set_normalisation
from potentia.potentials.outcome import outcome
from potentia.potentials.quality.in_training import warn_about_units
from potentia.potentials.results import TrainOut
from potentia.potentials.shares import share_of
from potentia.potentials.task import LossSettings, PotentialTask
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_data import training_data
from potentia.potentials.training_input import TrainingInput
from potentia.seeding import fresh_seed
from potentia.train import (
    Checkpoint,
    ErrorScores,
    Forecast,
    Plateau,
    Run,
    Schedule,
    distributed,
    fit,
    weights_by_error,
)
from potentia.train.checkpoint import checkpoint_of, go_on
from potentia.train.device import DTYPES, usable_device
from potentia.train.history import columns_of
from potentia.train.prepared import Prepared

__all__ = ["KIND", "Order", "Trained", "Training"]

Order: TypeAlias = Callable[[int], Sequence[NDArray[np.int64]]]
"""Epoch → batches of places in the training part."""
KIND = "potential"
"""Kind of the files."""
LOOKED_AT = 2_000
"""So many structures, any of them, are looked at for labels that cannot be right."""


@dataclass(frozen=True)
class Trained:
    """What a training has brought."""

    model: AtomicNetworks
    atomic_energies: dict[str, float]
    record: dict[str, Any]
    out: TrainOut
    best_val_loss: float
    """The lowest monitored value, NaN where there was none."""
    seen: FeatureRanges
    """The features of all structures it was trained on."""


@dataclass(frozen=True)
class Ready(Prepared[StructureBatch]):
    """A training of a potential before its first batch."""

    task: PotentialTask
    given: TrainingInput
    split: Split
    atomic_energies: dict[str, float]
    seeds: dict[str, int]
    scores: ErrorScores | None
    """Of the structures, where they are drawn by their errors."""
    seen: FeatureRanges
    """The features of all structures it has been and will be trained on."""


@dataclass(frozen=True)
class Training:
    """Settings of one training; `run` carries it out."""

    recipe: dict[str, Any]
    descriptor: Descriptor
    arch: Architecture
    config: TorchTrainingConfig

    def run(
        self,
        given: TrainingInput,
        start: FittedPotential | None,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
    ) -> Trained:
        """Train on what is ``given``, from the weights of ``start`` if there are any.

        Nothing of ``start`` is changed: an interrupted training leaves the potential as it was.
        """
        ready = self.prepare(given, start, resume_from, allow)
        run, config = ready.run, self.config
        record = {"training_config": config.plain(), "data": ready.fingerprint["data"], **ready.seeds}
        learned = {"atomic_energies": ready.atomic_energies, "record": record, "seen": ready.seen.to_state()}
        extra = {"kind": KIND, "recipe": self.recipe, "learned": learned, **ready.seeds}
        epochs = run.epoch + config.iterations
        callbacks = training_callbacks(
            config, epochs, ready.fingerprint, extra, ready.scores, with_test=len(ready.split.test) > 0
        )
        try:
            fit(run, ready.task, ready.batches, epochs, callbacks)
            run.take_average()
            run.model.eval()
            out = outcome(run, ready.task, ready.split, given, config, ready.seeds)
        finally:
            ready.task.data.close()
        assert isinstance(run.model, AtomicNetworks)
        record |= {"training_history": columns_of(out.history)}
        return Trained(run.model, ready.atomic_energies, record, out, run.best.value, ready.seen)

    def forecast(self, given: TrainingInput, start: FittedPotential | None) -> Forecast:
        """Measure the first batches of the training, and give back how long it would take."""
        ready = self.prepare(given, start, None, ())
        found = ready.forecast(self.config.iterations)
        ready.task.data.close()
        return found

    def prepare(
        self,
        given: TrainingInput,
        start: FittedPotential | None,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
    ) -> Ready:
        """Split, filter, featurise, look at the labels, and set up networks and run."""
        config = self.config
        self._device()
        checkpoint = checkpoint_of(KIND, resume_from)
        seeds = self._seeds(checkpoint)
        contents = given.contents(config)
        split = given.split(config, seeds["split_seed"], contents)
        atomic_energies = given.atomic_energies(config, _energies_before(start, checkpoint), self.descriptor.species)
        split = given.filtered(split, config, atomic_energies)
        data = training_data(given, split, config, atomic_energies, contents)
        if not given.inspected:
            self.inspect(given, data, split, atomic_energies, contents)
        about = {
            "data": given.mark(contents, config),
            "split": {"train": len(split.train), "test": len(split.test), "split_seed": seeds["split_seed"]},
        }
        before = _seen_before(start, checkpoint)
        own = before if checkpoint is not None and not _changed(checkpoint, about) else given.seen
        found = self.normalisation(start, data, split, own)
        model = self.model(start, seeds["seed"], found)
        method = config.method_for(max(_n_parameters(network) for network in model.networks))
        run = Run(model, method, self.schedule(), seed=seeds["seed"], average=config.average)
        fingerprint = {
            "recipe": {**self.recipe, "descriptor": comparable(self.recipe["descriptor"], "device")},
            "config": replace(config, method=method).fingerprint(),
            **about,
            "atomic_energies": atomic_energies,
            "seed": seeds["seed"],
        }
        same = repr((fingerprint, contents.mark(np.arange(len(contents))))).encode()
        distributed.require_same("settings or data", same, "give all the same, in one order")
        go_on(run, checkpoint, fingerprint, allow)
        task = PotentialTask(data, torch.from_numpy(split.test), self.loss_settings)
        scores = ErrorScores(len(contents), contents.order) if config.sampling_policy == "error_weighted" else None
        batches = self._batches(run, given, data, split, scores)
        seen = found.seen if before is None else FeatureRanges.joint([before, found.seen])
        return Ready(run, task, batches, fingerprint, given, split, atomic_energies, seeds, scores, seen)

    def inspect(
        self,
        given: TrainingInput,
        data: TrainingStructures,
        split: Split,
        atomic_energies: Mapping[str, float],
        contents: Contents,
    ) -> None:
        """Look at the labels, and for copies across the split: what is wrong is an error, what is odd a warning."""
        some = np.sort(contents.order[:LOOKED_AT]).tolist()
        warn_about_units(given.dataset.labels(some), atomic_energies)
        self._require_labels(data, split)
        self._warn_of_copies(data, split)

    @property
    def loss_settings(self) -> LossSettings:
        """The loss that the settings ask for."""
        config = self.config
        measure = measure_of(config.loss, config.huber_delta)
        return LossSettings(
            config.force_weight, config.stress_weight, measure, config.force_scale_unbiased, config.force_rows
        )

    def _seeds(self, checkpoint: Checkpoint | None) -> dict[str, int]:
        """The seeds of this training: those given, else those of the checkpoint, else new ones."""
        given = {"seed": self.config.seed, "split_seed": self.config.split_seed}
        if checkpoint is not None:
            known = {"seed": checkpoint.run["seed"], "split_seed": checkpoint.extra["split_seed"]}
        else:
            seed = distributed.from_first(fresh_seed()) if self.config.seed is None else self.config.seed
            known = {"seed": seed, "split_seed": seed}
        return known | {name: value for name, value in given.items() if value is not None}

    def _batches(
        self, run: Run, given: TrainingInput, data: TrainingStructures, split: Split, scores: ErrorScores | None
    ) -> Callable[[int], Sequence[StructureBatch]]:
        """Return epoch → batches, drawn as the settings say."""
        size = run.method.samples_per_batch(len(split.train))
        if scores is not None:
            train = torch.from_numpy(split.train)
            order: Order = drawn(lambda: weights_by_error(scores.scores(run)[train].numpy()), size, run.seed)
        else:
            order = self.order(given, data, split, size, run.seed)
        plain = self.batches_by(order, data, split, run.seed)
        return lambda epoch: Plan(plain(epoch), data, lambda batch: share_of(batch, data.n_atoms).batch)

    def order(self, given: TrainingInput, data: TrainingStructures, split: Split, size: int, seed: int) -> Order:
        """Return epoch → batches of ``size`` places in the training part, where they do not go by errors."""
        if self.config.sampling_policy == "energy_weighted":
            energy = data.energy.cpu().numpy() + given.repelled  # that of the labels
            weights = _weights_by_energy((energy / data.n_atoms.cpu().numpy())[split.train])
            return drawn(lambda: weights, size, seed)
        return shuffled(len(split.train), size, seed)

    def batches_by(
        self, order: Order, data: TrainingStructures, split: Split, seed: int
    ) -> Callable[[int], list[StructureBatch]]:
        """Return epoch → batches of structures in an order, with those that are trained on forces or stress."""
        config = self.config
        labelled = (data.has_forces & (config.force_weight > 0)) | (data.has_stress & (config.stress_weight > 0))
        return structure_batches(order, split.train, labelled.cpu().numpy(), config, seed)

    def _require_labels(self, data: TrainingStructures, split: Split) -> None:
        train = torch.from_numpy(split.train)
        for weight, there, name in (
            (self.config.force_weight, data.has_forces, "force"),
            (self.config.stress_weight, data.has_stress, "stress"),
        ):
            if weight > 0 and not bool(there.cpu()[train].any()):
                raise DataError(
                    f"{name}_weight={weight}, but no structure of the {len(train)} in training has a {name} label",
                    page="potentials.md#structures",
                )

    def _warn_of_copies(self, data: TrainingStructures, split: Split) -> None:
        """Warn of structures held out that the training part holds already, exactly or nearly."""
        if not len(split.test):
            return
        known = fingerprints_of(data.pieces())
        copies = duplicates_among(known, (data.energy / data.n_atoms).cpu().numpy(), split)
        if copies.finding is not None:
            warn_user(copies.finding)

    def normalisation(
        self, start: FittedPotential | None, data: TrainingStructures, split: Split, known: FeatureRanges | None
    ) -> Normalisation:
        """Return scales and what was seen of the training part; features of a potential that goes on keep theirs."""
        config = self.config
        if start is not None:
            config = replace(config, normalize_features=False, feature_stats=None)
        return normalisation(data, torch.from_numpy(split.train), config, self.descriptor.n_features, known)

    def model(self, start: FittedPotential | None, seed: int, found: Normalisation) -> AtomicNetworks:
        """Networks that go on from ``start``, or new ones with the normalisation that was ``found``."""
        config, descriptor = self.config, self.descriptor
        dtype = DTYPES.get(config.precision, descriptor.dtype)
        drawn = AtomicNetworks(self.arch, descriptor.species, descriptor.n_features, seed, torch.float64)
        model = drawn.to(dtype)  # the same weights in every precision, but for rounding
        if start is not None:
            model.load_state_dict(start.model.state_dict())
        else:
            set_normalisation(dict(model.named_buffers()), found)
        return model.to(self._device())

    def _device(self) -> torch.device:
        """Where the networks are."""
        config, features = self.config, self.descriptor.device
        if config.memory_mode == "mixed" and features.type != "cpu":
            raise ConfigError(
                f"memory_mode='mixed' keeps features on the host, but the descriptor is on {features}: make it with "
                "device='cpu', and name the GPU in config.device"
            )
        return usable_device(features if config.device is None else config.device)

    def schedule(self) -> Schedule | None:
        """The rule for the learning rate, None for none."""
        config = self.config
        if not config.use_scheduler:
            return config.schedule
        return Plateau(config.scheduler_patience, config.scheduler_factor, config.scheduler_min_lr)


def _energies_before(start: FittedPotential | None, checkpoint: Checkpoint | None) -> dict[str, float] | None:
    """Return the energies of free atoms of the training that goes on."""
    if checkpoint is None:
        return None if start is None else start.atomic_energies
    known: dict[str, float] = checkpoint.extra["learned"]["atomic_energies"]
    return known


def _seen_before(start: FittedPotential | None, checkpoint: Checkpoint | None) -> FeatureRanges | None:
    """Return what the networks have seen before this training, as far as that is known."""
    if checkpoint is None:
        return None if start is None else start.seen
    state = checkpoint.extra["learned"].get("seen")
    return None if state is None else FeatureRanges.from_state(state)


def _changed(checkpoint: Checkpoint, about: Mapping[str, Any]) -> bool:
    """Whether data or split are others than those of the checkpoint."""
    return bool(differences({name: checkpoint.settings.get(name) for name in about}, about))


def _n_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _weights_by_energy(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1/(1 + Δ/Δ_max) for Δ = energy per atom above the lowest; all 1 where they are alike.  [structures]"""
    above = energy - energy.min()
    weights: NDArray[np.float64] = 1 / (1 + above / above.max()) if above.max() > 0 else np.ones_like(above)
    return weights
