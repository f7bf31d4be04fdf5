"""One training of a tokenizer: from features and settings to weights, codes, history and record."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from potentia.config import to_dict
from potentia.data import shuffled
from potentia.data.split import holdout, holdout_groups
from potentia.errors import DataError
from potentia.estimator import require_checkpoint_of
from potentia.operators.features import Features
from potentia.operators.tokenizer.categories import by_clusters, by_family
from potentia.operators.tokenizer.config import TokenizerConfig
from potentia.operators.tokenizer.fitted import Fitted
from potentia.operators.tokenizer.network import TokenizerNetwork
from potentia.operators.tokenizer.principal import PrincipalCode
from potentia.operators.tokenizer.results import TrainOut
from potentia.operators.tokenizer.scaling import FeatureScaling
from potentia.operators.tokenizer.task import FollowingCodes, TokenizerTask
from potentia.operators.tokenizer.training_config import TokenizerTrainingConfig
from potentia.seeding import fresh_seed, torch_seeded
from potentia.train import BestWeights, Callback, Checkpoint, Run, fit, load_checkpoint
from potentia.train.device import usable_device
from potentia.train.history import columns_of
from potentia.train.loop_settings import loop_callbacks

__all__ = ["Training"]


@dataclass(frozen=True)
class Prepared:
    """A training that stands before its first batch, or where a checkpoint has left it."""

    run: Run
    task: TokenizerTask
    fitted: Fitted
    fingerprint: dict[str, Any]
    """What a checkpoint belongs to."""


@dataclass(frozen=True)
class Training:
    """Settings of one training; `run` carries it out."""

    kind: str
    """Of the tokenizer's files."""
    tokenizer: TokenizerConfig
    config: TokenizerTrainingConfig

    def run(
        self,
        features: Features,
        val: Features | None,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
        callbacks: Sequence[Callback] = (),
    ) -> tuple[Fitted, TrainOut]:
        """Train, from new weights or from where a checkpoint stands."""
        ready, config = self.prepare(features, val, resume_from, allow), self.config
        run, fitted, best = ready.run, ready.fitted, BestWeights()
        extra = {"kind": self.kind, "recipe": to_dict(self.tokenizer), "learned": fitted.state()}
        shown = {"train": "train_loss", "val": "val_loss"}
        n = len(ready.task.train)
        going_along = [
            FollowingCodes(ready.task, self.tokenizer.revive_every),
            *([best] if config.save_best else []),
            *callbacks,
            *loop_callbacks(config, config.epochs, ready.fingerprint, extra, shown),
        ]
        fit(run, ready.task, shuffled(n, min(config.batch_size, n), run.seed), config.epochs, going_along)
        kept = run.best.epoch if config.save_best and best.take(run) else run.epoch
        out = TrainOut(
            run.history,
            seed=run.seed,
            kept_epoch=kept,
            n_train_samples=n,
            ended=run.stopped or run.interrupted,
            resumable=bool(run.interrupted) and not run.stopped and config.checkpoint_dir is not None,
        )
        duration = sum(row["epoch_time"] for row in run.history)
        record = fitted.record  # the checkpoints hold it as it was before the first epoch
        record |= {"epochs": run.epoch, "kept_epoch": kept, "duration": duration}
        record |= {"training_history": columns_of(run.history)}
        return fitted.frozen(), out

    def prepare(
        self,
        features: Features,
        val: Features | None,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
    ) -> Prepared:
        """Split and scale the features, find the categories, and set up network, codes and run."""
        config, device = self.config, usable_device(self.config.device)
        checkpoint = None if resume_from is None else load_checkpoint(resume_from)
        if checkpoint is not None:
            require_checkpoint_of(self.kind, checkpoint.extra, checkpoint.path)
        seed = self._seed(checkpoint)
        train, held_out = self._parts(features, val, seed)
        scaling = FeatureScaling.fit(train)
        fitted_part, val_part = (scaling(part).detach().float().to(device) for part in (train, held_out))
        categories = self._categories(fitted_part, scaling)
        network = self._fresh(categories, fitted_part, seed)
        record = {
            "training_config": config.plain(),
            "seed": seed,
            "data": {"mark": _mark(train, held_out), "features": len(train.columns), "kept": len(scaling.kept)},
            "n_train_samples": len(train),
        }
        fitted = Fitted(network, scaling, categories, _principal(fitted_part, network, len(categories), seed), record)
        fingerprint = {
            "recipe": to_dict(self.tokenizer),
            "config": config.fingerprint(),
            "data": record["data"],
            "seed": seed,
        }
        run = Run(network, config.method(), config.scheduler, seed)
        if checkpoint is not None:
            checkpoint.resume(run, fingerprint, allow)
            run.seed = seed
        return Prepared(run, TokenizerTask(fitted_part, val_part, self.tokenizer), fitted, fingerprint)

    def _parts(self, features: Features, val: Features | None, seed: int) -> tuple[Features, Features]:
        """Return what is fitted and what the choice of the weights goes by; sets of parameters stay on one side."""
        if val is not None:
            return features, val
        percent = self.config.val_percent
        groups = features.group
        split = (
            holdout(len(features), percent, seed) if groups is None else holdout_groups(groups.tolist(), percent, seed)
        )
        if len(split.test) == 0:
            raise DataError(
                f"{percent:g} % of {len(features)} samples are none: give features of a validation part as val, or a "
                "larger val_percent"
            )
        return features.take(split.train), features.take(split.test)

    def _categories(self, train: Tensor, scaling: FeatureScaling) -> dict[str, tuple[int, ...]]:
        one = self.tokenizer
        if one.categories == "family":
            return by_family([column.family for column in scaling.kept_columns])
        values = train.double().cpu().numpy()
        return by_clusters(values, one.least_clusters, one.most_clusters, one.least_members)

    def _fresh(self, categories: dict[str, tuple[int, ...]], train: Tensor, seed: int) -> TokenizerNetwork:
        """Return the network with new weights, and codes where its latents are."""
        with torch_seeded(torch.device("cpu"), seed, "weights"):
            network = TokenizerNetwork(self.tokenizer, categories)
        network.start(train.cpu(), seed)
        return network.to(train.device)

    def _seed(self, checkpoint: Checkpoint | None) -> int:
        """The seed of this training: the one given, else that of the checkpoint, else a new one."""
        if self.config.seed is not None:
            return self.config.seed
        return fresh_seed() if checkpoint is None else int(checkpoint.run["seed"])


def _principal(train: Tensor, network: TokenizerNetwork, categories: int, seed: int) -> PrincipalCode:
    """Return what the network is measured against: as many components and bits as it has."""
    quantiser = network.quantiser
    bits = categories * quantiser.levels * math.log2(quantiser.size)
    return PrincipalCode.fit(train, categories * quantiser.latent_dim, bits, seed)


def _mark(*parts: Features) -> str:
    """Return a hash of names and values."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr((part.names, part.horizon, part.channels, part.version, tuple(part.values.shape))).encode())
        digest.update(part.values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
