"""A tokenizer's part in training: loss of a batch, codes that follow it, exact errors, a row of the history."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from potentia.metrics import ErrorSum
from potentia.operators.tokenizer.config import TokenizerConfig
from potentia.operators.tokenizer.network import TokenizerNetwork
from potentia.operators.tokenizer.quantiser import Coded
from potentia.operators.tokenizer.regularisers import orthogonality, topography
from potentia.train import BatchLoss, Callback, Run

__all__ = ["FollowingCodes", "TokenizerTask"]


class TokenizerTask:
    """Trains a `TokenizerNetwork`; a batch is places of samples.

    Args:
        train: Normalised features that are fitted.  [samples, features]
        val: Normalised features that the choice of the weights goes by.  [samples, features]
        config: Settings.
    """

    def __init__(self, train: Tensor, val: Tensor, config: TokenizerConfig) -> None:
        self.train = train
        self.val = val
        self.config = config
        self.last: Coded | None = None
        """Codes of the last batch whose loss was asked for."""

    def loss(self, model: nn.Module, batch: NDArray[np.int64]) -> BatchLoss:
        """Return the error of the reconstruction with what the settings weigh beside it."""
        config = self.config
        features = self.train[torch.from_numpy(batch).to(self.train.device)]
        passed = _network(model)(features)
        residual = passed.reconstruction - features
        value = residual.square().mean()
        if config.quantizer == "vq":
            value = value + config.commitment * passed.coded.commitment
        if config.orthogonality:
            value = value + config.orthogonality * orthogonality(passed.latents)
        if config.topography:
            value = value + config.topography * topography(features, passed.coded.straight)
        self.last = passed.coded
        return BatchLoss(value, {"loss": ErrorSum.of(residual), "commitment": _commitment(passed.coded)})

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the exact errors on the validation part, and how many of the codes it uses."""
        network = _network(model)
        passed = network(self.val)
        tokens = passed.coded.tokens.flatten(0, 1)  # [entries, samples]
        used = sum(len(entry.unique()) for entry in tokens)
        return {
            "loss": ErrorSum.of(passed.reconstruction - self.val),
            "commitment": _commitment(passed.coded),
            "used": ErrorSum(float(used), float(used), len(tokens) * network.quantiser.size),
        }

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return the mean square errors of features and of latents, and the part of the codes that is used."""
        row = {}
        for part, sums in (("train", train), ("val", valid or {})):
            for name in ("loss", "commitment"):
                row[f"{part}_{name}"] = sums.get(name, ErrorSum.zero).rmse ** 2
        row["val_used"] = (valid or {}).get("used", ErrorSum.zero).mae
        return row

    def monitor(self, row: Mapping[str, float]) -> float:
        """Return the mean square error of the features of the validation part."""
        return row["val_loss"]


class FollowingCodes(Callback):
    """Lets the codes learn from each batch that has changed the weights, and revives dead ones now and then.

    All that is learned is in buffers of the model, and what is drawn is a function of seed and place: a resumed run
    equals the unbroken one.
    """

    def __init__(self, task: TokenizerTask, every: int) -> None:
        self.task = task
        self.every = every

    def on_batch(self, run: Run) -> None:
        """Learn from the batch."""
        coded = self.task.last
        if run.bad_in_a_row or coded is None:
            return
        quantiser = _network(run.model).quantiser
        quantiser.follow(coded)
        if self.every and (run.epoch * run.batches + run.batch) % self.every == 0:
            quantiser.revive(coded, run.seed, run.epoch, run.batch)


def _commitment(coded: Coded) -> ErrorSum:
    return ErrorSum.of(coded.inputs - coded.codes)


def _network(model: nn.Module) -> TokenizerNetwork:
    assert isinstance(model, TokenizerNetwork)
    return model
