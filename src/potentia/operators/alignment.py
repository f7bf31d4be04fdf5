"""Terms of the loss that bring an operator near to a tokenizer: features that have codes, and features of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from potentia.checks import choice, integer, number
from potentia.errors import ConfigError, warn_user
from potentia.operators.alignment_terms import AlignmentTerms, Rolled
from potentia.operators.dataset import OperatorData
from potentia.operators.features import feature_set
from potentia.operators.networks.base import FieldNetwork
from potentia.operators.tokenizer import Tokenizer

__all__ = ["Alignment", "AlignmentTokenizer", "LatentProjector", "commitment", "projected_latents", "sampled_steps"]


class AlignmentTokenizer(Tokenizer, Protocol):
    """A trained tokenizer that can say which features it takes and which one it is; a `BehaviorTokenizer` does."""

    @property
    def families(self) -> tuple[str, ...]:
        """Families of features that it takes."""

    def mark(self) -> str:
        """Return a hash of all that it has learned."""


class LatentProjector(nn.Module):
    """From the features of a network at its narrowest place, averaged over space, to all latents of a tokenizer.

    Args:
        width: Channels of those features.
        hidden: Neurons between.
        latents: Numbers of all latents.
    """

    def __init__(self, width: int, hidden: int, latents: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.norm = nn.LayerNorm(hidden)  # works for one sample too
        self.outer = nn.Linear(hidden, latents)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return latents [samples, latents] of features [samples, width]."""
        found: Tensor = self.outer(functional.gelu(self.norm(self.inner(pooled))))
        return found

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> Self:
        """Return the projector with these weights, such as `NeuralOperator.projector_state_`."""
        inner, outer = weights["inner.weight"], weights["outer.weight"]
        with torch.device("meta"):
            empty = cls(inner.shape[1], inner.shape[0], outer.shape[0])
        found = empty.to_empty(device=inner.device).to(inner.dtype)
        found.load_state_dict(dict(weights))
        return found


