"""From behaviour to tokens: trained on features of trajectories, asked for tokens of any, saved and loaded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.config import from_dict, to_dict
from potentia.errors import ConfigError, DataError
from potentia.estimator import NetworkEstimator
from potentia.operators.dataset import Samples
from potentia.operators.features import Features, feature_set
from potentia.operators.tokenizer.config import TokenizerConfig
from potentia.operators.tokenizer.fitted import Fitted
from potentia.operators.tokenizer.health import TokenizerHealth, health
from potentia.operators.tokenizer.protocol import Quantised
from potentia.operators.tokenizer.quantiser import Coded
from potentia.operators.tokenizer.results import TrainOut
from potentia.operators.tokenizer.training import Training
from potentia.operators.tokenizer.training_config import TokenizerTrainingConfig
from potentia.storage import flatten
from potentia.train import Callback, Forecast

__all__ = ["BehaviorTokenizer"]


class BehaviorTokenizer(NetworkEstimator[Fitted]):
    """A few whole numbers for the behaviour of a trajectory; see `potentia.operators.tokenizer.protocol.Tokenizer`.

    Its weights are frozen once it is trained, and gradients go through it to the features.

    Args:
        config: Settings; the defaults of `TokenizerConfig` if None.

    Example:
        >>> noise = torch.randn(24, 5, 1, 16, generator=torch.Generator().manual_seed(0))
        >>> tokenizer = BehaviorTokenizer(TokenizerConfig(codes=4, levels=2))
        >>> out = tokenizer.train(feature_set(noise), TokenizerTrainingConfig(epochs=2, seed=1))
        >>> tokenizer.tokens(noise).shape, len(tokenizer.codebook_sizes)
        ((24, 6), 6)
    """

    kind: ClassVar[str] = "behavior_tokenizer"

    def __init__(self, config: TokenizerConfig | None = None) -> None:
        self.config = TokenizerConfig() if config is None else config
        if not isinstance(self.config, TokenizerConfig):
            raise ConfigError(f"config of a BehaviorTokenizer must be TokenizerConfig(...), got {config!r}")
        self.fitted_ = None

    def train(
        self,
        features: Features,
        config: TokenizerTrainingConfig | None = None,
        resume_from: str | os.PathLike[str] | None = None,
        *,
        val: Features | None = None,
        allow_changes: Collection[str] = (),
        callbacks: Sequence[Callback] = (),
    ) -> TrainOut:
        """Train from new weights; statistics, categories and codes are those of the training part.

        Args:
            features: Of true trajectories, without the family ``"architecture"``.
            config: Settings; the defaults of `TokenizerTrainingConfig` if None.
            resume_from: A checkpoint to go on from, to ``config.epochs`` in all. The result equals that of an unbroken
                run bit for bit.
            val: Features that the choice of the weights goes by; None holds some of ``features`` out.
            allow_changes: Names of settings that may differ from those of the checkpoint.
            callbacks: Go along with the training, before those of the settings.

        Raises:
            DataError: features cannot be used: the message names sample and feature.
            ConfigError: settings do not fit the checkpoint.
            TrainingError: too many batches in a row were not finite.
        """
        settings = TokenizerTrainingConfig() if config is None else config
        training = Training(self.kind, self.config, settings)
        self.fitted_, out = training.run(features, val, resume_from, allow_changes, callbacks)
        return out

    def forecast(
        self, features: Features, config: TokenizerTrainingConfig | None = None, *, val: Features | None = None
    ) -> Forecast:
        """Say how long the same call of `train` would take: its first batches are measured, nothing is changed."""
        settings = TokenizerTrainingConfig() if config is None else config
        return Training(self.kind, self.config, settings).forecast(features, val)

    @property
    def latent_dim(self) -> int:
        """Numbers of each latent."""
        return self.fitted().network.quantiser.latent_dim

    @property
    def categories(self) -> dict[str, tuple[int, ...]]:
        """Columns of normalised features that each category is made of."""
        return dict(self.fitted().categories)

    @property
    def codebook_sizes(self) -> list[int]:
        """Codes of each entry: level 0 of category 0, its level 1, …"""
        fitted = self.fitted()
        return [fitted.network.quantiser.size] * (len(fitted.categories) * fitted.network.quantiser.levels)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each column of normalised features: those that vary in the training part."""
        return self.fitted().scaling.names

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of features that do not vary in the training part, and are not looked at."""
        return self.fitted().scaling.left_out

    @property
    def families(self) -> tuple[str, ...]:
        """Families of features that it takes."""
        return self.fitted().scaling.families

    @property
    def feature_version(self) -> str:
        """Version of the formulas that it was trained on."""
        return self.fitted().scaling.version

    @property
    def horizon(self) -> int:
        """Steps of the trajectories that it was trained on."""
        return self.fitted().scaling.horizon

    def normalize(self, features: Features) -> Tensor:
        """Return the columns `feature_names` with mean 0 and deviation 1 over the training part.  [samples, columns]

        Raises:
            NotFittedError: it has learned nothing yet.
            DataError: version, names, channels or horizon are others than those that it was trained on.
        """
        return self.fitted().scaling(features)

    def encode(self, normalized: Tensor) -> list[Tensor]:
        """Return what each level has to quantise, with its gradient.  [samples, latent_dim] each

        Args:
            normalized: From `normalize`.  [samples, columns]
        """
        network = self.fitted().network
        names = self.feature_names
        if normalized.ndim != 2 or normalized.shape[1] != len(names):
            raise DataError(
                f"normalised features must have shape [samples, {len(names)}], got {tuple(normalized.shape)}: they "
                "come from `normalize`"
            )
        inputs = network.quantiser(network.latents(normalized.to(next(network.parameters())))).inputs
        return list(inputs.flatten(0, 1).unbind(0))

    def quantize(self, latents: list[Tensor]) -> Quantised:
        """Return the codes of latents as `encode` gives them.

        The gradient of a category goes through the codes of its level 0, so that `decode` passes it on once.
        """
        coded = self._coded(latents)
        first = (coded.inputs + (coded.codes - coded.inputs).detach())[:, :1]
        through = torch.cat((first, coded.codes[:, 1:]), 1)
        info = {"commitment": coded.commitment, "distances": coded.distances.flatten(0, 1).T}
        return Quantised(list(through.flatten(0, 1).unbind(0)), coded.tokens.flatten(0, 1).T, info)

    def decode(self, latents: list[Tensor]) -> Tensor:
        """Return normalised features of codes as in `Quantised.latents`.  [samples, columns]"""
        network = self.fitted().network
        return network.rebuilt(self._entries(latents).sum(1))

    def tokens(
        self, fields: Samples | Tensor | NDArray[np.floating[Any]], channels: Sequence[str] = ()
    ) -> NDArray[np.int64]:
        """Return the tokens of trajectories.  [samples, entries]

        Args:
            fields: Samples, or fields [samples, steps + 1, channels, *grid] with `horizon` steps.
            channels: Names of the channels, to be compared with those of the training.
        """
        return self.tokens_of(feature_set(fields, self.families, channels))

    @torch.no_grad()
    def tokens_of(self, features: Features) -> NDArray[np.int64]:
        """Return the tokens of features.  [samples, entries]"""
        found: NDArray[np.int64] = self.quantize(self.encode(self.normalize(features))).tokens.cpu().numpy()
        return found

    def health(self, features: Features) -> TokenizerHealth:
        """Return how well features are rebuilt and how much of the codes they use; give it a held-out part."""
        return health(self.fitted(), features)

    def mark(self) -> str:
        """Return a hash of its weights, codes and scaling: what a training that is aligned with it belongs to."""
        fitted = self.fitted()
        skeleton, tensors = flatten({"model": dict(fitted.network.state_dict()), "scaling": fitted.scaling.to_state()})
        digest = hashlib.sha256(json.dumps(skeleton, sort_keys=True).encode())
        for name in sorted(tensors):
            digest.update(name.encode() + tensors[name].cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def recipe(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return to_dict(self.config)

    def learned(self) -> dict[str, Any]:
        """Return weights, codes, scaling, categories, and the record of the training."""
        fitted = self.fitted()
        return {"model": dict(fitted.network.state_dict()), **fitted.state()}

    @classmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained tokenizer, on the CPU, from `recipe` and `learned`."""
        tokenizer = cls(from_dict(TokenizerConfig, recipe))
        tokenizer.fitted_ = Fitted.load(tokenizer.config, learned)
        return tokenizer

    def _coded(self, latents: list[Tensor]) -> Coded:
        return self.fitted().network.quantiser.nearest(self._entries(latents))

    def _entries(self, latents: list[Tensor]) -> Tensor:
        """Return latents [categories, levels, samples, latent] of a list with one for each entry."""
        fitted = self.fitted()
        entries, width = len(self.codebook_sizes), self.latent_dim
        if len(latents) != entries or any(one.ndim != 2 or one.shape[1] != width for one in latents):
            shapes = [tuple(one.shape) for one in latents]
            raise DataError(f"there must be {entries} latents of shape [samples, {width}], got {shapes}")
        joined = torch.stack(list(latents)).to(next(fitted.network.parameters()))
        return joined.view(len(fitted.categories), -1, *joined.shape[1:])
