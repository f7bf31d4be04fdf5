"""The neural operator: trained on fields over time with their parameters, asked for roll-outs, saved and loaded."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from potentia.config import differences, from_dict
from potentia.errors import ConfigError
from potentia.estimator import NetworkEstimator
from potentia.operators.alignment_terms import AlignmentTerms
from potentia.operators.checkpoints import part_of
from potentia.operators.dataset import OperatorData
from potentia.operators.networks.base import FieldNetwork, FieldNetworkConfig
from potentia.operators.networks.fno import FNOConfig
from potentia.operators.normaliser import Normaliser
from potentia.operators.predicting import Parameters, bottleneck, predict
from potentia.operators.results import TrainOut
from potentia.operators.training import Fitted, Training, describe, describe_known, known_from
from potentia.operators.training_config import OperatorTrainingConfig
from potentia.seeding import torch_seeded
from potentia.train import Callback, Forecast

__all__ = ["NeuralOperator"]


class NeuralOperator(NetworkEstimator[Fitted]):
    """From initial fields and the parameters of the equations to the fields at all later steps.

    Args:
        network: Settings of the network, which makes one step.

    >>> from potentia.operators.make import make_data
    >>> data = make_data("gray_scott", n_train=6, n_val=1, n_test=1, grid=(8, 8), steps=2)
    >>> operator = NeuralOperator(FNOConfig(width=4, modes=2, layers=1))
    >>> out = operator.train(data, OperatorTrainingConfig(epochs=2, seed=1))
    >>> operator.predict(data.test.initial, data.test.parameters, steps=5).shape
    (1, 6, 2, 8, 8)
    """

    kind: ClassVar[str] = "neural operator"

    def __init__(self, network: FieldNetworkConfig | None = None) -> None:
        self.network = FNOConfig() if network is None else network
        if not isinstance(self.network, FieldNetworkConfig):
            raise ConfigError(
                f"network of a NeuralOperator must be FNOConfig(...) or another FieldNetworkConfig, got {network!r}"
            )
        self.fitted_ = None

    def train(
        self,
        data: OperatorData,
        config: OperatorTrainingConfig,
        resume_from: str | os.PathLike[str] | None = None,
        *,
        init_from: str | os.PathLike[str] | None = None,
        alignment: AlignmentTerms | None = None,
        allow_changes: Collection[str] = (),
        callbacks: Sequence[Callback] = (),
    ) -> TrainOut:
        """Train on ``data.train`` and choose by ``data.val``; ``data.test`` is not looked at.

        Args:
            data: Fields over time.
            config: Settings.
            resume_from: A checkpoint to go on from, to ``config.epochs`` in all. The result equals that of an unbroken
                run bit for bit; that of an old checkpoint of ``torch.save`` does not.
            init_from: A saved operator or checkpoint whose weights are the first ones: learning on other data, or with
                other settings. The optimizer and the count of steps begin anew; normaliser and embedding of the
                parameters are kept, so it begins with what that operator predicts.
            alignment: Terms of the loss that bring predictions near to what a tokenizer knows.
            allow_changes: Names of settings that may differ from those of the checkpoint.
            callbacks: Go along with the training, before those of the settings.

        Raises:
            ConfigError: settings do not fit the data, the checkpoint or the weights to begin with.
            DataError: the network cannot work on the grid, or a part of the data is empty.
            TrainingError: too many steps were not finite.
        """
        if resume_from is not None and init_from is not None:
            raise ConfigError("resume_from goes on with all of a run, init_from begins a new one: give one of them")
        start = None if init_from is None else self._start(init_from)
        training = Training(self.kind, self.network, config, alignment, start)
        self.fitted_, out = training.run(data, resume_from, allow_changes, callbacks)
        return out

    def forecast(
        self, data: OperatorData, config: OperatorTrainingConfig, *, alignment: AlignmentTerms | None = None
    ) -> Forecast:
        """Say how long the same call of `train` would take: its first steps are measured, nothing is changed."""
        return Training(self.kind, self.network, config, alignment).forecast(data)

    def predict(
        self, initial: ArrayLike, parameters: Parameters | None, steps: int, *, batch_size: int | None = None
    ) -> NDArray[np.float32]:
        """Return the fields after 0, 1, … ``steps`` steps, in physical units; the first are the initial ones.

        Args:
            initial: On any grid that the network takes.  [samples, channels, *grid]
            parameters: Values [samples, parameters], or by name, where a number stands for all samples; None where the
                operator was trained without.
            steps: How many, of the time step of the training data.
            batch_size: Samples at a time; None for what fits well. It changes nothing but memory and time.

        Returns:
            [samples, steps + 1, channels, *grid]

        Raises:
            NotFittedError: it has learned nothing yet.
            ConfigError: a parameter is unknown or missing.
            DataError: a shape does not fit, a field is not finite, or the network cannot work on the grid.

        Warns:
            PotentiaWarning: parameters are outside the range of the training, or a roll-out leaves the numbers.
        """
        found: NDArray[np.float32] = predict([self.fitted()], initial, parameters, steps, batch_size)[0]
        return found

    def bottleneck(self, fields: ArrayLike, parameters: Parameters | None) -> NDArray[np.float32]:
        """Return the features of fields [samples, channels, *grid] at the narrowest place of the network.

        Shape: [samples, ``network_.bottleneck_channels``, *coarse grid]
        """
        return bottleneck(self.fitted(), fields, parameters)

    @property
    def network_(self) -> FieldNetwork:
        """The trained network, of normalised fields."""
        return self.fitted().network

    @property
    def normaliser_(self) -> Normaliser:
        """The normaliser of the training part."""
        return self.fitted().known.normaliser

    @property
    def projector_state_(self) -> dict[str, Tensor]:
        """Weights of the projector of an alignment; empty where there was none."""
        return self.fitted().projector

    def recipe(self) -> dict[str, Any]:
        """Return the settings of the network as plain values."""
        return describe(self.network)

    def learned(self) -> dict[str, Any]:
        """Return weights, what is known of the data, and the record of the training."""
        fitted = self.fitted()
        model = {f"network.{name}": tensor for name, tensor in fitted.network.state_dict().items()}
        model |= {f"projector.{name}": tensor for name, tensor in fitted.projector.items()}
        return {"model": model, **describe_known(fitted.known), "record": fitted.record}

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> Self:
        """Build an untrained operator from `recipe`; settings that it does not name have their defaults."""
        return cls(from_dict(FieldNetworkConfig, recipe["network"])) if "network" in recipe else cls()

    @classmethod
    def from_parts(cls, recipe: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Build a trained operator, on the CPU, from `recipe` and `learned`."""
        operator, known = cls.from_recipe(recipe), known_from(learned)
        weights = part_of(learned["model"], "network")
        with torch_seeded(torch.device("cpu"), 0, "overwritten"):
            network = operator.network.build(known.shape)
        network.to(next(iter(weights.values())).dtype).load_state_dict(weights)
        operator.fitted_ = Fitted(network.eval(), known, part_of(learned["model"], "projector"), learned["record"])
        return operator

    def _start(self, path: str | os.PathLike[str]) -> Fitted:
        """Read the operator to begin with."""
        other = self.load(path)
        changed = differences(other.recipe(), self.recipe(), ())
        if changed:
            listed = "\n  ".join(changed)
            raise ConfigError(f"init_from: {path} holds another network than this operator has:\n  {listed}")
        return other.fitted()
