"""What all trajectory surrogates share: trained on trajectories, asked for states at any time, saved and loaded."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from potentia.config import from_dict
from potentia.errors import ConfigError
from potentia.estimator import NetworkEstimator
from potentia.seeding import torch_seeded
from potentia.train import Callback, Forecast
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.networks.base import NetworkConfig, Shape, SurrogateNetwork
from potentia.trajectories.predicting import predict
from potentia.trajectories.results import TrainOut
from potentia.trajectories.scaling import Preprocessing, Scaling
from potentia.trajectories.training import Fitted, Training, describe
from potentia.trajectories.training_config import TrajectoryTrainingConfig

__all__ = ["TrajectorySurrogate"]


class TrajectorySurrogate(NetworkEstimator[Fitted]):
    """From an initial state, times and parameters to the states at these times.

    A surrogate below it names its ``kind`` of file and its ``config_class``.

    Args:
        network: Settings of the network, an instance of ``config_class``; its defaults if None.
        preprocessing: What states, parameters and times go through; the defaults of `Preprocessing` if None.
    """

    config_class: ClassVar[type[NetworkConfig]]
    """Class of the settings of its network."""

    def __init__(self, network: NetworkConfig | None = None, *, preprocessing: Preprocessing | None = None) -> None:
        self.network = self.config_class() if network is None else network
        self.preprocessing = Preprocessing() if preprocessing is None else preprocessing
        if not isinstance(self.network, self.config_class):
            raise ConfigError(
                f"network of a {type(self).__name__} must be {self.config_class.__name__}(...), got {network!r}"
            )
        self.fitted_ = None

    def train(
        self,
        data: TrajectoryData,
        config: TrajectoryTrainingConfig,
        resume_from: str | os.PathLike[str] | None = None,
        *,
        allow_changes: Collection[str] = (),
        callbacks: Sequence[Callback] = (),
    ) -> TrainOut:
        """Train on ``data.train`` from new weights, and choose by ``data.test``; ``data.val`` is not looked at.

        Args:
            data: Trajectories; each part begins at the first time of the horizon.
            config: Settings.
            resume_from: A checkpoint to go on from, to ``config.epochs`` in all. The result equals that of an unbroken
                run bit for bit.
            allow_changes: Names of settings that may differ from those of the checkpoint.
            callbacks: Go along with the training, before those of the settings.

        Raises:
            DataError: a state or parameter cannot be used: the message names it.
            ConfigError: settings do not fit the checkpoint.
            TrainingError: too many batches in a row were not finite.
        """
        self.fitted_, out = self._training(config).run(data, resume_from, allow_changes, callbacks)
        return out

    def forecast(self, data: TrajectoryData, config: TrajectoryTrainingConfig) -> Forecast:
        """Say how long the same call of `train` would take: its first batches are measured, nothing is changed."""
        return self._training(config).forecast(data)

    def predict(
        self,
        initial_states: ArrayLike,
        times: ArrayLike,
        parameters: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
    ) -> NDArray[np.float64]:
        """Return the states at any times, in physical units.  [trajectories, times, quantities]

        Args:
            initial_states: States at the first time of the horizon.  [trajectories, quantities]
            times: In the unit of the training data and any order, shared by all trajectories [times] or of each
                [trajectories, times].
            parameters: Of each trajectory, where the training data had some.  [trajectories, parameters]
            batch_size: Trajectories at a time; None for what fits well. It changes nothing but memory and time.

        Raises:
            NotFittedError: it has learned nothing yet.
            DataError: a shape does not fit, or a value is not finite or has no logarithm.

        Warns:
            PotentiaWarning: times are outside the horizon of the training data.
        """
        return predict(self.fitted(), initial_states, times, parameters, batch_size)

    @property
    def network_(self) -> SurrogateNetwork:
        """The trained network."""
        return self.fitted().network

    @property
    def scaling_(self) -> Scaling:
        """The scaling of the training data."""
        return self.fitted().scaling

    def recipe(self) -> dict[str, Any]:
        """Return the settings of network and preprocessing as plain values."""
        return describe(self.network, self.preprocessing)

    def learned(self) -> dict[str, Any]:
        """Return weights, scaling, and the record of the training."""
        fitted = self.fitted()
        return {
            "model": dict(fitted.network.state_dict()),
            "scaling": fitted.scaling.to_state(),
            "record": fitted.record,
        }

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> Self:
        """Build an untrained surrogate from `recipe`; settings that it does not name have their defaults."""
        network = from_dict(cls.config_class, recipe.get("network", {}))
        return cls(network, preprocessing=from_dict(Preprocessing, recipe.get("preprocessing", {})))

    @classmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained surrogate, on the CPU, from `recipe` and `learned`."""
        surrogate = cls.from_recipe(recipe)
        scaling, state = Scaling.from_state(learned["scaling"]), learned["model"]
        with torch_seeded(torch.device("cpu"), 0, "overwritten"):
            network = surrogate.network.build(Shape(len(scaling.labels), len(scaling.parameter_labels)))
        network.to(next(iter(state.values())).dtype).load_state_dict(state)
        surrogate.fitted_ = Fitted(network.eval(), scaling, dict(learned["record"]))
        return surrogate

    def _training(self, config: TrajectoryTrainingConfig) -> Training:
        return Training(self.kind, self.network, self.preprocessing, config)
