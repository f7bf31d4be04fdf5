"""One training of a tokenizer: from features and settings to weights, codes, history and record."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.config import to_dict
from potentia.data import shuffled
from potentia.data.split import holdout, holdout_groups
from potentia.errors import DataError
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
from potentia.seeding import torch_seeded
from potentia.train import Callback, Forecast, Run, seed_of
from potentia.train.checkpoint import checkpoint_of, go_on
from potentia.train.device import usable_device
from potentia.train.prepared import Prepared

__all__ = ["Training"]


@dataclass(frozen=True)
class Ready(Prepared[NDArray[np.int64]]):
    """A training of a tokenizer before its first batch."""

    task: TokenizerTask
    fitted: Fitted


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
        extra = {"kind": self.kind, "recipe": to_dict(self.tokenizer), "learned": ready.fitted.state()}
        shown = {"train": "train_loss", "val": "val_loss"}
        going_along = [FollowingCodes(ready.task, self.tokenizer.revive_every), *callbacks]
        ended = ready.carry_out(config, config.epochs, extra, shown, going_along)
        ready.fitted.record.update(ended.record)  # the checkpoints hold it as it was before the first epoch
        return ready.fitted.frozen(), TrainOut(**ended.told, n_train_samples=len(ready.task.train))

    def forecast(self, features: Features, val: Features | None) -> Forecast:
        """Measure the first batches of the training, and give back how long it would take."""
        return self.prepare(features, val, None, ()).forecast(self.config.epochs)

    def prepare(
        self,
        features: Features,
        val: Features | None,
        resume_from: str | os.PathLike[str] | None,
        allow: Collection[str],
    ) -> Ready:
        """Split and scale the features, find the categories, and set up network, codes and run."""
        config, device = self.config, usable_device(self.config.device)
        checkpoint = checkpoint_of(self.kind, resume_from)
        seed = seed_of(config.seed, checkpoint)
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
        go_on(run, checkpoint, fingerprint, allow)
        task = TokenizerTask(fitted_part, val_part, self.tokenizer)
        batches = shuffled(len(train), min(config.batch_size, len(train)), seed)
        return Ready(run, task, batches, fingerprint, fitted)

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
