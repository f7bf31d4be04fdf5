"""Training methods: the settings of an optimizer, and how to build it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from potentia.checks import integer, number
from potentia.config import to_dict
from potentia.errors import ConfigError
from potentia.train.steppers import GradientStepper, Optimizer, Stepper
from potentia.train.vector_optimizers import VectorAdam, VectorSGD

__all__ = [
    "SGD",
    "Adam",
    "AdamMethod",
    "AdamW",
    "GradientMethod",
    "TrainingMethod",
    "check_batchsize",
    "check_below_one",
    "check_clip_norm",
    "check_positive",
]


class TrainingMethod(ABC):
    """Settings of a way to change the weights; a new method is a frozen dataclass below this one."""

    method_name: ClassVar[str]
    """Short name, for example ``"adam"``."""
    batchsize: int | None
    """Samples in a batch; None for all in one."""
    averages: ClassVar[bool] = False
    """Whether it averages the weights itself, see `Stepper.averaged`."""

    @abstractmethod
    def stepper(self, parameters: Sequence[nn.Parameter]) -> Stepper:
        """Return the live optimizer of these parameters."""

    def sparing(self, parameters: Sequence[nn.Parameter], spared: Collection[nn.Parameter]) -> Stepper:
        """Return the live optimizer of these parameters, whose weight decay leaves the ``spared`` ones alone.

        Raises:
            ConfigError: this method treats all alike.
        """
        raise ConfigError(f"{type(self).__name__} can spare no weights its decay: take AdamW")

    def samples_per_batch(self, samples: int) -> int:
        """Return how many of ``samples`` are in a batch (at least 1, as `potentia.data.shuffled` wants it)."""
        return max(samples, 1) if self.batchsize is None else self.batchsize

    def to_params_dict(self) -> dict[str, Any]:
        """Return the settings by name, without those that are None: off, or all."""
        return {name: value for name, value in to_dict(self).items() if value is not None}


class GradientMethod(TrainingMethod):
    """Settings of a method that steps along the gradient."""

    clip_norm: float | None
    """A gradient whose norm over all weights is larger is shortened to it; None for as it is."""

    @abstractmethod
    def build(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """Return what steps these vectors along their gradients: a `torch.optim.Optimizer`, or what acts like one."""

    def stepper(self, parameters: Sequence[nn.Parameter]) -> Stepper:
        """Return the live optimizer of these parameters."""
        return GradientStepper(self.build, parameters, self.clip_norm)


@dataclass(frozen=True)
class AdamMethod(GradientMethod):
    """Settings that all kinds of Adam have."""

    mu: float = 0.001
    """Learning rate."""
    batchsize: int | None = 32
    """Samples in a batch; None for all in one."""
    weight_decay: float = 0.0
    """Strength of the pull of the weights to zero."""
    beta1: float = 0.9
    """Memory of the mean gradient, in [0, 1)."""
    beta2: float = 0.999
    """Memory of the mean squared gradient, in [0, 1)."""
    epsilon: float = 1e-8
    """Added to the root of the mean squared gradient."""
    clip_norm: float | None = None
    """A gradient whose norm over all weights is larger is shortened to it; None for as it is."""

    def __post_init__(self) -> None:
        check_positive("mu", self.mu)
        check_batchsize(self.batchsize)
        check_clip_norm(self.clip_norm)
        number("weight_decay", self.weight_decay, low=0)
        check_below_one("beta1", self.beta1)
        check_below_one("beta2", self.beta2)
        number("epsilon", self.epsilon, low=0)

    def settings(self) -> dict[str, Any]:
        """Return them by the names that torch has for them."""
        betas = (self.beta1, self.beta2)
        return {"lr": self.mu, "betas": betas, "eps": self.epsilon, "weight_decay": self.weight_decay}


@dataclass(frozen=True)
class Adam(AdamMethod):
    """Adam: steps scaled by running moments of the gradient (Kingma and Ba, arXiv:1412.6980)."""

    weight_decay: float = 0.0
    """Strength of the pull of the weights to zero, added to the gradient."""

    method_name: ClassVar[str] = "adam"

    def build(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """Return what steps as torch's Adam does."""
        return VectorAdam(parameters, self.settings(), apart=False)


@dataclass(frozen=True)
class AdamW(AdamMethod):
    """Adam with a decay of the weights apart from the gradient (Loshchilov and Hutter, arXiv:1711.05101)."""

    weight_decay: float = 0.01
    """Each step makes the weights smaller by this part, times the learning rate of the step."""

    method_name: ClassVar[str] = "adamw"

    def sparing(self, parameters: Sequence[nn.Parameter], spared: Collection[nn.Parameter]) -> Stepper:
        """Return the live optimizer of these parameters, whose weight decay leaves the ``spared`` ones alone."""
        return GradientStepper(self.build, parameters, self.clip_norm, spared)

    def build(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """Return what steps as torch's AdamW does."""
        return VectorAdam(parameters, self.settings(), apart=True)


@dataclass(frozen=True)
class SGD(GradientMethod):
    """Stochastic gradient descent, with momentum if wished."""

    lr: float = 0.01
    """Learning rate."""
    batchsize: int | None = 32
    """Samples in a batch; None for all in one."""
    momentum: float = 0.0
    """Part of the last step that is taken again."""
    weight_decay: float = 0.0
    """Strength of the pull of the weights to zero, added to the gradient."""
    clip_norm: float | None = None
    """A gradient whose norm over all weights is larger is shortened to it; None for as it is."""

    method_name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        check_positive("lr", self.lr)
        check_batchsize(self.batchsize)
        check_clip_norm(self.clip_norm)
        number("momentum", self.momentum, low=0)
        number("weight_decay", self.weight_decay, low=0)

    def build(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """Return what steps as torch's SGD does."""
        settings = {"lr": self.lr, "momentum": self.momentum, "weight_decay": self.weight_decay}
        return VectorSGD(parameters, settings)


def check_batchsize(batchsize: int | None) -> None:
    """Refuse what is neither None nor a number of samples."""
    if batchsize is not None:
        integer("batchsize", batchsize, low=1)


def check_clip_norm(clip_norm: float | None) -> None:
    """Refuse what is neither None nor above 0."""
    if clip_norm is not None:
        check_positive("clip_norm", clip_norm)


def check_positive(name: str, value: float) -> None:
    """Refuse what is not a finite number above 0."""
    if number(name, value, low=0) == 0:
        raise ConfigError(f"{name} must be greater than 0, got {value!r}")


def check_below_one(name: str, value: float) -> None:
    """Refuse what is not in [0, 1)."""
    if number(name, value, low=0, high=1) == 1:
        raise ConfigError(f"{name} must be less than 1, got {value!r}")