@dataclass(frozen=True, eq=False)
class Alignment(AlignmentTerms):
    """What `NeuralOperator.train` takes as ``alignment``. The tokenizer is frozen: nothing in it is changed.

    Raises:
        ConfigError: a value cannot be; the message names the field.
    """

    tokenizer: AlignmentTokenizer
    """A trained one."""
    _: KW_ONLY
    lambda_commit: float = 0.5
    """Weight of the square distance of latents of predicted trajectories to their codes. 0.1 is weak, 0.5 what to begin
    with, 1.0 for an operator that drifts away from the codes; from 2.0 on, it may cost accuracy."""
    lambda_latent: float = 0.0
    """Weight of the square distance between projected features of the operator and the latents of the tokenizer. 0.1 is
    what to begin with, 0.5 strong, 1.0 very strong; from 2.0 on, it may cost accuracy."""
    latent_sample_steps: int = 3
    """Steps of a roll-out whose features are averaged for it, evenly spaced; 1 is the middle one, -1 are all."""
    target: Literal["truth", "prediction"] = "truth"
    """Whose latents these are: of the true trajectory, or of the predicted one, which the operator can move."""
    hidden: int = 512
    """Neurons of the projector."""

    def __post_init__(self) -> None:
        for name in ("lambda_commit", "lambda_latent"):
            number(name, self.__dict__[name], low=0)
        if integer("latent_sample_steps", self.latent_sample_steps, low=-1) == 0:
            raise ConfigError("latent_sample_steps must be at least 1, or -1 for all steps, got 0")
        choice("target", self.target, ("truth", "prediction"))
        integer("hidden", self.hidden, low=1)

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each term in the loss."""
        return {"commit": self.lambda_commit, "latent": self.lambda_latent}

    def projector(self, network: FieldNetwork) -> LatentProjector | None:
        """Return a new projector for a network; None where no term needs one."""
        if self.lambda_latent == 0:
            return None
        numbers = self.tokenizer.latent_dim * len(self.tokenizer.codebook_sizes)
        return LatentProjector(network.bottleneck_channels, self.hidden, numbers)

    def terms(self, projector: nn.Module | None, rolled: Rolled) -> dict[str, Tensor]:
        """Return the terms whose weight is not 0; NaN where a prediction has left the numbers."""
        found: dict[str, Tensor] = {}
        wanted = [name for name, weight in self.weights.items() if weight > 0]
        of_prediction = self.lambda_commit > 0 or self.target == "prediction"
        latents = self._latents(rolled, rolled.predicted) if of_prediction and wanted else []
        if latents is None or not rolled.predicted.isfinite().all():
            return dict.fromkeys(wanted, rolled.predicted.new_tensor(math.nan))
        if "commit" in wanted:
            found["commit"] = commitment(self.tokenizer, latents).to(rolled.predicted)
        if projector is not None and "latent" in wanted:
            target = latents if self.target == "prediction" else self._true_latents(rolled)
            places = sampled_steps(self.latent_sample_steps, rolled.predicted.shape[1] - 1)
            projected = projected_latents(rolled.network, projector, rolled.predicted[:, places], rolled.parameters)
            aimed_at = torch.cat(target, 1).detach().to(projected)  # [samples, latents]
            found["latent"] = functional.mse_loss(projected.mean(1), aimed_at)
        return found

    def describe(self) -> dict[str, Any]:
        """Return its settings and the mark of the tokenizer."""
        settings = {name: value for name, value in self.__dict__.items() if name != "tokenizer"}
        return {**settings, "tokenizer": self.tokenizer.mark()}

    def require(self, data: OperatorData, steps: int) -> None:
        """Let the tokenizer look at the features of a true trajectory as it will look at predicted ones.

        Raises:
            ConfigError: the steps are not those that the tokenizer was trained on.
            DataError: version, names or channels of the features are others.

        Warns:
            PotentiaWarning: some of the features pass no gradient on.
        """
        horizon = self.tokenizer.horizon
        for name, found in (("train", steps), ("val", min(steps, data.val.steps))):
            if found != horizon:
                raise ConfigError(
                    f"the tokenizer was trained on trajectories of {horizon} steps, `{name}` of {data.name} has "
                    f"{found}: train with timesteps={horizon}, or a tokenizer on features of {found} steps"
                )
        one = data.train.take(slice(0, 1)).first_steps(steps)
        features = feature_set(one, self.tokenizer.families, data.channels)
        self.tokenizer.normalize(features)
        looked_at = set(self.tokenizer.feature_names)
        stiff = [one.name for one in features.columns if not one.differentiable and one.name in looked_at]
        if stiff and self.lambda_commit > 0:
            text = (
                f"{len(stiff)} of {len(looked_at)} features pass no gradient on, so L_commit cannot change them: "
                f"{', '.join(stiff)}"
            )
            warn_user(text)

    def _latents(self, rolled: Rolled, fields: Tensor) -> list[Tensor] | None:
        """Return the latents of normalised fields, None where they have no finite features."""
        if not fields.isfinite().all():
            return None
        features = feature_set(rolled.normaliser.unscaled(fields), self.tokenizer.families)
        if not features.values.isfinite().all():
            return None
        return self.tokenizer.encode(self.tokenizer.normalize(features))

    @torch.no_grad()
    def _true_latents(self, rolled: Rolled) -> list[Tensor]:
        features = feature_set(rolled.normaliser.unscaled(rolled.truth), self.tokenizer.families)
        return self.tokenizer.encode(self.tokenizer.normalize(features))


def commitment(tokenizer: Tokenizer, latents: list[Tensor]) -> Tensor:
    """Return the mean square distance of latents [samples, latent_dim] to their codes; these are held fast."""
    codes = tokenizer.quantize(latents).latents
    return torch.stack([functional.mse_loss(z, q.detach()) for z, q in zip(latents, codes, strict=True)]).mean()


def sampled_steps(count: int, steps: int) -> list[int]:
    """Return evenly spaced steps of 1 … ``steps``, each once; -1 asks for all of them.

    >>> sampled_steps(3, 9), sampled_steps(1, 9), sampled_steps(-1, 3)
    ([1, 5, 9], [5], [1, 2, 3])
    """
    if count == -1 or count >= steps:
        return list(range(1, steps + 1))
    if count == 1:
        return [(steps + 1) // 2]
    gaps = count - 1
    return [1 + (k * (steps - 1) + gaps // 2) // gaps for k in range(count)]


def projected_latents(network: FieldNetwork, projector: nn.Module, fields: Tensor, parameters: Tensor | None) -> Tensor:
    """Return what the projector makes of the features of a network at its narrowest place.

    Args:
        network: Whose features.
        projector: To the latents of a tokenizer.
        fields: Normalised.  [samples, steps, channels, *grid]
        parameters: Embedded [samples, parameters], None where there are none.

    Returns:
        [samples, steps, latents]
    """
    samples, steps = fields.shape[:2]
    told = None if parameters is None else parameters.repeat_interleave(steps, 0)
    features = network.intermediate_features(fields.flatten(0, 1), told)["bottleneck"]
    found: Tensor = projector(features.flatten(2).mean(2))
    return found.view(samples, steps, -1)
