"""Losses of states: how far predicted states are from measured ones, angles the short way round, over what counts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentia.checks import choice, did_you_mean, number
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError

__all__ = ["ScaledLoss", "StateLoss", "YawL1", "per_element", "per_item", "state_scales", "wrapped_error"]

Measure = Literal["l1", "huber", "mse"]
MAD = 1.4826  # standard deviation of a normal distribution by its median magnitude


def wrapped_error(predicted: Tensor, target: Tensor, angles: Sequence[bool]) -> Tensor:
    """Return predicted − target, of angles the equal value from −π to π.  [..., states]

    >>> wrapped_error(torch.tensor([1.0, 6.0]), torch.tensor([0.0, 0.0]), (False, True)).numpy().round(4)
    array([ 1.    , -0.2832], dtype=float32)
    """
    error = predicted - target
    if not any(angles):
        return error
    with torch.no_grad():  # the derivative stays 1 throughout: whole turns are constant
        turns = torch.zeros_like(error)
        for state, angle in enumerate(angles):
            if angle:
                turns[..., state] = 2 * math.pi * (error[..., state] / (2 * math.pi)).round()
    return error - turns


@dataclass(frozen=True, kw_only=True)
class StateLoss(ABC):
    """A loss of states: a cost of each state, at each step that counts, put together to one number."""

    averaged: ClassVar[bool] = True
    """Whether it is a mean over what counts, or a sum."""

    angles: tuple[bool, ...]
    """Which states are angles.  [states]"""

    @abstractmethod
    def costs(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Return the cost of each error, 0 where there is none.  [windows, steps, states]"""

    def sums(self, predicted: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return sum of costs and what to divide it by: over batches of any size the quotient of sums is exact."""
        costs, steps = _counted(self, predicted, target, mask)
        count = steps.sum() * costs.shape[-1] if self.averaged else steps.new_tensor(len(costs))
        return costs.sum(), count

    def __call__(self, predicted: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss.

        Args:
            predicted: [windows, steps, states]
            target: [windows, steps, states]
            mask: Which steps count; None for all.  [windows, steps]
        """
        total, count = self.sums(predicted, target, mask)
        return total / count if self.averaged else total


@dataclass(frozen=True, kw_only=True)
class ScaledLoss(StateLoss):
    """Mean over what counts of errors in units of their scales: it does not change with horizon, batch or unit."""

    scales: tuple[float, ...]
    """What an error of each state is measured by, in its unit.  [states]"""
    measure: Measure = "l1"
    """Magnitudes of scaled errors; ``"huber"``, e²/2 up to 1 and the magnitude − 1/2 beyond; or ``"mse"``, e²."""
    weights: tuple[float, ...] | None = None
    """Weight of each state, 0 for one that is not measured; None for equal ones.  [states]"""

    def __post_init__(self) -> None:
        choice("measure", self.measure, ("l1", "huber", "mse"))
        for name, values in (("scales", self.scales), ("weights", self.weights)):
            if values is not None and len(values) != len(self.angles):
                raise ConfigError(f"{name} must be {len(self.angles)} numbers, one for each state, got {len(values)}")
        if not all(number("scales", scale) > 0 for scale in self.scales):
            raise ConfigError(f"scales must be greater than 0, got {self.scales}")
        if self.weights is not None and sum(number("weights", one, low=0) for one in self.weights) == 0:
            raise ConfigError("weights must not all be 0: nothing would be learned")

    @classmethod
    def of_data(
        cls,
        dataset: FeatureDataset,
        spec: ModelSpec,
        measure: Measure = "l1",
        weights: Mapping[str, float] | None = None,
    ) -> Self:
        """Return the loss whose scales are how far the states of the data move; ``weights`` are 1 where not given."""
        weights = {} if weights is None else weights
        for name in weights:
            if name not in spec.state_names:
                raise ConfigError(f"weights name the state {name!r}{did_you_mean(name, spec.state_names)}")
        given = tuple(float(weights.get(name, 1.0)) for name in spec.state_names)
        scales = tuple(state_scales(dataset, spec).tolist())
        return cls(angles=spec.angles, scales=scales, measure=measure, weights=given if weights else None)

    def costs(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Return the cost of each scaled error times the weight of its state.  [windows, steps, states]"""
        error = wrapped_error(predicted, target, self.angles) / _like(self.scales, predicted)
        if self.measure == "l1":
            cost = error.abs()
        elif self.measure == "mse":
            cost = error.square()
        else:
            size = error.abs()
            cost = torch.where(size < 1, 0.5 * error.square(), size - 0.5)
        if self.weights is None:
            return cost
        mean = sum(self.weights) / len(self.weights)
        return cost * _like(self.weights, predicted) / mean


@dataclass(frozen=True, kw_only=True)
class YawL1(StateLoss):
    """Sum of magnitudes over windows, steps and states, metres and radians alike: to compare with older results."""

    averaged: ClassVar[bool] = False

    def costs(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Return the magnitude of each error.  [windows, steps, states]"""
        return wrapped_error(predicted, target, self.angles).abs()


def _like(values: Sequence[float], like: Tensor) -> Tensor:
    """Return numbers of the states as a tensor of the kind of ``like``.  [states]"""
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def _counted(loss: StateLoss, predicted: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return costs summed over the steps that count, and the number of these.  [windows, states], [windows]"""
    if predicted.shape != target.shape or predicted.ndim != 3 or predicted.shape[-1] != len(loss.angles):
        raise DataError(
            f"predicted and target states must have the same shape [windows, steps, {len(loss.angles)}], got "
            f"{tuple(predicted.shape)} and {tuple(target.shape)}"
        )
    if mask is None:
        mask = torch.ones(predicted.shape[:2], dtype=torch.bool, device=predicted.device)
    # What does not count is taken out before anything is computed of it: a NaN there would reach the derivatives.
    here = mask[..., None]
    nothing = torch.zeros((), dtype=predicted.dtype, device=predicted.device)
    costs = loss.costs(torch.where(here, predicted, nothing), torch.where(here, target, nothing))
    return costs.sum(1), mask.to(costs).sum(1)


def per_element(loss: StateLoss, predicted: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean, or the sum where the loss is one, over the steps of each window.  [windows, states]"""
    costs, steps = _counted(loss, predicted, target, mask)
    return costs / steps[:, None] if loss.averaged else costs


def per_item(loss: StateLoss, predicted: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean, or the sum where the loss is one, over steps and states of each window.  [windows]"""
    costs, steps = _counted(loss, predicted, target, mask)
    return costs.mean(1) / steps if loss.averaged else costs.sum(1)


def state_scales(dataset: FeatureDataset, spec: ModelSpec) -> NDArray[np.float64]:
    """Return how far each state of the data typically moves from the first one: a robust standard deviation.  [states]

    It is 1.4826 times the median of the magnitudes of the moves to all targets that count; the root mean square where
    more than half of them are 0; 1 where all are. Positions have one scale in common: a drawing that is turned has
    the same.
    """
    moves = dataset.targets - dataset.initial_states[:, None]
    turned = np.array(spec.angles)
    moves[..., turned] = np.arctan2(np.sin(moves[..., turned]), np.cos(moves[..., turned]))
    counted = np.abs(moves[dataset.counted])  # [targets, states]
    places = np.array([one.pose and not one.angle for one in spec.states])
    if places.any():
        counted[:, places] = np.sqrt(np.mean(counted[:, places] ** 2, axis=1, keepdims=True))
    robust = MAD * np.median(counted, axis=0)
    plain = np.sqrt(np.mean(counted**2, axis=0))
    scales: NDArray[np.float64] = np.where(robust > 0, robust, np.where(plain > 0, plain, 1.0))
    return scales
