"""Optimizers of a few long vectors: the steps of torch's by its own kernels, without `torch.optim.Optimizer`.

The first object of that class loads torch's compiler: a second and a half and some hundred modules in every process,
for nothing that is used here. What `GradientStepper` asks of an optimizer is the same for both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

__all__ = ["VectorAdam", "VectorOptimizer", "VectorSGD"]


class VectorOptimizer(ABC):
    """Vectors in groups with the same settings, at first one group.

    Args:
        vectors: What is trained; `step` takes the gradient of each from its ``grad``.
        settings: Numbers of the method by their names in torch, ``lr`` among them.
    """

    def __init__(self, vectors: Sequence[nn.Parameter], settings: Mapping[str, Any]) -> None:
        self.vectors = list(vectors)
        self.param_groups: list[dict[str, Any]] = [{"params": self.vectors, **settings}]
        self.state: dict[Tensor, dict[str, Any]] = {}
        """What has been learned of each vector, from its first step on."""

    @torch.no_grad()
    def step(self) -> None:
        """Change the vectors along their gradients."""
        for group in self.param_groups:
            self.step_group(group["params"], group)

    @abstractmethod
    def step_group(self, vectors: Sequence[nn.Parameter], settings: Mapping[str, Any]) -> None:
        """Change vectors with these settings along their gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return what has been learned by number of the vector, and the settings."""
        state = {k: self.state[vector] for k, vector in enumerate(self.vectors) if vector in self.state}
        numbers = {vector: k for k, vector in enumerate(self.vectors)}
        groups = [{**group, "params": [numbers[vector] for vector in group["params"]]} for group in self.param_groups]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, found: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned, as copies on the devices of the vectors."""
        for group, read in zip(self.param_groups, found["param_groups"], strict=True):
            group |= {name: value for name, value in read.items() if name != "params"}
        self.state = {
            self.vectors[int(k)]: {name: _copy(name, value, self.vectors[int(k)]) for name, value in one.items()}
            for k, one in found["state"].items()
        }


class VectorAdam(VectorOptimizer):
    """Steps of `torch.optim.Adam`, and of `torch.optim.AdamW` where the decay is apart from the gradient.

    Args:
        vectors: What is trained.
        settings: ``lr``, ``betas``, ``eps``, ``weight_decay``.
        apart: Whether the decay of the weights is apart from the gradient.
    """

    def __init__(self, vectors: Sequence[nn.Parameter], settings: Mapping[str, Any], *, apart: bool) -> None:
        super().__init__(vectors, settings)
        self._apart = apart
        self._fused = _fusible(vectors)

    def step_group(self, vectors: Sequence[nn.Parameter], settings: Mapping[str, Any]) -> None:
        """Change vectors with these settings along their gradients."""
        states = [self.state.get(vector) or self._begin(vector) for vector in vectors]
        beta1, beta2 = settings["betas"]
        adam(
            vectors,  # type: ignore[arg-type]
            _gradients(vectors),
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=self._fused,
            has_complex=any(vector.is_complex() for vector in vectors),
            decoupled_weight_decay=self._apart,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=settings["lr"],
            weight_decay=settings["weight_decay"],
            eps=settings["eps"],
            maximize=False,
        )

    def _begin(self, vector: nn.Parameter) -> dict[str, Any]:
        device = vector.device if self._fused else torch.device("cpu")
        moments = {name: torch.zeros_like(vector) for name in ("exp_avg", "exp_avg_sq")}
        self.state[vector] = {"step": torch.zeros((), dtype=torch.float32, device=device), **moments}
        return self.state[vector]


class VectorSGD(VectorOptimizer):
    """Steps of `torch.optim.SGD`: ``lr``, ``momentum``, ``weight_decay``."""

    def step_group(self, vectors: Sequence[nn.Parameter], settings: Mapping[str, Any]) -> None:
        """Change vectors with these settings along their gradients."""
        buffers: list[Tensor | None] = [self.state.get(vector, {}).get("momentum_buffer") for vector in vectors]
        sgd(
            vectors,  # type: ignore[arg-type]
            _gradients(vectors),
            buffers,
            fused=_fusible(vectors),
            lr=settings["lr"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        if settings["momentum"]:
            self.state |= {v: {"momentum_buffer": buffer} for v, buffer in zip(vectors, buffers, strict=True)}


def _gradients(vectors: Sequence[nn.Parameter]) -> list[Tensor]:
    found = [vector.grad for vector in vectors]
    return [gradient for gradient in found if gradient is not None]


def _fusible(vectors: Sequence[nn.Parameter]) -> bool | None:
    """Ask for one kernel for all vectors (four times faster on small networks) where torch has it."""
    return all(v.is_floating_point() and v.device.type in {"cpu", "cuda"} for v in vectors) or None


def _copy(name: str, value: Any, vector: nn.Parameter) -> Any:
    if not isinstance(value, Tensor):
        return value
    dtype = vector.dtype if name != "step" and value.is_floating_point() else value.dtype
    return value.to(vector.device, dtype, copy=True)
