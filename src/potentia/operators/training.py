"""One training of a neural operator: from data and settings to weights, history and record."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.config import from_dict, plain, to_dict
from potentia.errors import ConfigError, DataError
from potentia.operators.alignment_terms import AlignmentTerms
from potentia.operators.bad_steps import BadSteps
from potentia.operators.checkpoints import resume
from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.networks.base import FieldNetwork, FieldNetworkConfig, FieldShape
from potentia.operators.normaliser import Normaliser
from potentia.operators.old_checkpoint import is_old_checkpoint
from potentia.operators.results import TrainOut
from potentia.operators.space import ParameterSpace
from potentia.operators.task import (
    FieldBatch,
    FieldModel,
    FieldTensors,
    OperatorTask,
    batches_of,
    new_model,
    spared_by_decay,
    steps_per_epoch,
)
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.seeding import torch_seeded
from potentia.train import Callback, Checkpoint, Forecast, Run, StepNames, seed_of
from potentia.train.checkpoint import checkpoint_of, go_on
from potentia.train.device import DTYPES, usable_device
from potentia.train.prepared import Prepared

__all__ = ["Fitted", "Known", "Training", "describe", "describe_known", "known_from"]


@dataclass(frozen=True, eq=False)
class Known:
    """What an operator knows of its data."""

    normaliser: Normaliser
    space: ParameterSpace
    """How parameters are embedded."""
    channels: tuple[str, ...]
    time_step: float
    low: NDArray[np.float64]
    """Least value of each parameter in the training, less the usual distance between two of them.  [parameters]"""
    high: NDArray[np.float64]
    """Largest value, and as much more.  [parameters]"""

    @classmethod
    def of(cls, data: OperatorData, train: Samples) -> Known:
        """Look at the training part of data."""
        low, high = train.parameters.min(0), train.parameters.max(0)
        margin = 2 * (high - low) / len(np.unique(train.group))
        normaliser = Normaliser.fit(train)
        return cls(normaliser, data.space, data.channels, data.time_step, low - margin, high + margin)

    @property
    def shape(self) -> FieldShape:
        """Sizes of the network."""
        return FieldShape(len(self.channels), self.normaliser.n_axes, self.space.width)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What an operator has learned."""

    network: FieldNetwork
    known: Known
    projector: dict[str, Tensor]
    """Weights of the projector of an alignment; empty where there was none."""
    record: dict[str, Any]
    """How it was trained."""


@dataclass(frozen=True)
class Ready(Prepared[FieldBatch]):
    """A training of an operator before its first step."""

    task: OperatorTask
    model: FieldModel
    """The model of ``run``."""
    known: Known


