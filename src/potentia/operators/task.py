"""A neural operator's part in training: losses of windows and first steps, errors of whole roll-outs, their row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from potentia.data import shuffled
from potentia.metrics import ErrorSum, merge
from potentia.operators.alignment_terms import AlignmentTerms, Rolled
from potentia.operators.dataset import Samples
from potentia.operators.losses import error_figures, error_sums, initial_loss, trajectory_loss
from potentia.operators.networks.base import FieldNetwork
from potentia.operators.networks.film import Modulation
from potentia.operators.normaliser import Normaliser
from potentia.operators.rollout import rollout
from potentia.operators.space import ParameterSpace
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.operators.truncation import Window
from potentia.seeding import torch_seeded
from potentia.train import BatchLoss

__all__ = ["FieldBatch", "FieldModel", "FieldTensors", "OperatorTask", "batches_of", "spared_by_decay"]

CHANNEL_VALUES = 2**24
"""Values of fields that are rolled out at a time where no gradient is asked for."""


@dataclass(frozen=True)
class FieldBatch:
    """Samples of one step."""

    number: int
    """Of the step, counted from the first one of the training."""
    progress: float
    """Part of the training before it."""
    samples: NDArray[np.int64]


class FieldModel(nn.Module):
    """What is trained: the network, and the projector of an alignment where there is one."""

    def __init__(self, network: FieldNetwork, projector: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.projector = projector


@dataclass(frozen=True)
class FieldTensors:
    """Samples as they are in memory, handed out normalised and on the device of the training, some at a time."""

    samples: Samples
    embedded: Tensor | None
    """What networks see of the parameters.  [samples, parameters]"""
    normaliser: Normaliser
    like: Tensor
    """Type and device of what is handed out."""

    @classmethod
    def of(cls, samples: Samples, space: ParameterSpace, normaliser: Normaliser, like: Tensor) -> Self:
        """Embed the parameters of samples."""
        seen = torch.from_numpy(space.embed(samples.parameters)).to(like) if space.width else None
        return cls(samples, seen, normaliser, like)

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, which: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        """Return normalised fields [samples, steps + 1, channels, *grid] and parameters [samples, parameters]."""
        fields = torch.from_numpy(self.samples.fields[which]).to(self.like)
        seen = None if self.embedded is None else self.embedded[torch.from_numpy(which).to(self.like.device)]
        return self.normaliser.scaled(fields), seen

    def chunks(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield some samples at a time, in their order."""
        size = max(CHANNEL_VALUES // self.samples.fields[0].size, 1)
        for begin in range(0, len(self), size):
            yield self.take(np.arange(begin, min(begin + size, len(self))))


class OperatorTask:
    """Trains a `FieldModel`.

    Args:
        train: What is fitted.
        valid: What the choice of the weights goes by.
        config: Settings.
        seed: Of the training: windows are drawn from it.
        alignment: Terms of the loss beside those of the fields.
    """

    def __init__(
        self,
        train: FieldTensors,
        valid: FieldTensors,
        config: OperatorTrainingConfig,
        seed: int,
        alignment: AlignmentTerms | None = None,
    ) -> None:
        self.train = train
        self.valid = valid
        self.config = config
        self.seed = seed
        self.alignment = alignment
        self.truncation = config.truncation()
        self.losses = config.losses()
        self.weights = {"traj": config.lambda_traj, "ic": config.lambda_ic}
        if alignment is not None:
            self.weights |= alignment.weights

    def loss(self, model: nn.Module, batch: FieldBatch) -> BatchLoss:
        """Return the loss of one step: of one batch, or the mean over those that are accumulated."""
        trained, size = _model(model), self.config.batch_size
        window = self.truncation.draw(
            self.train.samples.steps, seed=self.seed, number=batch.number, progress=batch.progress
        )
        parts = [batch.samples[begin : begin + size] for begin in range(0, len(batch.samples), size)]
        if len(parts) == 1:
            return self._batch_loss(trained, parts[0], window)
        parameters = [p for p in model.parameters() if p.requires_grad]
        sums: dict[str, ErrorSum] = {}
        total, gradients = torch.zeros((), device=parameters[0].device), [torch.zeros_like(p) for p in parameters]
        for part in parts:
            found, share = self._batch_loss(trained, part, window), len(part) / len(batch.samples)
            total = total + share * found.value.detach()
            for gradient, new in zip(gradients, _gradients(found.value, parameters), strict=True):
                gradient.add_(new, alpha=share)
            sums = merge(sums, found.sums)
        return BatchLoss(_with_gradients(total, parameters, gradients), sums)

    def score(self, model: nn.Module) -> dict[str, ErrorSum] | None:
        """Return the exact errors of roll-outs over all steps on the validation part."""
        trained, sums = _model(model), dict[str, ErrorSum]()
        normaliser, steps = self.valid.normaliser, self.valid.samples.steps
        for truth, seen in self.valid.chunks():
            predicted = rollout(trained.network, truth[:, 0], seen, steps, grad="none")
            found = error_sums(normaliser.unscaled(predicted[:, 1:]), normaliser.unscaled(truth[:, 1:]), normaliser)
            terms = self._aligned(trained, Rolled(trained.network, predicted, truth, seen, normaliser))
            found |= {name: _mean_over(value, len(truth)) for name, value in terms.items()}
            sums = merge(sums, found)
        return sums

    def row(self, train: Mapping[str, ErrorSum], valid: Mapping[str, ErrorSum] | None) -> dict[str, float]:
        """Return the loss of both parts and its terms, not weighted; and the relative error of the validation part."""
        tested = valid or {}
        row = {"train_loss": train.get("loss", ErrorSum.zero).mae}
        row |= {f"train_{name}": train.get(name, ErrorSum.zero).mae for name in self.weights if self._counts(name)}
        aligned = [name for name in self.weights if name not in {"traj", "ic"} and self._counts(name)]
        terms = {name: tested.get(name, ErrorSum.zero).mae for name in aligned}
        figures = dict.fromkeys(("mse", "rel_l2"), math.nan) if valid is None else error_figures(valid)
        row["val_loss"] = figures["mse"] + sum(self.weights[name] * value for name, value in terms.items())
        row |= {"val_traj": figures["mse"], **{f"val_{name}": value for name, value in terms.items()}}
        return {**row, "val_rel_l2": figures["rel_l2"]}

    def monitor(self, row: Mapping[str, float]) -> float:
        """Return the loss of the validation part."""
        return row["val_loss"]

    def _batch_loss(self, model: FieldModel, samples: NDArray[np.int64], window: Window) -> BatchLoss:
        truth, seen = self.train.take(samples)
        terms = self._field_terms(model.network, truth, seen, window)
        if self.alignment is not None and any(self._counts(name) for name in self.alignment.weights):
            predicted = self._whole(model.network, truth, seen)
            terms |= self._aligned(model, Rolled(model.network, predicted, truth, seen, self.train.normaliser))
        value = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        sums = {name: _mean_over(term, len(samples)) for name, term in {"loss": value, **terms}.items()}
        return BatchLoss(value, sums)

    def _field_terms(
        self, network: FieldNetwork, truth: Tensor, seen: Tensor | None, window: Window
    ) -> dict[str, Tensor]:
        """Return the losses of the window and of the first steps, which may be in it."""
        losses, target, again = self.losses, window.target(truth), self.config.checkpoint_steps
        predicted = window.prediction(network, truth, seen, checkpoint_steps=again)
        terms = {"traj": self._error(predicted, target)}
        first = min(losses.ic_window, truth.shape[1] - 1)
        if self._counts("ic") and window.begin == 0 and first <= window.detach:
            terms["ic"] = self._error(predicted[:, :first], target[:, :first])
        elif self._counts("ic"):
            terms["ic"] = initial_loss(network, truth, seen, losses, checkpoint_steps=again)
        return terms

    def _error(self, predicted: Tensor, truth: Tensor) -> Tensor:
        weights = self.losses.weights(predicted.shape[1], predicted)
        return trajectory_loss(predicted, truth, relative=self.losses.relative, weights=weights)

    def _whole(self, network: FieldNetwork, truth: Tensor, seen: Tensor | None) -> Tensor:
        """Return a roll-out over all steps with gradients through those of a last window."""
        steps = truth.shape[1] - 1
        before = max(steps - self.config.bptt_window, 0)
        begun = rollout(network, truth[:, 0], seen, before, grad="none")
        again = self.config.checkpoint_steps
        return torch.cat(
            (begun[:, :-1], rollout(network, begun[:, -1], seen, steps - before, checkpoint_steps=again)), 1
        )

    def _aligned(self, model: FieldModel, rolled: Rolled) -> dict[str, Tensor]:
        if self.alignment is None or not any(self._counts(name) for name in self.alignment.weights):
            return {}
        found = self.alignment.terms(model.projector, rolled)
        return {name: value for name, value in found.items() if self._counts(name)}

    def _counts(self, name: str) -> bool:
        return self.weights[name] > 0 or name == "traj"


def batches_of(config: OperatorTrainingConfig, n: int, seed: int) -> Callable[[int], Sequence[FieldBatch]]:
    """Return epoch → batches of one step each, all samples once in a new order."""
    size = config.method().samples_per_batch(n)
    drawn, steps = shuffled(n, size, seed), steps_per_epoch(config, n)

    def batches(epoch: int) -> list[FieldBatch]:
        first, total = epoch * steps, config.epochs * steps
        return [FieldBatch(first + k, (first + k) / total, samples) for k, samples in enumerate(drawn(epoch))]

    return batches


def steps_per_epoch(config: OperatorTrainingConfig, n: int) -> int:
    """Return the steps of an epoch of ``n`` samples."""
    return -(-n // config.method().samples_per_batch(n))


def spared_by_decay(model: nn.Module) -> list[nn.Parameter]:
    """Return what decay would only distort: biases, scales, norms, and what modulates by parameters."""
    whole = (Modulation, nn.LayerNorm, nn.GroupNorm)
    found = []
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(module, whole) or name.startswith(("bias", "scale")):
                found.append(parameter)
    return found


def new_model(network: FieldNetwork, alignment: AlignmentTerms | None, seed: int) -> FieldModel:
    """Return the model of a network, with a projector drawn from the seed where the alignment has one."""
    if alignment is None:
        return FieldModel(network)
    with torch_seeded(torch.device("cpu"), seed, "projector"):
        return FieldModel(network, alignment.projector(network))


def _gradients(value: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def _with_gradients(value: Tensor, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> Tensor:
    """Return a scalar with this value and these gradients with respect to the parameters."""
    linear = torch.stack([(p * gradient).sum() for p, gradient in zip(parameters, gradients, strict=True)]).sum()
    return value + (linear - linear.detach())


def _mean_over(value: Tensor, samples: int) -> ErrorSum:
    """Return a mean over so many samples as a sum."""
    return ErrorSum(float(value.detach()) * samples, 0.0, samples)


def _model(model: nn.Module) -> FieldModel:
    assert isinstance(model, FieldModel)
    return model
