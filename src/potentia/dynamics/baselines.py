"""Predictions that need no network: a network that is no better has learned nothing from its features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.motion import Motion
from potentia.dynamics.polish import ConstantFit, FitSettings, fit_constant
from potentia.dynamics.rollout import RolloutSettings, rollout
from potentia.dynamics.spec import ModelSpec
from potentia.errors import ConfigError, DataError

__all__ = ["Baseline", "ConstantParameters", "ConstantTurn", "Persistence", "fit_baselines", "predict_all"]

Floats: TypeAlias = NDArray[np.float64]
WINDOWS = 4096
"""Windows that are rolled out at a time."""


class Baseline(ABC):
    """Predicts the states of windows from their initial states and controls.

    Args:
        spec: The model whose states are predicted.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def predict(self, dataset: FeatureDataset) -> Floats:
        """Return the states after each step.  [windows, steps, states]

        Raises:
            DataError: the windows are not those of the model.
        """
        if dataset.state_names != self._spec.state_names or dataset.control_names != self._spec.control_names:
            raise DataError(
                f"the windows have states {dataset.state_names} and controls {dataset.control_names}, model "
                f"{self._spec.name!r} has {self._spec.state_names} and {self._spec.control_names}"
            )
        return self._predicted(dataset)

    @abstractmethod
    def _predicted(self, dataset: FeatureDataset) -> Floats:
        """Return the states of windows that fit.  [windows, steps, states]"""


class Persistence(Baseline):
    """Every state stays as it is."""

    def _predicted(self, dataset: FeatureDataset) -> Floats:
        return np.repeat(dataset.initial_states[:, None], dataset.n_steps, axis=1)


class ConstantTurn(Baseline):
    """Speed, course relative to the heading, and turn rate stay as they are: the vehicle follows a circle (CTRV).

    Where the turn rate is no state it is that of the last step of the history; without a history the vehicle goes
    straight on.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        motion = Motion.of(spec)
        if motion is None or motion.heading is None or motion.speed is None:
            raise ConfigError(f"model {spec.name!r} has no positions, heading and speed to go on with")
        self._motion = motion
        self._heading = motion.heading

    @staticmethod
    def suits(spec: ModelSpec) -> bool:
        """Return whether a model has the states that are needed."""
        motion = Motion.of(spec)
        return motion is not None and motion.heading is not None and motion.speed is not None

    def _predicted(self, dataset: FeatureDataset) -> Floats:
        start = dataset.initial_states
        found = np.repeat(start[:, None], dataset.n_steps, axis=1)
        time = dataset.step_lengths.cumsum(1)  # [windows, steps], s
        speed, course = (value[:, None] for value in self._motion.velocity(start))
        turned = self._turn_rate(dataset)[:, None] * time
        chord = speed * time * np.sinc(turned / 2 / np.pi)  # of the arc
        found[..., self._motion.x] += chord * np.cos(course + turned / 2)
        found[..., self._motion.y] += chord * np.sin(course + turned / 2)
        found[..., self._heading] += turned
        return found

    def _turn_rate(self, dataset: FeatureDataset) -> Floats:
        if self._motion.turn is not None:
            return dataset.initial_states[:, self._motion.turn]
        if dataset.history is None or not dataset.past:
            return np.zeros(len(dataset))
        change = dataset.initial_states[:, self._heading] - dataset.history[:, -1, self._heading]
        found: Floats = np.arctan2(np.sin(change), np.cos(change)) / dataset.step_lengths[:, 0]
        return found


class ConstantParameters(Baseline):
    """The model with the same parameters in all windows.

    Args:
        spec: The model.
        params: All of its parameters; its defaults if None.
        settings: How the equations are solved.
    """

    def __init__(
        self,
        spec: ModelSpec,
        params: Mapping[str, ArrayLike] | None = None,
        settings: RolloutSettings | None = None,
    ) -> None:
        super().__init__(spec)
        given = spec.default_params if params is None else params
        self._params = {key: torch.as_tensor(np.array(value, dtype=np.float64)) for key, value in given.items()}
        self._settings = settings

    def _predicted(self, dataset: FeatureDataset) -> Floats:
        pieces = []
        for begin in range(0, len(dataset), WINDOWS):
            part = dataset.take(slice(begin, begin + WINDOWS))
            start, controls = torch.as_tensor(part.initial_states), torch.as_tensor(part.controls)
            lengths = torch.as_tensor(np.array(part.step_lengths))
            with torch.no_grad():
                pieces.append(rollout(self._spec, start, controls, self._params, lengths, self._settings).numpy())
        return np.concatenate(pieces)


def fit_baselines(
    spec: ModelSpec,
    dataset: FeatureDataset,
    settings: FitSettings | None = None,
    *,
    fit: ConstantFit | None = None,
) -> dict[str, Baseline]:
    """Return the baselines by the names that tables give them.

    ``"default parameters"``, ``"constant fit"``, ``"persistence"``, and ``"constant turn"`` where the model has the
    states for it.

    Args:
        spec: The model.
        dataset: Windows of training, which the constant parameters are fitted to.
        settings: Of that fit; its ``rollout`` holds for all.
        fit: A fit that there is already.

    Raises:
        TrainingError: all roll-outs of the fit diverge.
    """
    settings = FitSettings() if settings is None else settings
    fit = fit_constant(spec, dataset, settings) if fit is None else fit
    found: dict[str, Baseline] = {
        "persistence": Persistence(spec),
        "default parameters": ConstantParameters(spec, None, settings.rollout),
        "constant fit": ConstantParameters(spec, fit.params, settings.rollout),
    }
    return {"constant turn": ConstantTurn(spec), **found} if ConstantTurn.suits(spec) else found


def predict_all(baselines: Mapping[str, Baseline], dataset: FeatureDataset) -> dict[str, Floats]:
    """Return what each baseline predicts.  [windows, steps, states] each"""
    return {name: baseline.predict(dataset) for name, baseline in baselines.items()}