@dataclass(frozen=True)
class Training:
    """Settings of one training; `run` carries it out."""

    kind: str
    """Of the operator's files."""
    network: FieldNetworkConfig
    config: OperatorTrainingConfig
    alignment: AlignmentTerms | None = None
    start: Fitted | None = None
    """Whose weights it begins with, and whose normaliser and embedding it keeps; None for new ones."""

    def run(
        self,
        data: OperatorData,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
        callbacks: Sequence[Callback] = (),
    ) -> tuple[Fitted, TrainOut]:
        """Train, from new weights, those of another operator, or from where a checkpoint stands."""
        ready, config = self.prepare(data, resume_from, allow), self.config
        record = self._record(data, ready)
        learned = {**describe_known(ready.known), "record": record}
        extra = {"kind": self.kind, "recipe": describe(self.network), "learned": learned}
        shown = {"train": "train_loss", "val": "val_loss"}
        going_along = [BadSteps(config.max_bad_fraction), *callbacks]
        ended = ready.carry_out(config.loop(), config.epochs, extra, shown, going_along, naming=StepNames())
        record |= ended.record
        samples = ready.task.train.samples
        out = TrainOut(**ended.told, n_train_samples=len(samples), n_steps=samples.steps)
        projector = {} if ready.model.projector is None else dict(ready.model.projector.state_dict())
        return Fitted(ready.model.network, ready.known, projector, record), out

    def forecast(self, data: OperatorData) -> Forecast:
        """Measure the first steps of the training, and give back how long it would take."""
        return self.prepare(data, None, ()).forecast(self.config.epochs)

    def prepare(self, data: OperatorData, resume_from: str | os.PathLike[str] | None, allow: Collection[str]) -> Ready:
        """Cut the data to size, fit the normaliser, and set up network and run on the device."""
        config, device = self.config, usable_device(self.config.device)
        train, valid = self._parts(data)
        if self.alignment is not None:
            self.alignment.require(data, train.steps)
        old = resume_from is not None and is_old_checkpoint(resume_from)
        checkpoint = checkpoint_of(self.kind, None if old else resume_from)
        seed = seed_of(config.seed, checkpoint)
        known = self._known(data, train, checkpoint)
        model = self._fresh(known, train.grid, seed).to(device)
        steps = steps_per_epoch(config, len(train))
        run = Run(model, config.method(), config.schedule(steps), seed, config.average, spared_by_decay(model))
        fingerprint = {
            **describe(self.network),
            "config": config.fingerprint(),
            "alignment": None if self.alignment is None else self.alignment.describe(),
            "data": data.mark(),
            "seed": seed,
        }
        go_on(run, checkpoint, fingerprint, allow)
        if resume_from is not None and checkpoint is None:
            resume(run, model, resume_from, steps, strict=config.strict_resume)
        like = torch.empty(0, dtype=DTYPES[config.precision], device=device)
        tensors = [FieldTensors.of(part, known.space, known.normaliser, like) for part in (train, valid)]
        task = OperatorTask(tensors[0], tensors[1], config, seed, self.alignment)
        return Ready(run, task, batches_of(config, len(train), seed), fingerprint, model, known)

    def _parts(self, data: OperatorData) -> tuple[Samples, Samples]:
        """Return what is used of the training and of the validation part."""
        config, train, valid = self.config, data.train, data.val
        if config.timesteps is not None:
            train, valid = train.first_steps(config.timesteps), valid.first_steps(min(config.timesteps, valid.steps))
        if config.n_realizations is not None:
            seen: dict[int, int] = {}
            kept = []
            for place, group in enumerate(train.group.tolist()):
                seen[group] = seen.get(group, 0) + 1
                if seen[group] <= config.n_realizations:
                    kept.append(place)
            train = train.take(kept)
        if config.n_samples is not None:
            if config.n_samples > len(train):
                raise DataError(f"n_samples={config.n_samples}, but the training part has {len(train)} samples")
            train = train.take(slice(0, config.n_samples))
        for name, part in (("train", train), ("val", valid)):
            if not len(part):
                raise DataError(f"{data.name}: the part `{name}` has no samples")
        return train, valid

    def _fresh(self, known: Known, grid: tuple[int, ...], seed: int) -> FieldModel:
        """Return the model with new weights, or with those to begin with: the same on every device."""
        with torch_seeded(torch.device("cpu"), seed, "weights"):
            network = self.network.build(known.shape)
        network.require_grid(grid)
        if self.start is not None:
            network.load_state_dict(self.start.network.state_dict())
        return new_model(network, self.alignment, seed).to(DTYPES[self.config.precision])

    def _known(self, data: OperatorData, train: Samples, checkpoint: Checkpoint | None) -> Known:
        """Return what is known of the data.

        With an operator to begin with, its own normaliser and embedding are kept, so before the first step it predicts
        what it predicted; and what a checkpoint knows holds for the rest of its run.
        """
        if checkpoint is not None:
            return known_from(checkpoint.extra["learned"])
        if self.start is None:
            return Known.of(data, train)
        before = self.start.known
        for what, then, now in (
            ("channels", before.channels, data.channels),
            ("parameters", before.space.names, data.space.names),
        ):
            if then != now:
                raise ConfigError(f"init_from was trained on the {what} {', '.join(then)}, not on {', '.join(now)}")
        return replace(Known.of(data, train), normaliser=before.normaliser, space=before.space)

    def _record(self, data: OperatorData, ready: Ready) -> dict[str, Any]:
        train = ready.task.train.samples
        return {
            "training_config": self.config.plain(),
            "seed": ready.fingerprint["seed"],
            "data": {"name": data.name, "system": data.system, "mark": ready.fingerprint["data"]},
            "alignment": ready.fingerprint["alignment"],
            "n_train_samples": len(train),
            "n_steps": train.steps,
            "steps_per_epoch": steps_per_epoch(self.config, len(train)),
            "grid": list(train.grid),
        }


def describe(network: FieldNetworkConfig) -> dict[str, Any]:
    """Return the recipe of an operator as plain values."""
    return {"network": plain(network)}


def describe_known(known: Known) -> dict[str, Any]:
    """Return what an operator knows of its data as plain values and tensors."""
    return {
        "normaliser": known.normaliser.to_state(),
        "space": to_dict(known.space),
        "channels": list(known.channels),
        "time_step": known.time_step,
        "low": torch.from_numpy(known.low),
        "high": torch.from_numpy(known.high),
    }


def known_from(learned: Mapping[str, Any]) -> Known:
    """Return what `describe_known` has described."""
    return Known(
        Normaliser.from_state(learned["normaliser"]),
        from_dict(ParameterSpace, learned["space"]),
        tuple(learned["channels"]),
        learned["time_step"],
        learned["low"].numpy(),
        learned["high"].numpy(),
    )
