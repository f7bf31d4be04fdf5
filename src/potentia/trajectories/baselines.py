"""Predictions that cost no training, asked as a surrogate is: a surrogate that is no better has learned nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from potentia.errors import DataError
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.scaling import Preprocessing, Scaling

__all__ = ["Baseline", "HoldInitialState", "MeanTrajectory", "NearestTrajectory", "fit_baselines"]

Floats: TypeAlias = NDArray[np.float64]

CHUNK = 4096
"""Trajectories whose distances to all of training are held at a time."""


def fit_baselines(data: TrajectoryData, preprocessing: Preprocessing | None = None) -> dict[str, Baseline]:
    """Return every baseline by the name of its class, fitted to the training part.

    Args:
        data: The same as the surrogates'.
        preprocessing: The same as theirs: means and distances are those of scaled states.
    """
    fitted = (HoldInitialState(data), MeanTrajectory(data, preprocessing), NearestTrajectory(data, preprocessing))
    return {type(one).__name__: one for one in fitted}


class Baseline(ABC):
    """What is known without training.

    Args:
        data: Its training part is used.
    """

    def __init__(self, data: TrajectoryData) -> None:
        self._labels = data.train.labels
        self._parameter_labels = data.train.parameter_labels

    def predict(self, initial_states: ArrayLike, times: ArrayLike, parameters: ArrayLike | None = None) -> Floats:
        """Return states at times, in physical units.

        Args:
            initial_states: [trajectories, quantities]
            times: Of all trajectories [times], or of each [trajectories, times].
            parameters: [trajectories, parameters]; None where the data have none.

        Returns:
            [trajectories, times, quantities]

        Raises:
            DataError: shapes do not fit, or a state has no logarithm where one is needed.
        """
        initial = _rows("initial_states", initial_states, len(self._labels))
        if (parameters is None) != (not self._parameter_labels):
            raise DataError(f"the training data have the parameters {self._parameter_labels}: pass as many, or None")
        known = None if parameters is None else _rows("parameters", parameters, len(self._parameter_labels))
        if known is not None and len(known) != len(initial):
            raise DataError(f"{len(initial)} initial states need as many rows of parameters, got {len(known)}")
        asked = np.asarray(times, dtype=np.float64)
        if asked.ndim not in {1, 2} or (asked.ndim == 2 and len(asked) != len(initial)):
            raise DataError(f"times must have shape (times,) or ({len(initial)}, times), got {asked.shape}")
        return self._states(initial, np.broadcast_to(asked, (len(initial), asked.shape[-1])), known)

    @abstractmethod
    def _states(self, initial: Floats, times: Floats, parameters: Floats | None) -> Floats:
        """Return states [trajectories, times, quantities] at times [trajectories, times]."""


class HoldInitialState(Baseline):
    """Nothing ever changes.

    Args:
        data: Its training part says how many quantities there are.
    """

    def _states(self, initial: Floats, times: Floats, parameters: Floats | None) -> Floats:
        return np.repeat(initial[:, None], times.shape[1], axis=1)


class MeanTrajectory(Baseline):
    """All trajectories are as the mean of the training part, taken of scaled states (in log10, where they are).

    Between steps it is interpolated linearly in the mapped time; before the first and after the last it stays.

    Args:
        data: Its training part is averaged.
        preprocessing: Of the states and times; None is the default.
    """

    def __init__(self, data: TrajectoryData, preprocessing: Preprocessing | None = None) -> None:
        super().__init__(data)
        self._kept = _Kept(data, preprocessing)
        self._mean = self._kept.states.mean(0, keepdims=True)  # [1, times, quantities]

    def _states(self, initial: Floats, times: Floats, parameters: Floats | None) -> Floats:
        return self._kept.at(np.broadcast_to(self._mean, (len(initial), *self._mean.shape[1:])), times)


class NearestTrajectory(Baseline):
    """The training trajectory whose scaled initial state and parameters are nearest.

    Between steps it is interpolated linearly in the mapped time; before the first and after the last it stays.

    Args:
        data: Its training part is remembered.
        preprocessing: Of states, parameters and times; None is the default.
    """

    def __init__(self, data: TrajectoryData, preprocessing: Preprocessing | None = None) -> None:
        super().__init__(data)
        self._kept = _Kept(data, preprocessing)
        self._starts = self._kept.starts(data.train.initial_states, data.train.parameters)

    def _states(self, initial: Floats, times: Floats, parameters: Floats | None) -> Floats:
        from scipy.spatial.distance import cdist  # every process of a study imports this file, few ask it

        asked = self._kept.starts(initial, parameters)
        found = np.empty((*times.shape, initial.shape[1]))
        for first in range(0, len(asked), CHUNK):
            part = slice(first, first + CHUNK)
            nearest = cdist(asked[part], self._starts).argmin(1)
            found[part] = self._kept.at(self._kept.states[nearest], times[part])
        return found


class _Kept:
    """The training part as scaled states on mapped times."""

    def __init__(self, data: TrajectoryData, preprocessing: Preprocessing | None) -> None:
        self.scaling: Scaling = (preprocessing or Preprocessing()).fit(data.train, data.horizon)
        self.states = self.scaling.states(torch.from_numpy(data.train.states)).numpy()
        self._knots = self.scaling.times(torch.from_numpy(data.train.times)).numpy()  # [times]

    def starts(self, initial: Floats, parameters: Floats | None) -> Floats:
        """Return scaled initial states and parameters.  [trajectories, quantities + parameters]"""
        scaled = self.scaling.states(torch.tensor(initial)).numpy()
        if parameters is None:
            return scaled
        return np.hstack([scaled, self.scaling.parameters(torch.tensor(parameters)).numpy()])

    def at(self, scaled: Floats, times: Floats) -> Floats:
        """Return physical states [trajectories, times, quantities] of scaled ones on the knots."""
        u = self.scaling.times(torch.tensor(times)).numpy()
        if len(self._knots) == 1:
            between = np.broadcast_to(scaled, (*u.shape, scaled.shape[2]))
        else:
            left = np.clip(np.searchsorted(self._knots, u, side="right") - 1, 0, len(self._knots) - 2)
            step = self._knots[left + 1] - self._knots[left]
            part = np.clip((u - self._knots[left]) / step, 0.0, 1.0)[..., None]
            rows = np.arange(len(u))[:, None]
            between = (1 - part) * scaled[rows, left] + part * scaled[rows, left + 1]
        return self.scaling.physical(torch.tensor(between)).numpy()


def _rows(name: str, values: ArrayLike, columns: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != columns:
        raise DataError(f"{name} must have shape (trajectories, {columns}), got {array.shape}")
    return array
