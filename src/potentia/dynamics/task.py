"""A parameter network's part in training: parameters, roll-out, loss; errors of the validation windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from potentia.data import shuffled
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.features import FeatureMap
from potentia.dynamics.losses import StateLoss, wrapped_error
from potentia.dynamics.network import ParameterNetwork
from potentia.dynamics.rollout import RolloutSettings, rollout_of_entries
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.training_config import DynamicsTrainingConfig
from potentia.metrics import ErrorSum, merge
from potentia.train import BatchLoss

__all__ = ["DynamicsTask", "Prior", "WindowBatch", "WindowTensors", "batches_of", "origins"]

ROWS = 200_000
"""Windows times steps that are rolled out at a time outside of training."""


@dataclass(frozen=True)
class WindowTensors:
    """Windows on the device; places count from where each window begins, so that far ones lose no digits."""

    inputs: Tensor
    """[windows, inputs]"""
    initial: Tensor
    """[windows, states]"""
    controls: Tensor
    """[windows, steps, controls]"""
    targets: Tensor
    """[windows, steps, states]"""
    counted: Tensor
    """[windows, steps]"""
    dt: Tensor
    """Float64 (s).  [] or [windows, steps]"""
    all_counted: bool
    """Whether all targets count."""

    @classmethod
    def of(cls, dataset: FeatureDataset, spec: ModelSpec, features: FeatureMap, like: Tensor) -> Self:
        """Return the windows with type and device of ``like``."""
        origin = origins(dataset.initial_states, spec)
        targets = np.where(dataset.counted[..., None], dataset.targets - origin[:, None], 0.0)
        return cls(
            torch.from_numpy(features.matrix(dataset)).to(like),
            torch.from_numpy(dataset.initial_states - origin).to(like),
            torch.from_numpy(dataset.controls).to(like),
            torch.from_numpy(targets).to(like),
            torch.from_numpy(dataset.counted).to(like.device),
            torch.from_numpy(np.array(dataset.dt)).to(like.device),
            bool(dataset.counted.all()),
        )

    def __len__(self) -> int:
        return len(self.initial)

    @property
    def n_steps(self) -> int:
        """Steps of a window."""
        return int(self.controls.shape[1])

    def take(self, windows: Tensor | slice, steps: int | None = None) -> Self:
        """Return some of the windows, with their first steps."""
        inputs, initial = self.inputs[windows], self.initial[windows]
        counted = self.counted[: len(initial)] if self.all_counted else self.counted[windows]
        return type(
            self
        )(
            inputs,
            initial,
            self.controls[windows][:, :steps],  # whole rows first: they are copied at once
            self.targets[windows][:, :steps],
            counted[:, :steps],
            self.dt if self.dt.ndim == 0 else self.dt[windows][:, :steps],
            self.all_counted,
        )

    def chunks(self) -> Iterator[Self]:
        """Yield some windows at a time, in their order."""
        size = max(ROWS // self.n_steps, 1)
        for begin in range(0, len(self), size):
            yield self.take(slice(begin, begin + size))


@dataclass(frozen=True)
class WindowBatch:
    """What is drawn for a step."""

    windows: NDArray[np.int64]
    """[batch]"""
    steps: int
    """The windows are cut to so many."""


Batches: TypeAlias = Callable[[int], Sequence[WindowBatch]]


def batches_of(config: DynamicsTrainingConfig, n: int, n_steps: int, seed: int) -> Batches:
    """Return epoch → batches, each of ``n`` windows once in a new order, cut as the curriculum has it."""
    size = config.method().samples_per_batch(n)
    drawn, per_epoch = shuffled(n, size, seed), math.ceil(n / size)

    def batches(epoch: int) -> list[WindowBatch]:
        first = epoch * per_epoch
        return [WindowBatch(part, config.steps_at(first + k, n_steps)) for k, part in enumerate(drawn(epoch))]

    return batches


@dataclass(frozen=True)
class Prior:
    """What is known of some entries of the parameters before."""

    entries: Tensor
    """Their numbers.  [known]"""
    mean: Tensor
    """[known]"""
    deviation: Tensor
    """[known]"""

    def penalty(self, vector: Tensor) -> Tensor:
        """Return half the squared deviations of parameters [windows, entries], summed, as a mean over the windows."""
        off = (vector[:, self.entries] - self.mean) / self.deviation
        return off.square().sum(1).mean() / 2


class DynamicsTask:
    """Trains a `ParameterNetwork`; all data are tensors on its device.

    Args:
        spec: The model.
        settings: How it is solved.
        train: What is fitted.
        valid: What the choice of the weights goes by; None for the training windows themselves.
        loss: What is made small.
        prior: What is known before; None for nothing.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: RolloutSettings,
        train: WindowTensors,
        valid: WindowTensors | None,
        loss: StateLoss,
        prior: Prior | None = None,
    ) -> None:
        self.spec = spec
        self.settings = settings
        self.train = train
        self.valid = valid
        self.measure = loss
        self.prior = prior
        self._places = [spec.state_names.index(name) for name in ("x", "y") if name in spec.state_names]

    def loss(self, model: nn.Module, batch: WindowBatch) -> BatchLoss:
        """Return the loss of one batch: of the windows that stay finite, unless none does."""
        network = _network(model)
        windows = torch.from_numpy(batch.windows).to(self.train.initial.device)
        part = self.train.take(windows, batch.steps)
        vector, predicted = self._roll(network, part)
        finite = torch.isfinite(predicted.detach()[:, -1]).all(1)  # [batch]; what is lost once stays so
        scores = torch.full((len(part),), math.nan, dtype=torch.float64, device=part.initial.device)
        n_finite = int(finite.sum())
        if 0 < n_finite < len(part):  # rolled out again: what is not finite would spoil the gradient of all others
            part = part.take(finite.nonzero()[:, 0])
            vector, predicted = self._roll(network, part)
        costs, count = self._costs(predicted, part)  # [windows]
        total = costs.sum()
        value = total / max(count, 1)
        if n_finite:
            scores[finite] = costs.detach().double()
        if self.prior is not None:
            value = value + self.prior.penalty(vector) / len(self.train)
        taken = ErrorSum(float(total.detach()), 0.0, count) if n_finite else ErrorSum.zero
        sums = {
            "loss": taken,
            "diverged": ErrorSum(0.0, 0.0, len(windows) - n_finite),
            "steps": ErrorSum(float(batch.steps * len(windows)), 0.0, len(windows)),
        }
        return BatchLoss(value, sums, scores=(windows, scores))

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the exact errors on whole validation windows."""
        if self.valid is None:
            return None
        network, sums = _network(model), dict[str, ErrorSum]()
        for part in self.valid.chunks():
            _, predicted = self._roll(network, part)
            costs, count = self._costs(predicted, part)
            diverged = int((~torch.isfinite(predicted[:, -1])).any(1).sum())
            found = {
                "loss": ErrorSum(float(costs.double().sum()), 0.0, count),
                "diverged": ErrorSum(0.0, 0.0, diverged),
            }
            sums = merge(sums, {**found, **self._displacements(predicted, part), **self._last_errors(predicted, part)})
        return sums

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return the loss of both parts, mean and final displacement (m) and RMSE of each state after whole windows."""
        tested = valid or {}
        row = {"train_loss": train.get("loss", ErrorSum.zero).mae, "val_loss": tested.get("loss", ErrorSum.zero).mae}
        if len(self._places) == 2:
            row |= {f"val_{name}": tested.get(name, ErrorSum.zero).mae for name in ("ade", "fde")}
        row |= {f"val_rmse_{name}": tested.get(f"last {name}", ErrorSum.zero).rmse for name in self.spec.state_names}
        steps = train.get("steps", ErrorSum.zero).mae
        diverged = train.get("diverged", ErrorSum.zero).count + tested.get("diverged", ErrorSum.zero).count
        return {**row, "horizon": steps, "diverged": float(diverged)}

    def monitor(self, row: Mapping[str, float]) -> float:
        """Return the loss of the validation windows, or of the training ones in epochs that have not cut them."""
        if self.valid is not None:
            return row["val_loss"]
        return row["train_loss"] if row["horizon"] == self.train.n_steps else math.nan

    def _roll(self, network: ParameterNetwork, part: WindowTensors) -> tuple[Tensor, Tensor]:
        """Return entries of the parameters and states.  [windows, entries] and [windows, steps, states]"""
        vector = network.vector(part.inputs)
        return vector, rollout_of_entries(self.spec, part.initial, part.controls, vector, part.dt, self.settings)

    def _costs(self, predicted: Tensor, part: WindowTensors) -> tuple[Tensor, int]:
        """Return the sum of costs of each window [windows], and how many targets, or windows, it is a sum over."""
        targets = part.targets
        if not part.all_counted:
            here = part.counted[..., None]
            predicted, targets = torch.where(here, predicted, 0.0), torch.where(here, targets, 0.0)
        costs = self.measure.costs(predicted, targets)
        n = part.counted.numel() if part.all_counted else int(part.counted.sum())
        return costs.flatten(1).sum(1), n * len(self.spec.states) if self.measure.averaged else len(part)

    def _displacements(self, predicted: Tensor, part: WindowTensors) -> dict[str, ErrorSum]:
        if len(self._places) < 2:
            return {}
        error = (predicted - part.targets)[..., self._places].double()
        distance = error.square().sum(-1).sqrt()  # [windows, steps], m
        last = distance.gather(1, _last_step(part)[:, None])
        return {"ade": ErrorSum.of(distance[part.counted]), "fde": ErrorSum.of(last)}

    def _last_errors(self, predicted: Tensor, part: WindowTensors) -> dict[str, ErrorSum]:
        error = wrapped_error(predicted, part.targets, self.spec.angles)
        rows = torch.arange(len(part), device=error.device)
        last = error[rows, _last_step(part)]  # [windows, states]
        return {f"last {name}": ErrorSum.of(last[:, k]) for k, name in enumerate(self.spec.state_names)}


def origins(initial_states: NDArray[np.float64], spec: ModelSpec) -> NDArray[np.float64]:
    """Return from where places are counted: no rate depends on them, so a window may begin at 0.  [windows, states]"""
    shifted = np.array([variable.pose and not variable.angle for variable in spec.states])
    return np.where(shifted, initial_states, 0.0)


def _last_step(part: WindowTensors) -> Tensor:
    """Return the last step of each window that counts.  [windows]"""
    steps = torch.arange(part.n_steps, device=part.counted.device)
    return torch.where(part.counted, steps, -1).amax(1)


def _network(model: nn.Module) -> ParameterNetwork:
    assert isinstance(model, ParameterNetwork)
    return model
