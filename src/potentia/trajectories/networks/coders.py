"""Encoder and decoder around a state that moves in between: what the latent networks have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from potentia.checks import choice, integer
from potentia.nn import ACTIVATION_MODULES, dense
from potentia.trajectories.networks.base import Measure, NetworkConfig, Shape, SurrogateNetwork
from potentia.trajectories.networks.latent_loss import LatentLoss

__all__ = ["LatentConfig", "LatentNetwork"]


@dataclass(frozen=True, kw_only=True)
class LatentConfig(NetworkConfig):
    """Settings that all latent networks have."""

    latent_features: int = 5
    """Length of the latent state."""
    coder_layers: int = 3
    """Hidden layers of the encoder, and of the decoder."""
    coder_width: int = 32
    """Nodes in each of them."""
    activation: str = "relu"
    """After each hidden layer."""
    output_activation: str = "identity"
    """After the decoder. ``"tanh"`` keeps states inside [−1, 1]: the range of the training data by ``minmax``."""
    loss: LatentLoss = field(default_factory=LatentLoss)
    """Weights of the terms of the loss."""

    def __post_init__(self) -> None:
        for name in ("latent_features", "coder_layers", "coder_width"):
            integer(name, getattr(self, name), low=1)
        for name in ("activation", "output_activation"):
            choice(name, getattr(self, name), list(ACTIVATION_MODULES))

    def coder(self, n_inputs: int, n_outputs: int, output_activation: str) -> nn.Sequential:
        """Return the layers of an encoder or a decoder."""
        sizes = [n_inputs, *[self.coder_width] * self.coder_layers, n_outputs]
        return dense(sizes, self.activation).append(ACTIVATION_MODULES[output_activation]())


class LatentNetwork(SurrogateNetwork):
    """States as what a decoder makes of a latent state, which begins where an encoder puts the initial state.

    Args:
        config: Settings.
        shape: Sizes that the data set.
        parameters_encoded: Whether the encoder sees the parameters.
    """

    points: ClassVar[bool] = False

    def __init__(self, config: LatentConfig, shape: Shape, parameters_encoded: bool) -> None:
        super().__init__(config.hard_initial_condition)
        self.weights = config.loss
        self.parameters_encoded = parameters_encoded and shape.n_parameters > 0
        n_inputs = shape.n_quantities + (shape.n_parameters if self.parameters_encoded else 0)
        self.encoder = config.coder(n_inputs, config.latent_features, "tanh")
        self.decoder = config.coder(config.latent_features, shape.n_quantities, config.output_activation)

    @abstractmethod
    def move(self, latent: Tensor, initial: Tensor, times: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the latent states at ``times``, from those at u = 0.  [trajectories, times, latent features]

        Args:
            latent: Encoded initial states.  [trajectories, latent features]
            initial: As in `SurrogateNetwork.forward`, and so the others.
            times: [times] or [trajectories, times].
            parameters: [trajectories, parameters] or None.
        """

    def encode(self, initial: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the latent states at u = 0, each number in (−1, 1).  [trajectories, latent features]"""
        seen = [initial, parameters] if self.parameters_encoded and parameters is not None else [initial]
        encoded: Tensor = self.encoder(torch.cat(seen, -1))
        return encoded

    def evolve(self, initial: Tensor, times: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the decoded latent states.  [trajectories, times, quantities]"""
        latent = self.move(self.encode(initial, parameters), initial, times, parameters)
        decoded: Tensor = self.decoder(latent)
        return decoded

    def loss(
        self, measure: Measure, initial: Tensor, times: Tensor, parameters: Tensor | None, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the weighed sum of the terms of `LatentLoss`, and the prediction."""
        prediction = self(initial, times, parameters)
        total = self.weights.states * measure(prediction, target)
        total = total + self.weights.of_derivatives(prediction, target, times)
        if not self.hard_initial_condition:
            there_and_back = self.decoder(self.encode(initial, parameters))
            total = total + self.weights.identity * (there_and_back - initial).square().mean()
        return total, prediction
