"""Predictions that a neural operator must beat: nothing, the mean, no change, and the best linear step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.operators.dataset import OperatorData, Samples
from potentia.operators.networks.linear_propagator import LinearPropagator, fit_linear_propagator
from potentia.operators.normaliser import Normaliser
from potentia.operators.rollout import rollout
from potentia.operators.space import ParameterSpace

__all__ = ["LinearSteps", "MeanFields", "Persistence", "Predictor", "ZeroFields", "baselines_of"]

Fields = NDArray[np.float32]
Values = NDArray[np.float64]


class Predictor(Protocol):
    """Whatever makes fields over time of initial ones; a `NeuralOperator` does."""

    def predict(self, initial: Fields, parameters: Values, steps: int, /) -> Fields:
        """Return fields [samples, steps + 1, channels, *grid] of the initial ones [samples, channels, *grid]."""
        ...


@dataclass(frozen=True)
class ZeroFields:
    """Behind the initial fields all is 0: its relative L2 error is 1."""

    def predict(self, initial: Fields, parameters: Values, steps: int, /) -> Fields:
        """Return zeros behind the initial fields."""
        return _behind(initial, np.zeros((steps, initial.shape[1]), dtype=np.float32))


@dataclass(frozen=True, eq=False)
class MeanFields:
    """The mean of the training part at each step and of each channel; behind its last step that of the last one."""

    mean: Fields
    """[steps + 1, channels]"""

    @classmethod
    def fit(cls, train: Samples) -> MeanFields:
        """Return the means of a training part."""
        axes = (0, *range(3, train.fields.ndim))
        return cls(train.fields.mean(axes, dtype=np.float64).astype(np.float32))

    def predict(self, initial: Fields, parameters: Values, steps: int, /) -> Fields:
        """Return the means behind the initial fields."""
        return _behind(initial, self.mean[np.minimum(np.arange(1, steps + 1), len(self.mean) - 1)])


@dataclass(frozen=True)
class Persistence:
    """All stays as it is in the beginning."""

    def predict(self, initial: Fields, parameters: Values, steps: int, /) -> Fields:
        """Return the initial fields at all steps."""
        return np.repeat(initial[:, None], steps + 1, axis=1)


@dataclass(frozen=True, eq=False)
class LinearSteps:
    """The linear step of least error, a matrix for each wave, taken again and again."""

    network: LinearPropagator
    normaliser: Normaliser
    space: ParameterSpace | None
    """Whose parameters the matrices depend on; None where they do not."""

    @classmethod
    def fit(cls, train: Samples, space: ParameterSpace | None = None) -> LinearSteps:
        """Return the best linear step of a training part; with a space, the best that is affine in the parameters."""
        normaliser = Normaliser.fit(train)
        fields = normaliser.scaled(torch.from_numpy(train.fields))
        seen = None if space is None else torch.from_numpy(space.embed(train.parameters))
        return cls(fit_linear_propagator(fields, seen).eval(), normaliser, space)

    @torch.no_grad()
    def predict(self, initial: Fields, parameters: Values, steps: int, /) -> Fields:
        """Return what the linear steps make of the initial fields."""
        seen = None if self.space is None else torch.from_numpy(self.space.embed(parameters))
        begun = self.normaliser.scaled(torch.from_numpy(initial).double())
        found = rollout(self.network, begun, seen, steps, grad="none")
        fields: Fields = self.normaliser.unscaled(found).float().numpy()
        fields[:, 0] = initial
        return fields


def baselines_of(data: OperatorData) -> dict[str, Predictor]:
    """Return the baselines, fitted on ``data.train`` where there is something to fit.

    These are ``zero``, ``mean``, ``persistence``, ``linear``, and ``linear in parameters`` where there are parameters.
    What parameters are worth to a network, an operator with ``use_parameters=False`` shows.
    """
    found: dict[str, Predictor] = {
        "zero": ZeroFields(),
        "mean": MeanFields.fit(data.train),
        "persistence": Persistence(),
        "linear": LinearSteps.fit(data.train),
    }
    if len(data.space):
        found["linear in parameters"] = LinearSteps.fit(data.train, data.space)
    return found


def _behind(initial: Fields, values: Fields) -> Fields:
    """Return fields that are constant in space [steps, channels] behind the initial ones."""
    shape = (len(initial), *values.shape, *initial.shape[2:])
    later = np.broadcast_to(values.reshape(1, *values.shape, *(1,) * (initial.ndim - 2)), shape)
    return np.concatenate((initial[:, None], later), axis=1)
