"""Training methods: the settings of an optimizer, and how to build it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from potentia.checks import integer, number
from potentia.config import to_dict
from potentia.errors import ConfigError
from potentia.train.steppers import GradientStepper, Stepper

__all__ = ["SGD", "Adam", "TrainingMethod"]


class TrainingMethod(ABC):
    """Settings of a way to change the weights.

    A new method is a frozen dataclass below this one. If a torch optimizer can do it, it defines `build`; a method that
    needs more than the gradient overrides `stepper`.
    """

    method_name: ClassVar[str]
    """Short name, for example ``"adam"``."""
    batchsize: int
    """Samples in a batch."""

    @abstractmethod
    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the torch optimizer of these parameters."""

    def stepper(self, parameters: Sequence[nn.Parameter]) -> Stepper:
        """Return the live optimizer of these parameters."""
        return GradientStepper(self.build(parameters))

    def to_params_dict(self) -> dict[str, Any]:
        """Return the settings by name."""
        return to_dict(self)


@dataclass(frozen=True)
class Adam(TrainingMethod):
    """Adam: steps scaled by running moments of the gradient (Kingma and Ba, arXiv:1412.6980)."""

    mu: float = 0.001
    """Learning rate."""
    batchsize: int = 32
    """Samples in a batch."""
    weight_decay: float = 0.0
    """Strength of the pull of the weights to zero, added to the gradient."""
    beta1: float = 0.9
    """Memory of the mean gradient, in [0, 1)."""
    beta2: float = 0.999
    """Memory of the mean squared gradient, in [0, 1)."""
    epsilon: float = 1e-8
    """Added to the root of the mean squared gradient."""

    method_name: ClassVar[str] = "adam"

    def __post_init__(self) -> None:
        _positive("mu", self.mu)
        integer("batchsize", self.batchsize, low=1)
        number("weight_decay", self.weight_decay, low=0)
        _below_one("beta1", self.beta1)
        _below_one("beta2", self.beta2)
        number("epsilon", self.epsilon, low=0)

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Adam:
        """Return torch's Adam."""
        return torch.optim.Adam(
            parameters,
            lr=self.mu,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            weight_decay=self.weight_decay,
            fused=_fusible(parameters),
        )


@dataclass(frozen=True)
class SGD(TrainingMethod):
    """Stochastic gradient descent, with momentum if wished."""

    lr: float = 0.01
    """Learning rate."""
    batchsize: int = 32
    """Samples in a batch."""
    momentum: float = 0.0
    """Part of the last step that is taken again."""
    weight_decay: float = 0.0
    """Strength of the pull of the weights to zero, added to the gradient."""

    method_name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        _positive("lr", self.lr)
        integer("batchsize", self.batchsize, low=1)
        number("momentum", self.momentum, low=0)
        number("weight_decay", self.weight_decay, low=0)

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.SGD:
        """Return torch's SGD."""
        return torch.optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=_fusible(parameters),
        )


def _fusible(parameters: Sequence[nn.Parameter]) -> bool | None:
    """Ask for one kernel for all parameters (four times faster on small networks) where torch has it."""
    return all(p.is_floating_point() and p.device.type in {"cpu", "cuda"} for p in parameters) or None


def _positive(name: str, value: float) -> None:
    if number(name, value, low=0) == 0:
        raise ConfigError(f"{name} must be greater than 0, got {value!r}")


def _below_one(name: str, value: float) -> None:
    if number(name, value, low=0, high=1) == 1:
        raise ConfigError(f"{name} must be less than 1, got {value!r}")
