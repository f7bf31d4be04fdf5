"""How one batch changes the weights: gradient steps of any optimizer, guarded against what is not finite."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from potentia.train import distributed
from potentia.train.flat import FlatParameters
from potentia.train.real import real_view
from potentia.train.task import BatchLoss

__all__ = ["GradientStepper", "Optimizer", "Step", "Stepper"]


class Step(NamedTuple):
    """What became of one batch."""

    loss: BatchLoss
    """Loss before the step."""
    taken: bool
    """False where loss or gradient was not finite; then neither the weights nor the stepper have changed."""
    finished: str = ""
    """Why no further step can help, for example ``"converged: …"``; empty means: go on."""


class Stepper(Protocol):
    """A live optimizer. One that needs more than a gradient (a line search, a curvature) asks for the loss again."""

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step, NaN where there is none."""
        ...

    def set_rates(self, rate: Callable[[float], float]) -> None:
        """Set each learning rate to ``rate`` of the one that it began with."""
        ...

    def step(self, evaluate: Callable[[], BatchLoss]) -> Step:
        """Change the weights once.

        ``evaluate`` returns the loss of the batch at the present weights, and calls no backward pass. Within one step
        it is a function of the weights alone: what a model draws (dropout), it draws the same each time. So a stepper
        draws nothing itself.
        """
        ...

    def averaged(self) -> Sequence[Tensor] | None:
        """Return the weights to score and save, parameter by parameter; None where they are those that are trained.

        They may be views of what the next step changes.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return what has been learned about the path so far (dicts, lists, numbers, tensors), settings excepted."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        ...


class Optimizer(Protocol):
    """What a `GradientStepper` asks of an optimizer; `torch.optim.Optimizer` has it."""

    param_groups: list[dict[str, Any]]
    """Settings, ``lr`` among them."""
    state: Any
    """What has been learned of each parameter."""

    def step(self) -> Any:
        """Change the parameters along their gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return ``state`` by number of the parameter, and ``param_groups``."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Continue from what `state_dict` returned."""


