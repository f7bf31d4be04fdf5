"""One training of a potential: from structures and settings to weights, history and final errors."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.data import Split, holdout
from potentia.errors import ConfigError, DataError, PotentiaWarning
from potentia.estimator import require_checkpoint_of
from potentia.potentials.batches import structure_batches
from potentia.potentials.datasets.labelled import (
    LabelledStructures,
    complete_atomic_energies,
    content_hash,
    reference_energy,
)
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.formats.reading import Reading
from potentia.potentials.geometry import species_indices
from potentia.potentials.losses import measure_of
from potentia.potentials.networks import Architecture, AtomicNetworks
from potentia.potentials.normalisation import set_normalisation
from potentia.potentials.quality import warn_about_units
from potentia.potentials.results import ParityData, TrainOut
from potentia.potentials.structure import Structure
from potentia.potentials.task import Evaluation, LossSettings, PotentialTask
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.seeding import fresh_seed
from potentia.train import (
    BatchBar,
    Callback,
    Checkpoint,
    Checkpoints,
    EpochBar,
    Plateau,
    Run,
    distributed,
    fit,
    load_checkpoint,
)

__all__ = ["KIND", "Trained", "Training"]

Start: TypeAlias = tuple[AtomicNetworks, dict[str, float]]
"""Networks to go on from, and the energies of free atoms that they were trained against (eV)."""
KIND = "potential"
"""Kind of the files."""
FEW = 10
"""Below so many structures held out, what goes by the validation error is warned of."""


@dataclass(frozen=True)
class Trained:
    """What a training has brought."""

    model: AtomicNetworks
    atomic_energies: dict[str, float]
    record: dict[str, Any]
    out: TrainOut


@dataclass(frozen=True)
class Training:
    """Settings of one training; `run` carries it out."""

    recipe: dict[str, Any]
    descriptor: ChebyshevDescriptor
    arch: Architecture
    config: TorchTrainingConfig

    def run(
        self,
        reading: Reading,
        start: Start | None,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
    ) -> Trained:
        """Train on the structures of ``reading``, from the weights of ``start`` if there are any and no seed is given.

        Nothing of ``start`` is changed: an interrupted training leaves the potential as it was.
        """
        config, structures = self.config, reading.structures
        if not structures:
            raise DataError("there are no structures to train on: `structures` is empty")
        checkpoint = None if resume_from is None else load_checkpoint(resume_from)
        if checkpoint is not None:
            require_checkpoint_of(KIND, checkpoint.extra, checkpoint.path)
        if config.seed is not None:
            start = None
        seeds = self._seeds(checkpoint)
        split = self._split(structures, seeds["split_seed"])
        for structure in structures:
            species_indices(structure, self.descriptor.species_to_idx)
        atomic_energies = self._atomic_energies(start, checkpoint)
        split = self._filtered(split, structures, atomic_energies)
        warn_about_units(structures, atomic_energies)
        data = LabelledStructures.of(
            structures, self.descriptor, atomic_energies, gradients=config.supervises_gradients
        )
        self._require_labels(data, split)
        model = self._model(start, seeds["seed"], data, split)
        run = Run(model, config.method, self._schedule(), seed=seeds["seed"])
        fingerprint = {
            "recipe": {**self.recipe, "descriptor": {**self.recipe["descriptor"], "device": "any"}},
            "config": config.fingerprint(),
            "data": {"structures": len(structures), "sha256": content_hash(structures, self.descriptor.species_to_idx)},
            "split": {"train": len(split.train), "test": len(split.test), "split_seed": seeds["split_seed"]},
            "atomic_energies": atomic_energies,
            "seed": seeds["seed"],
        }
        distributed.require_same("settings or data", repr(fingerprint).encode(), "give all the same, in one order")
        if checkpoint is not None:
            checkpoint.resume(run, fingerprint, allow)
            run.seed = seeds["seed"]
        record = {"training_config": config.plain(), "data": fingerprint["data"], **seeds}
        learned = {
            "kind": KIND,
            "recipe": self.recipe,
            "learned": {"atomic_energies": atomic_energies, "record": record},
        }
        settings = LossSettings(
            config.force_weight, config.stress_weight, measure_of(config.loss, config.huber_delta),
            config.force_scale_unbiased, config.force_rows,
        )  # fmt: skip
        task = PotentialTask(data, torch.from_numpy(split.test), settings)
        labelled = (data.has_forces & (config.force_weight > 0)) | (data.has_stress & (config.stress_weight > 0))
        fit(
            run,
            task,
            structure_batches(split.train, labelled.cpu().numpy(), config, run.seed),
            run.epoch + config.iterations,
            self._callbacks(run, fingerprint, {**learned, **seeds}, with_test=len(split.test) > 0),
        )
        model.eval()
        out = self._result(run, task, split, reading, seeds)
        return Trained(model, atomic_energies, {**record, "training_history": _columns(run.history)}, out)

    def _seeds(self, checkpoint: Checkpoint | None) -> dict[str, int]:
        """The seeds of this training: those given, else those of the checkpoint, else new ones."""
        given = {"seed": self.config.seed, "split_seed": self.config.split_seed}
        if checkpoint is not None:
            known = {"seed": checkpoint.run["seed"], "split_seed": checkpoint.extra["split_seed"]}
        else:
            seed = distributed.from_first(fresh_seed()) if self.config.seed is None else self.config.seed
            known = {"seed": seed, "split_seed": seed}
        return known | {name: value for name, value in given.items() if value is not None}

    def _split(self, structures: Sequence[Structure], split_seed: int) -> Split:
        config = self.config
        split = holdout(len(structures), config.testpercent, split_seed)
        if config.use_scheduler and not len(split.test):
            raise ConfigError(
                f"use_scheduler=True needs structures held out, but testpercent={config.testpercent} of "
                f"{len(structures)} structures holds out none: raise testpercent, or set use_scheduler=False"
            )
        for name in ("use_scheduler", "save_best"):
            wanted = config.use_scheduler if name == "use_scheduler" else config.save_best and config.checkpoint_dir
            if wanted and 0 < len(split.test) < FEW:
                warnings.warn(
                    f"{name}=True with a validation set of only {len(split.test)} structure(s): its errors are noisy. "
                    f"Set {name}=False, or hold out more",
                    PotentiaWarning,
                    stacklevel=4,
                )
        return split

    def _atomic_energies(self, start: Start | None, checkpoint: Checkpoint | None) -> dict[str, float]:
        """Those given, else those that the training to be continued has used, else zeros."""
        if self.config.atomic_energies is not None:
            return complete_atomic_energies(self.config.atomic_energies, self.descriptor.species)
        if checkpoint is not None:
            return dict(checkpoint.extra["learned"]["atomic_energies"])
        if start is not None:
            return start[1]
        warnings.warn(
            "No atomic_energies provided: energies are taken relative to zero, not to free atoms. Give "
            "atomic_energies={'H': …} in eV for energies of a sensible size",
            PotentiaWarning,
            stacklevel=4,
        )
        return dict.fromkeys(self.descriptor.species, 0.0)

    def _filtered(self, split: Split, structures: Sequence[Structure], atomic_energies: Mapping[str, float]) -> Split:
        """Leave out what is above ``max_energy`` or ``max_forces``, each part on its own: the split stays."""
        config = self.config
        if config.max_energy is None and config.max_forces is None:
            return split
        kept = np.ones(len(structures), dtype=bool)
        for k, structure in enumerate(structures):
            if config.max_energy is not None and structure.energy is not None:
                referenced = structure.energy - reference_energy(structure, atomic_energies)
                kept[k] &= referenced / structure.n_atoms <= config.max_energy
            if config.max_forces is not None and structure.forces is not None:
                kept[k] &= float(np.linalg.norm(structure.forces, axis=1).max()) <= config.max_forces
        filtered = Split(split.train[kept[split.train]], split.test[kept[split.test]])
        if not len(filtered.train):
            raise DataError(
                f"max_energy={config.max_energy} and max_forces={config.max_forces} leave none of {len(split.train)} "
                "structures to train on"
            )
        return filtered

    def _require_labels(self, data: LabelledStructures, split: Split) -> None:
        train = torch.from_numpy(split.train)
        for weight, there, name in (
            (self.config.force_weight, data.has_forces, "force"),
            (self.config.stress_weight, data.has_stress, "stress"),
        ):
            if weight > 0 and not bool(there[train].any()):
                raise DataError(
                    f"{name}_weight={weight}, but no structure of the {len(train)} in training has a {name} label"
                )

    def _model(self, start: Start | None, seed: int, data: LabelledStructures, split: Split) -> AtomicNetworks:
        """Networks that go on from ``start``, or new ones with the normalisation of the training part."""
        config, descriptor = self.config, self.descriptor
        dtypes = {"auto": descriptor.dtype, "float32": torch.float32, "float64": torch.float64}
        dtype = dtypes[config.precision]
        model = AtomicNetworks(self.arch, descriptor.species, descriptor.n_features, seed, dtype)
        if start is not None:
            model.load_state_dict(start[0].state_dict())
        else:
            set_normalisation(dict(model.named_buffers()), data, torch.from_numpy(split.train), config)
        return model.to(descriptor.device if config.device is None else config.device)

    def _schedule(self) -> Plateau | None:
        config = self.config
        if not config.use_scheduler:
            return None
        return Plateau(config.scheduler_patience, config.scheduler_factor, config.scheduler_min_lr)

    def _callbacks(
        self, run: Run, fingerprint: Mapping[str, Any], extra: Mapping[str, Any], *, with_test: bool
    ) -> list[Callback]:
        config, callbacks = self.config, list[Callback]()
        if config.checkpoint_dir is not None:
            callbacks.append(
                Checkpoints(
                    config.checkpoint_dir,
                    fingerprint,
                    extra,
                    every_epochs=config.checkpoint_interval,
                    every_batches=config.checkpoint_batches,
                    keep=config.max_checkpoints,
                    save_best=config.save_best and with_test,
                )
            )
        if config.show_progress:
            shown = {"train": "RMSE_train"} | ({"test": "RMSE_test"} if with_test else {})
            forces = {"force": "RMSE_force_test" if with_test else "RMSE_force_train"}
            callbacks.append(EpochBar(run.epoch + config.iterations, shown | (forces if config.force_weight else {})))
        if config.show_batch_progress:
            callbacks.append(BatchBar())
        return callbacks

    def _result(
        self, run: Run, task: PotentialTask, split: Split, reading: Reading, seeds: Mapping[str, int]
    ) -> TrainOut:
        """Tables with a last row of exact errors over both parts, at the final weights."""
        assert isinstance(run.model, AtomicNetworks)
        parts = {
            name: task.evaluate(run.model, torch.from_numpy(index))
            for name, index in (("train", split.train), ("test", split.test))
        }
        history = [dict(row) for row in run.history]
        if history:
            history[-1].update(task.row(parts["train"].sums, parts["test"].sums))
        return TrainOut(
            history,
            train_parity=_parity(parts["train"]),
            test_parity=_parity(parts["test"]) if len(split.test) else None,
            reading=str(reading),
            seed=seeds["seed"],
            split_seed=seeds["split_seed"],
            train_indices=split.train.tolist(),
            test_indices=split.test.tolist(),
        )


def _columns(history: Sequence[Mapping[str, float]]) -> dict[str, torch.Tensor]:
    names = history[0] if history else ()
    return {name: torch.tensor([row[name] for row in history], dtype=torch.float64) for name in names}


def _parity(evaluation: Evaluation) -> ParityData:
    def pair(
        values: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | tuple[None, None]:
        reference, predicted = (v.cpu().numpy().reshape(-1) for v in values)
        return (reference, predicted) if len(reference) else (None, None)

    energy = [v.cpu().numpy() for v in evaluation.energy]
    force, stress = pair(evaluation.force), pair(evaluation.stress)
    return ParityData(
        energy_ref=energy[0],
        energy_pred=energy[1],
        force_ref=force[0],
        force_pred=force[1],
        stress_ref=stress[0],
        stress_pred=stress[1],
    )
