"""What a tokenizer has learned, there and back as plain values and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch

from potentia.operators.tokenizer.config import TokenizerConfig
from potentia.operators.tokenizer.network import TokenizerNetwork
from potentia.operators.tokenizer.principal import PrincipalCode
from potentia.operators.tokenizer.scaling import FeatureScaling
from potentia.seeding import torch_seeded

__all__ = ["Fitted"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained tokenizer; no gradient reaches its weights, but one goes through it to the features."""

    network: TokenizerNetwork
    scaling: FeatureScaling
    categories: dict[str, tuple[int, ...]]
    """Columns of normalised features of each."""
    principal: PrincipalCode
    """As many principal components as latents have numbers, rounded with as many bits as tokens have."""
    record: dict[str, Any]
    """How it was trained."""

    def frozen(self) -> Self:
        """Return itself, in evaluation mode and without gradients of its weights."""
        self.network.requires_grad_(False).eval()
        return self

    def state(self) -> dict[str, Any]:
        """Return all but the weights; what `load` takes together with them."""
        return {
            "scaling": self.scaling.to_state(),
            "categories": {name: list(columns) for name, columns in self.categories.items()},
            "principal": self.principal.to_state(),
            "record": self.record,
        }

    @classmethod
    def load(cls, config: TokenizerConfig, learned: Mapping[str, Any]) -> Self:
        """Return what `state` has described, with the weights ``learned["model"]``, on the CPU."""
        categories = {name: tuple(columns) for name, columns in learned["categories"].items()}
        with torch_seeded(torch.device("cpu"), 0, "overwritten"):
            network = TokenizerNetwork(config, categories)
        network.load_state_dict(learned["model"])
        scaling = FeatureScaling.from_state(learned["scaling"])
        principal = PrincipalCode.from_state(learned["principal"])
        return cls(network, scaling, categories, principal, learned["record"]).frozen()
