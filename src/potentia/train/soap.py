"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., arXiv:2409.11321).

The gradient G [rows, columns] of a matrix of weights is turned into bases that follow the eigenvectors of the running
means of G Gᵀ and Gᵀ G. There the curvature is nearly diagonal, which is what Adam takes it to be:

    G' = Lᵀ G R,    M ← β₁ M + (1 - β₁) G',    V ← β₂ V + (1 - β₂) G'²,    W ← W - μ L (M / √V) Rᵀ

Every few steps each basis is renewed by one step of orthogonal iteration, and M is turned along with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from potentia.checks import integer
from potentia.train.optimizers import AdamMethod
from potentia.train.real import real_view
from potentia.train.steppers import GradientStepper, Optimizer, Stepper
from potentia.train.vector_optimizers import VectorOptimizer

__all__ = ["SOAP", "VectorSOAP"]

SIDES = ("left", "right")
"""Of a matrix: its rows, its columns."""


@dataclass(frozen=True)
class SOAP(AdamMethod):
    """SOAP: for small networks that are to fit smooth data closely; fewer steps than Adam, each somewhat dearer."""

    mu: float = 0.003
    """Learning rate."""
    batchsize: int | None = 32
    """Samples in a batch; None for all in one."""
    weight_decay: float = 0.0
    """Each step makes the weights smaller by this part, times the learning rate of the step."""
    beta1: float = 0.95
    """Memory of the mean gradient, in [0, 1)."""
    beta2: float = 0.95
    """Memory of the mean squared gradient and of what the bases follow, in [0, 1)."""
    epsilon: float = 1e-8
    """Added to the root of the mean squared gradient."""
    every: int = 10
    """Steps between two renewals of the bases."""
    largest: int = 256
    """A side of a matrix that is longer has no basis, whose renewal costs its cube; where both are, and for vectors,
    the steps are those of Adam."""
    clip_norm: float | None = None
    """A gradient whose norm over all weights is larger is shortened to it; None for as it is."""

    method_name: ClassVar[str] = "soap"

    def __post_init__(self) -> None:
        super().__post_init__()
        integer("every", self.every, low=1)
        integer("largest", self.largest, low=1)

    def stepper(self, parameters: Sequence[nn.Parameter]) -> Stepper:
        """Return the live optimizer of these parameters."""
        build = partial(VectorSOAP, settings=self.settings(), shapes=[_matrix(p) for p in parameters], method=self)
        return GradientStepper(build, parameters, self.clip_norm, together=False)

    def build(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """Return what steps these parameters, which may be of any shape."""
        return VectorSOAP(parameters, self.settings(), [_matrix(p) for p in parameters], self)


class VectorSOAP(VectorOptimizer):
    """The steps.

    Args:
        vectors: What is trained, a vector for each parameter.
        settings: ``lr``, ``betas``, ``eps``, ``weight_decay``.
        shapes: Rows and columns of the matrix that each vector is.
        method: How often the bases are renewed, and which sides have one.
    """

    def __init__(
        self,
        vectors: Sequence[nn.Parameter],
        settings: Mapping[str, Any],
        shapes: Sequence[tuple[int, int]],
        method: SOAP,
    ) -> None:
        super().__init__(vectors, settings)
        self._shapes = dict(zip(self.vectors, shapes, strict=True))
        self._method = method

    def step_group(self, vectors: Sequence[nn.Parameter], settings: Mapping[str, Any]) -> None:
        """Change vectors with these settings along their gradients; the first gradient only sets the bases."""
        for vector in vectors:
            assert vector.grad is not None
            gradient = real_view(vector.grad).reshape(self._shapes[vector])
            if vector not in self.state:
                self.state[vector] = self._begin(gradient)
            else:
                self._step_one(real_view(vector.detach()), gradient, self.state[vector], settings)

    def _begin(self, gradient: Tensor) -> dict[str, Any]:
        """Return moments of nothing yet, and the bases of one gradient, those of most weight first."""
        state: dict[str, Any] = {"steps": 0, "mean": torch.zeros_like(gradient), "squares": torch.zeros_like(gradient)}
        for side, length in zip(SIDES, gradient.shape, strict=True):
            if min(gradient.shape) > 1 and length <= self._method.largest:
                product = _product(side, gradient)
                state[side] = product
                state[f"{side}_basis"] = torch.linalg.eigh(product).eigenvectors.flip(1).contiguous()
        return state

    def _step_one(self, weights: Tensor, gradient: Tensor, state: dict[str, Any], settings: Mapping[str, Any]) -> None:
        beta1, beta2 = settings["betas"]
        state["steps"] += 1
        turned = _turned(gradient, state)
        state["mean"].lerp_(turned, 1 - beta1)
        state["squares"].mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
        mean = state["mean"] / (1 - float(beta1 ** state["steps"]))
        size = (state["squares"] / (1 - float(beta2 ** state["steps"]))).sqrt_().add_(settings["eps"])
        if settings["weight_decay"]:
            weights.mul_(1 - settings["lr"] * settings["weight_decay"])
        weights.view(gradient.shape).sub_(_turned_back(mean.div_(size), state), alpha=settings["lr"])
        for side in SIDES:
            if side in state:
                state[side].lerp_(_product(side, gradient), 1 - beta2)
        if state["steps"] % self._method.every == 0:
            _renew(state)


def _matrix(parameter: Tensor) -> tuple[int, int]:
    """Return rows and columns of a parameter: its first axis and all others, a complex number being two columns."""
    real = real_view(parameter.detach())
    return (len(real), real[0].numel()) if real.ndim > 1 and len(real) else (1, real.numel())


def _product(side: str, gradient: Tensor) -> Tensor:
    """Return G Gᵀ [rows, rows] or Gᵀ G [columns, columns]."""
    return gradient @ gradient.T if side == "left" else gradient.T @ gradient


def _turned(matrix: Tensor, state: Mapping[str, Any]) -> Tensor:
    """Return Lᵀ matrix R; a side without a basis stays as it is.  [rows, columns]"""
    half = state["left_basis"].T @ matrix if "left" in state else matrix
    found: Tensor = half @ state["right_basis"] if "right" in state else half
    return found


def _turned_back(matrix: Tensor, state: Mapping[str, Any]) -> Tensor:
    """Return L matrix Rᵀ, the inverse of `_turned`.  [rows, columns]"""
    half = state["left_basis"] @ matrix if "left" in state else matrix
    found: Tensor = half @ state["right_basis"].T if "right" in state else half
    return found


def _renew(state: dict[str, Any]) -> None:
    """Take one step of orthogonal iteration in each basis, most weight first, and turn the moments along."""
    mean = _turned_back(state["mean"], state)
    for axis, side in enumerate(SIDES):
        if side in state:
            basis = state[f"{side}_basis"]
            ahead = state[side] @ basis
            order = (basis * ahead).sum(0).argsort(descending=True, stable=True)
            state["squares"] = state["squares"].index_select(axis, order)
            state[f"{side}_basis"] = torch.linalg.qr(ahead[:, order]).Q.contiguous()
    state["mean"] = _turned(mean, state)
