"""Schedule-free learning (Defazio, Yang, Mehta, Mishchenko, Khaled and Cutkosky, arXiv:2405.15682).

Gradients are taken at y, between the weights z that step along them and the average x of those:

    y = (1 - β) z + β x,    z ← z - γ g(y),    x ← (1 - c) x + c z,    c = γ² / Σ γ²

The run trains y, and scores and saves x. No rate has to fall towards an end that is known beforehand; it should come up
from a small one at first (`potentia.train.Warmup`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from potentia.checks import number
from potentia.train.optimizers import (
    AdamMethod,
    GradientMethod,
    check_batchsize,
    check_below_one,
    check_clip_norm,
    check_positive,
)
from potentia.train.steppers import GradientStepper, Optimizer, Stepper
from potentia.train.vector_optimizers import VectorOptimizer

__all__ = ["ScheduleFree", "ScheduleFreeAdamW", "ScheduleFreeSGD", "ScheduleFreeStepper"]


class ScheduleFreeMethod(GradientMethod):
    """Settings of a schedule-free method."""

    averages: ClassVar[bool] = True

    def stepper(self, parameters: Sequence[nn.Parameter]) -> Stepper:
        """Return the live optimizer of these parameters."""
        return ScheduleFreeStepper(self.build, parameters, self.clip_norm)


@dataclass(frozen=True)
class ScheduleFreeAdamW(ScheduleFreeMethod, AdamMethod):
    """Schedule-free AdamW: steps scaled by the root of the mean squared gradient."""

    mu: float = 0.0025
    """Learning rate γ."""
    weight_decay: float = 0.0
    """Each step makes the weights smaller by this part, times the learning rate of the step."""
    beta1: float = 0.9
    """β, in [0, 1)."""

    method_name: ClassVar[str] = "schedule_free_adamw"

    def build(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """Return the optimizer of these parameters."""
        return ScheduleFree(parameters, self.mu, self.beta1, self.weight_decay, (self.beta2, self.epsilon))


@dataclass(frozen=True)
class ScheduleFreeSGD(ScheduleFreeMethod):
    """Schedule-free gradient descent."""

    lr: float = 1.0
    """Learning rate γ."""
    batchsize: int | None = 32
    """Samples in a batch; None for all in one."""
    momentum: float = 0.9
    """β, in [0, 1); 0 is gradient descent whose average is scored."""
    weight_decay: float = 0.0
    """Strength of the pull of the weights to zero, added to the gradient."""
    clip_norm: float | None = None
    """A gradient whose norm over all weights is larger is shortened to it; None for as it is."""

    method_name: ClassVar[str] = "schedule_free_sgd"

    def __post_init__(self) -> None:
        check_positive("lr", self.lr)
        check_batchsize(self.batchsize)
        check_clip_norm(self.clip_norm)
        check_below_one("momentum", self.momentum)
        number("weight_decay", self.weight_decay, low=0)

    def build(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """Return the optimizer of these parameters."""
        return ScheduleFree(parameters, self.lr, self.momentum, self.weight_decay, None)


class ScheduleFree(VectorOptimizer):
    """The steps; its parameters are y.

    Args:
        parameters: What is trained.
        lr: Learning rate γ.
        beta: β.
        weight_decay: Added to the step, times y.
        second: Memory and ε of the mean squared gradient that scales steps; None for steps as they are.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        lr: float,
        beta: float,
        weight_decay: float,
        second: tuple[float, float] | None,
    ) -> None:
        super().__init__(parameters, {"lr": lr})
        self._beta = beta
        self._decay = weight_decay
        self._second = second

    def step_group(self, vectors: Sequence[nn.Parameter], settings: Mapping[str, Any]) -> None:
        """Take one step along the gradients that these parameters hold."""
        for y in vectors:
            assert y.grad is not None
            self._step_one(y, y.grad, float(settings["lr"]))

    def _step_one(self, y: Tensor, gradient: Tensor, lr: float) -> None:
        state = self.state.setdefault(y, {})
        if not state:
            state |= {"z": y.clone(), "x": y.clone(), "steps": 0, "total": 0.0}
        state["steps"] += 1
        state["total"] += lr**2
        direction = gradient if self._second is None else self._scaled(gradient, state, *self._second)
        state["z"].sub_(direction + self._decay * y, alpha=lr)
        state["x"].lerp_(state["z"], lr**2 / state["total"] if state["total"] else 1.0)
        torch.lerp(state["z"], state["x"], self._beta, out=y)

    def _scaled(self, gradient: Tensor, state: dict[str, Any], memory: float, epsilon: float) -> Tensor:
        """Divide by the root of the running mean of squares, which began with zero."""
        squares: Tensor = state.setdefault("squares", torch.zeros_like(gradient))
        squares.mul_(memory).addcmul_(gradient, gradient, value=1 - memory)
        correction = 1 - float(memory ** state["steps"])
        return gradient / (squares / correction).sqrt_().add_(epsilon)


class ScheduleFreeStepper(GradientStepper):
    """Steps of `ScheduleFree`, whose averages are to be scored."""

    def averaged(self) -> list[Tensor] | None:
        """Return x of each parameter; None before the first step."""
        if not self.optimizer.state:
            return None
        return self.split([self.optimizer.state[flat]["x"] for flat in self.flat])
