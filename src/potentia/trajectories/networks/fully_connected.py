"""One network of initial state, time and parameters together, for each point on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from potentia.checks import choice, integer
from potentia.nn import ACTIVATION_MODULES, dense
from potentia.trajectories.networks.base import NetworkConfig, Shape, SurrogateNetwork
from potentia.trajectories.networks.time_features import time_features

__all__ = ["FullyConnectedConfig", "FullyConnectedNetwork"]


@dataclass(frozen=True, kw_only=True)
class FullyConnectedConfig(NetworkConfig):
    """Settings of a fully connected network.

    >>> network = FullyConnectedConfig(hidden_size=222, num_hidden_layers=2).build(Shape(6, 0))
    >>> sum(parameter.numel() for parameter in network.parameters())
    52620
    """

    hidden_size: int = 150
    """Nodes of a hidden layer."""
    num_hidden_layers: int = 5
    """Hidden layers."""
    activation: str = "relu"
    """Activation behind each hidden layer, one of `potentia.nn.ACTIVATION_MODULES`."""

    time_cosines: int = 0
    """Cosines of the time that the network sees besides the time itself, see `time_features`: some tens of them where
    states change fast."""

    def __post_init__(self) -> None:
        integer("time_cosines", self.time_cosines, low=0)
        integer("hidden_size", self.hidden_size, low=1)
        integer("num_hidden_layers", self.num_hidden_layers, low=1)
        choice("activation", self.activation, list(ACTIVATION_MODULES))

    def build(self, shape: Shape) -> FullyConnectedNetwork:
        """Return the network; its weights are drawn from torch's generators."""
        return FullyConnectedNetwork(self, shape)


class FullyConnectedNetwork(SurrogateNetwork):
    """x(u) = N(x₀, p, u), a multilayer perceptron without activation behind its last layer."""

    points: ClassVar[bool] = True

    def __init__(self, config: FullyConnectedConfig, shape: Shape) -> None:
        super().__init__(config.hard_initial_condition)
        hidden = [config.hidden_size] * config.num_hidden_layers
        self.time_cosines = config.time_cosines
        n_inputs = shape.n_quantities + shape.n_parameters + 1 + config.time_cosines
        sizes = [n_inputs, *hidden, shape.n_quantities]
        self.layers = dense(sizes, config.activation)

    def evolve(self, initial: Tensor, times: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the states at ``times`` [trajectories, times, quantities]."""
        shape = (len(initial), times.shape[-1])
        of_each = initial if parameters is None else torch.cat((initial, parameters), dim=1)
        seen = time_features(times, self.time_cosines)
        inputs = (of_each[:, None].expand(*shape, -1), seen.expand(*shape, -1))
        states: Tensor = self.layers(torch.cat(inputs, dim=2))
        return states