class GradientStepper:
    """Steps of an optimizer along the gradient of the batch loss, which may be clipped to ``clip_norm``.

    The optimizer sees all parameters of one type and device as one vector, so that a step costs a few operations for
    networks of any number of layers. A parameter that the loss does not see has the gradient zero. Parameters that are
    ``spared`` have vectors of their own, which weight decay leaves alone. Where they are not ``together`` each
    parameter is a vector by itself, in their order: for an optimizer that knows them apart.
    """

    def __init__(
        self,
        build: Callable[[Sequence[nn.Parameter]], Optimizer],
        parameters: Sequence[nn.Parameter],
        clip_norm: float | None = None,
        spared: Collection[nn.Parameter] = (),
        *,
        together: bool = True,
    ) -> None:
        self._parameters = list(parameters)
        alone = {id(parameter) for parameter in spared}
        pulled = _vectors([p for p in parameters if id(p) not in alone], together=together)
        left_alone = _vectors([p for p in parameters if id(p) in alone], together=together)
        self._vectors = pulled + left_alone
        self.flat = [vector.flat for vector in self._vectors]
        self.optimizer = build(self.flat)
        if left_alone:
            _spare(self.optimizer, len(pulled))
        self.clip_norm = clip_norm
        self._begun_with = [float(group["lr"]) for group in self.optimizer.param_groups]

    @property
    def learning_rate(self) -> float:
        """Learning rate of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set_rates(self, rate: Callable[[float], float]) -> None:
        """Set each group's learning rate to ``rate`` of the one that it began with."""
        for group, begun_with in zip(self.optimizer.param_groups, self._begun_with, strict=True):
            group["lr"] = rate(begun_with)

    def step(self, evaluate: Callable[[], BatchLoss]) -> Step:
        """Take one step, unless loss or gradient are not finite."""
        for vector in self._vectors:
            vector.parameters.forget_gradients()
        loss = evaluate()
        loss.value.backward()
        for vector in self._vectors:
            vector.gather()
        distributed.sum_gradients(self.flat)
        finite = all_finite(loss.value, self.flat)
        if finite:
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.flat, self.clip_norm)
            self.optimizer.step()
            for vector in self._vectors:
                vector.scatter()
        return Step(loss, finite)

    def averaged(self) -> Sequence[Tensor] | None:
        """Return None: the weights that are trained are scored."""
        return None

    def split(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """Return the part of each parameter in vectors like ``flat``, in the shape of the parameter."""
        parts: dict[nn.Parameter, Tensor] = {}
        for own, vector in zip(self._vectors, vectors, strict=True):
            parts |= zip(own.members, own.parameters.split(vector), strict=True)
        return [parts[parameter] for parameter in self._parameters]

    def joined(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Return vectors like ``flat`` of parts in the shapes of the parameters: the inverse of `split`."""
        of = dict(zip(self._parameters, parts, strict=True))
        flat = zip(self._vectors, self.flat, strict=True)
        return [torch.cat([real_view(of[p]).reshape(-1) for p in own.members]).to(vector) for own, vector in flat]

    def state(self) -> dict[str, Any]:
        """Return the moments by number of the vector."""
        return dict(self.optimizer.state_dict()["state"])

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the moments; rates and other settings stay those of this optimizer."""
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


class _Vector:
    """Parameters of one type and device end to end, as an optimizer takes them.

    Views of all of them are kept, and made anew where a parameter has got other memory (``model.to``, a deep copy).
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.members = list(parameters)
        self.parameters = FlatParameters(parameters, dtype=None)
        self.flat = nn.Parameter(self.parameters.read())
        self._places: list[int] = []

    @torch.no_grad()
    def gather(self) -> None:
        """Take over the parameters as they are now, and their gradients."""
        self._look()
        torch._foreach_copy_(self._parts, self._own)
        self.parameters.gradients(out=self._gradient)
        self.flat.grad = self._gradient

    @torch.no_grad()
    def scatter(self) -> None:
        """Give the parameters what stands in the vector."""
        torch._foreach_copy_(self._own, self._parts)

    def _look(self) -> None:
        places = [tensor.data_ptr() for tensor in (self.flat, *self.members)]
        if places != self._places:
            self._places = places
            self._own = [real_view(parameter.detach()) for parameter in self.members]
            self._parts = self.parameters.real_parts(self.flat.detach())
            self._gradient = torch.empty_like(self.flat.detach())


def _vectors(parameters: Sequence[nn.Parameter], *, together: bool) -> list[_Vector]:
    """Sort parameters by type and device, or leave each by itself."""
    if not together:
        return [_Vector([parameter]) for parameter in parameters]
    kinds: dict[tuple[torch.dtype, torch.device], list[nn.Parameter]] = {}
    for parameter in parameters:
        kinds.setdefault((parameter.dtype, parameter.device), []).append(parameter)
    return [_Vector(group) for group in kinds.values()]


def _spare(optimizer: Optimizer, pulled: int) -> None:
    """Give the vectors behind the first ``pulled`` of the only group a group of their own, without weight decay."""
    group = optimizer.param_groups.pop()
    vectors = group["params"]
    kinds = ((vectors[:pulled], group["weight_decay"]), (vectors[pulled:], 0.0))
    for some, decay in kinds:
        if some:
            optimizer.param_groups.append({**group, "params": some, "weight_decay": decay})


def all_finite(loss: Tensor, parameters: Sequence[nn.Parameter]) -> bool:
    """Look at loss and gradients together with a single wait for the device.

    A sum with NaN or infinity in it is never finite, whatever else is in it.
    """
    sums = [p.grad.sum() for p in parameters if p.grad is not None]
    return bool(torch.stack([loss.detach(), *sums]).sum().isfinite())
