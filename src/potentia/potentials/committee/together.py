"""The training of all members of a committee as one network with one more dimension, on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.data import Split
from potentia.ensemble import Member, MemberEnd
from potentia.errors import ConfigError
from potentia.potentials.batches import StructureBatch
from potentia.potentials.callbacks import training_callbacks
from potentia.potentials.committee.results import metrics_of
from potentia.potentials.committee.together_task import TogetherTask, history_of_member, joined_batches
from potentia.potentials.committee.training import MemberTraining
from potentia.potentials.datasets.labelled import LabelledStructures
from potentia.potentials.fitted import FittedPotential
from potentia.potentials.history_export import export_history
from potentia.potentials.networks import MemberNetworks
from potentia.potentials.outcome import outcome
from potentia.potentials.training import Order, Training
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_data import training_data
from potentia.potentials.training_input import TrainingInput
from potentia.train import GradientMethod, Run, distributed, fit, load_checkpoint, newest_checkpoint
from potentia.train.prepared import Prepared

__all__ = ["TogetherTraining", "require_fit"]


def require_fit(config: TorchTrainingConfig) -> None:
    """Raise `ConfigError` where settings do not let members be trained together."""
    method = config.method
    clips = isinstance(method, GradientMethod) and method.clip_norm is not None
    refused = {
        f"method={type(method).__name__}": not isinstance(method, GradientMethod),
        "clip_norm": clips,
        "use_scheduler": config.use_scheduler,
        "early_stopping": config.early_stopping is not None,
        "sampling_policy='error_weighted'": config.sampling_policy == "error_weighted",
        "force_scale_unbiased": config.force_scale_unbiased,
        "save_best": config.save_best and config.checkpoint_dir is not None,
    }
    found = [name for name, there in refused.items() if there]
    if found:
        raise ConfigError(
            f"batched=True takes the same steps for all members, so {', '.join(found)} cannot go by each of them: "
            "change that (Adam, AdamW or SGD with Cosine or StepDecay are fine), or leave batched"
        )


@dataclass(frozen=True)
class ReadyTogether(Prepared[StructureBatch]):
    """The training of several members before its first batch, or where a checkpoint has left it."""

    task: TogetherTask
    given: TrainingInput
    trainings: Sequence[Training]
    """Of each member."""
    splits: Sequence[Split]
    """What each member sees."""


@dataclass(frozen=True)
class TogetherTraining:
    """What the training of all members together needs."""

    each: MemberTraining
    """What it would be for each."""
    directory: Path
    """Of the committee."""
    identity: Mapping[str, Any]
    """What decides the result, but for the seeds of the members."""

    def __call__(self, members: Sequence[Member]) -> list[MemberEnd]:
        """Train members, from the newest checkpoint if there is one, and write the files of each."""
        ready = self.prepare(members)
        run, config, folder = ready.run, ready.trainings[0].config, self._folder
        config = replace(config, checkpoint_dir=None if folder is None else str(folder))
        extra, with_test = {"kind": "committee"}, len(ready.splits[0].test) > 0
        callbacks = training_callbacks(config, config.iterations, ready.fingerprint, extra, None, with_test=with_test)
        fit(run, ready.task, ready.batches, config.iterations, callbacks)
        run.take_average()
        run.model.eval()
        return [self._ended(k, member, ready) for k, member in enumerate(members)]

    def prepare(self, members: Sequence[Member]) -> ReadyTogether:
        """Set up networks, batches and run of members; go on from the newest checkpoint if there is one."""
        require_fit(self.each.config)
        if distributed.active():
            raise ConfigError("batched=True trains in one process: start it without torchrun")
        trainings = [self.each.training(member) for member in members]
        parts = [self.each.part_of(member) for member in members]
        first, config = trainings[0], trainings[0].config
        shared = self.each.shared
        given = shared.for_member(first.descriptor, shared.split, None)
        contents = given.contents(config)
        data = training_data(given, shared.split, config, dict(shared.atomic_energies), contents)
        if not isinstance(data, LabelledStructures):
            raise ConfigError("batched=True needs all features in memory: raise memory_limit, or leave batched")
        ordered = [Split(contents.ordered(s.train), contents.ordered(s.test)) for s, _ in parts]
        models = [
            t.model(None, m.seed, t.normalisation(None, data, s, shared.normalisation.seen))
            for t, m, s in zip(trainings, members, ordered, strict=True)
        ]
        run = Run(MemberNetworks(models), config.method, first.schedule(), seed=members[0].seed, average=config.average)
        fingerprint = {**self.identity, "seeds": [member.seed for member in members]}
        newest = None if self._folder is None else newest_checkpoint(self._folder)
        if newest is not None:
            load_checkpoint(newest).resume(run, fingerprint)
        valid = torch.from_numpy(ordered[0].test)
        task = TogetherTask(data, valid, first.loss_settings, _stacked([counts for _, counts in parts]))
        orders = _even([
            training.order(given, data, split, run.method.samples_per_batch(len(split.train)), member.seed)
            for training, member, split in zip(trainings, members, ordered, strict=True)
        ])  # fmt: skip
        batches = joined_batches([
            training.batches_by(order, data, split, member.seed)
            for training, order, member, split in zip(trainings, orders, members, ordered, strict=True)
        ])  # fmt: skip
        return ReadyTogether(run, task, batches, fingerprint, given, trainings, ordered)

    @property
    def _folder(self) -> Path | None:
        """Where the checkpoints of all members together are; None for none."""
        return None if self.each.config.checkpoint_dir is None else self.directory / "checkpoints"

    def _ended(self, k: int, member: Member, ready: ReadyTogether) -> MemberEnd:
        """Write the files of one member."""
        run, task, training = ready.run, ready.task, ready.trainings[k]
        assert isinstance(run.model, MemberNetworks)
        own = Run(run.model.member(k), run.method, seed=member.seed)
        own.history, own.epoch = history_of_member(run.history, k), run.epoch
        own.interrupted = run.interrupted
        losses = [task.alone.monitor(row) for row in own.history]
        seeds = {"seed": member.seed, "split_seed": member.split_seed}
        out = outcome(own, task.alone, ready.splits[k], ready.given, training.config, seeds)
        if not out.resumable:
            potential = self.each.blank(member)
            record = self.each.record_of({"training_config": training.config.plain(), **seeds})
            free = dict(self.each.shared.atomic_energies)
            potential.fitted_ = FittedPotential(run.model.member(k), free, record, self.each.shared.normalisation.seen)
            potential.save(member.model_path)
        export_history(out, member.history_json_path, member.history_csv_path)
        best = min((loss for loss in losses if not np.isnan(loss)), default=np.nan)
        return MemberEnd(metrics_of(out, float(best)), interrupted=out.ended if out.resumable else "")


def _stacked(counts: Sequence[NDArray[np.int64] | None]) -> torch.Tensor | None:
    """How often each structure counts for each member; None for once.  [members, structures]"""
    known = [count for count in counts if count is not None]
    return torch.from_numpy(np.stack(known).astype(np.float64)) if known else None


def _even(orders: Sequence[Order]) -> list[Order]:
    """Give all members as many batches: where one has fewer structures, its batches are a little smaller."""
    n = max(len(order(0)) for order in orders)
    return [order if len(order(0)) == n else _cut(order, n) for order in orders]


def _cut(order: Order, n: int) -> Order:
    return lambda epoch: np.array_split(np.concatenate(order(epoch)), n)
